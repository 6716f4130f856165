"""ONNX's backend node tests for RNN, LSTM and GRU, run from the onnx package.

Importing only the three modules that make these cases saves ten seconds of generating 1,800 others. The cases are
known to be weak (their weights are all equal), so that passing them is a claim of layout, not of arithmetic.
"""

import numpy as np
import pytest

import tally

onnx = pytest.importorskip("onnx")
node = pytest.importorskip("onnx.backend.test.case.node")

from onnx.backend.test.case.node import gru, lstm, rnn  # noqa: E402, F401  (importing makes the cases)

from onnx_backend import FastRNNBackend  # noqa: E402

PREFIXES = ("test_lstm_", "test_gru_", "test_rnn_", "test_simple_rnn_")
CASES = [case for case in node._NodeTestCases if case.name.startswith(PREFIXES)]


def test_all_cases_are_here():
    """12 in older releases, 18 since reverse and bidirectional ones were added."""
    tally.note("ONNX node tests", f"{len(CASES)} cases of onnx {onnx.__version__}")
    assert len(CASES) >= 12
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_node(case):
    prepared = FastRNNBackend.prepare(case.model)
    for inputs, outputs in case.data_sets:
        found = prepared.run(inputs)
        assert len(found) == len(outputs)
        for a, b in zip(found, outputs, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=case.rtol, atol=case.atol)


def test_directions_lengths_and_states_that_no_node_test_covers():
    """Random weights against reference.py through the adapter: gate order, B halves, P order, sequence_lens."""
    import reference
    from onnx_backend import compute

    rng = np.random.default_rng(2)
    T, B, I, H = 5, 3, 4, 6
    lens = np.array([5, 2, 4], np.int32)
    for op, G in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        W, R = rng.standard_normal((2, G, H, I)), rng.standard_normal((2, G, H, H)) / 3
        bias = rng.standard_normal((2, 2, G, H))
        h0, c0, P = (
            rng.standard_normal((2, B, H)),
            rng.standard_normal((2, B, H)),
            rng.standard_normal((2, 3, H)),
        )
        x = rng.standard_normal((T, B, I))
        given = {
            "X": x,
            "W": W.reshape(2, -1, I),
            "R": R.reshape(2, -1, H),
            "B": bias.reshape(2, -1),
            "sequence_lens": lens,
            "initial_h": h0,
        }
        if op == "LSTM":
            given.update(initial_c=c0, P=P.reshape(2, -1))
        attributes = {"hidden_size": H, "direction": b"bidirectional", "linear_before_reset": 1}
        found = compute(op, attributes, given)
        ours = {"LSTM": (0, 2, 3, 1), "GRU": (0, 1, 2), "RNN": (0,)}[op]
        for d in range(2):
            w, r = (np.concatenate([m[d, k].T for k in ours], axis=1) for m in (W, R))
            b = np.stack([np.concatenate([bias[d, half, k] for k in ours]) for half in range(2)])
            options = {"peephole": P[d][[0, 2, 1]]} if op == "LSTM" else {}
            state = (h0[d], c0[d]) if op == "LSTM" else (h0[d],)
            y, final = getattr(reference, op.lower())(
                x.swapaxes(0, 1),
                w,
                r,
                b if op == "GRU" else b.sum(axis=0),
                initial_state=state,
                lengths=lens,
                reverse=d == 1,
                **options,
            )
            np.testing.assert_allclose(found[0][:, d].swapaxes(0, 1), y, atol=1e-13)
            for f, right in zip(found[1:], final, strict=True):
                np.testing.assert_allclose(f[d], right, atol=1e-13)
