"""The same bits whatever the threads, the plan, the padding and the company a row has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrnn
from bit_cases import CASES, label
from fastrnn import functional as F
from fastrnn.losses import MeanSquaredError
from helpers import budget, digest, everything, forward, forward_numbers, gradients, same_bits
from strategies import Case, cases, with_

THREADS = (1, 2, 3, 4, 7)
PLANS = ("serial", "batch", "hidden")

every_case = pytest.mark.parametrize("case", CASES, ids=label)


@pytest.fixture(autouse=True)
def free_plan(monkeypatch):
    monkeypatch.delenv("FASTRNN_PLAN", raising=False)


@every_case
def test_threads_and_plans(case, monkeypatch):
    """One SHA-256 of y, states and all gradients for 1, 2, 3, 4, 7 threads and for the three plans."""
    data_bits = digest(everything(case, case.data()))
    with fastrnn.threads(1):
        first = everything(case, case.data())
    assert digest(first) == data_bits, "the default differs from one thread"
    for plan in (None, *PLANS):
        if plan is not None:
            monkeypatch.setenv("FASTRNN_PLAN", plan)
        for n in THREADS:
            with fastrnn.threads(n):
                again = everything(case, case.data())
            if digest(again) != digest(first):
                same_bits(first, again)


@settings(max_examples=budget(80))
@given(cases(longest=20), st.sampled_from(PLANS), st.sampled_from(THREADS))
def test_any_case_any_plan(case, plan, n):
    """Drawn shapes and options: a forced plan and team against one thread and the model's own choice."""
    with fastrnn.threads(1):
        right = everything(case, case.data())
    with pytest.MonkeyPatch.context() as patch, fastrnn.threads(n):
        patch.setenv("FASTRNN_PLAN", plan)
        same_bits(right, everything(with_(case, memory="full"), case.data()))
        same_bits(right, everything(with_(case, memory="low"), case.data()))


@every_case
def test_inference_and_training_agree(case, monkeypatch):
    data = case.data()
    y, state, _ = gradients(case, data)
    for plan in (None, *PLANS):
        if plan is not None:
            monkeypatch.setenv("FASTRNN_PLAN", plan)
        for n in (1, 2, 3):
            with fastrnn.threads(n):
                plain_y, plain_state = forward_numbers(case, data)
            assert plain_y.tobytes() == y.tobytes(), (plan, n)
            assert all(a.tobytes() == b.tobytes() for a, b in zip(plain_state, state, strict=True))


@every_case
def test_memory_low_equals_full(case):
    same_bits(
        everything(with_(case, memory="full"), case.data()),
        everything(with_(case, memory="low"), case.data()),
    )


@every_case
def test_time_major_equals_batch_major(case):
    same_bits(
        everything(with_(case, time_major=False), case.data()),
        everything(with_(case, time_major=True), case.data()),
    )


def alone(case, data, row):
    """The same case with one row of the batch."""
    cut = slice(row, row + 1)
    single = dict(data)
    for name in ("x", "lengths", "mask", "recurrent_mask"):
        if name in data:
            single[name] = data[name][cut]
    if "initial_state" in data:
        single["initial_state"] = tuple(s[cut] for s in data["initial_state"])
    return with_(case, B=1), single


@every_case
def test_a_row_alone_equals_the_row_in_its_batch(case):
    """Forward and the gradients that belong to a row: x and the initial state."""
    data = case.data()
    dy, dstate = case.upstream()
    y, state, found = gradients(case, data, dy, dstate)
    for row in sorted({0, 1, case.B // 2, case.B - 1} & set(range(case.B))):
        one, single = alone(case, data, row)
        cut = slice(row, row + 1)
        y1, state1, found1 = gradients(one, single, dy[cut], tuple(d[cut] for d in dstate))
        assert y1.tobytes() == y[cut].tobytes()
        for a, b in zip(state1, state, strict=True):
            assert a.tobytes() == b[cut].tobytes()
        assert found1["x"].tobytes() == found["x"][cut].tobytes()
        for a, b in zip(
            found1.get("initial_state", ()), found.get("initial_state", ()), strict=True
        ):
            assert a.tobytes() == b[cut].tobytes()


@settings(max_examples=budget(60))
@given(cases(largest=33))
def test_any_row_alone(case):
    data = case.data()
    y, state = forward_numbers(case, data)
    for row in range(case.B):
        one, single = alone(case, data, row)
        y1, state1 = forward_numbers(one, single)
        assert y1.tobytes() == y[row : row + 1].tobytes()
        assert all(a[0].tobytes() == b[row].tobytes() for a, b in zip(state1, state, strict=True))


def test_every_batch_size():
    """Rows 0..B-1 for B = 1..70: whatever tile a row falls into, its bits are the same."""
    for cell in ("lstm", "gru", "rnn"):
        for dtype in ("float32", "float64"):
            case = Case(cell=cell, B=70, T=3, H=9, I=5, dtype=dtype, state=True)
            data = case.data()
            y, _ = forward_numbers(case, data)
            for B in range(1, 70):
                part = {
                    **data,
                    "x": data["x"][:B],
                    "initial_state": tuple(s[:B] for s in data["initial_state"]),
                }
                y_part, _ = forward_numbers(with_(case, B=B), part)
                assert y_part.tobytes() == y[:B].tobytes(), (cell, dtype, B)


@every_case
def test_padding_is_never_read(case):
    """NaN in the padding of x and dy, and more steps of it, change no bit; g.x and y are 0 there."""
    data = case.data()
    if "lengths" not in data:
        data["lengths"] = np.full(case.B, case.T)
    right = everything(case, data)
    extra = 5
    longer = with_(case, T=case.T + extra)
    dy, dstate = case.upstream()
    pad = ((0, 0), (0, extra), (0, 0))
    padded = {**data, "x": np.pad(data["x"], pad, constant_values=np.nan)}
    if "mask" in data:
        padded["mask"] = np.pad(data["mask"], pad[:2], constant_values=True)
    dy = np.pad(dy, pad, constant_values=np.nan)
    valid = longer.valid(padded)
    padded["x"][~valid] = np.nan
    dy[~valid] = np.nan
    y, state, found = gradients(longer, padded, dy, dstate)
    for name, array in (("y", y), ("x", found["x"])):
        assert not array[~valid].any(), name
    found["x"], y = found["x"][:, : case.T], y[:, : case.T]
    flat = {"y": y, **{f"state.{k}": s for k, s in enumerate(state)}}
    for key, value in found.items():
        parts = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        flat.update({f"d{key}" + ("" if k is None else f".{k}"): v for k, v in parts})
    same_bits(right, flat)


@every_case
def test_lengths_equal_the_same_mask(case):
    """A mask of full rows up to each length is the same call as those lengths."""
    data = case.data()
    valid = case.valid(data)
    masked = {k: v for k, v in data.items() if k != "lengths"} | {"mask": valid}
    same_bits(everything(case, data), everything(case, masked))


def test_holes_equal_the_squeezed_sequence():
    """A row with holes gives what the row without its holes gives."""
    for cell in ("lstm", "gru", "rnn"):
        case = Case(cell=cell, T=12, B=1, holes=True, state=True, dtype="float32")
        data = case.data()
        mask = data.pop("mask")
        y, state = forward_numbers(case, {**data, "mask": mask})
        short = {**data, "x": data["x"][:, mask[0]]}
        y_short, state_short = forward_numbers(with_(case, T=int(mask.sum())), short)
        assert y[:, mask[0]].tobytes() == y_short.tobytes()
        assert state[0].tobytes() == state_short[0].tobytes()


@every_case
def test_packed_weights_equal_raw_ones(case):
    data = case.data()
    named = {k: data[k] for k in ("peephole", "projection") if k in data}
    options = {"reset_after": case.reset_after} if case.cell == "gru" else {}
    packed = F.pack(case.cell, data["W"], data["R"], data.get("b"), **named, **options)
    keywords = {
        k: data[k] for k in ("initial_state", "lengths", "mask", "recurrent_mask") if k in data
    }
    out = getattr(F, case.cell)(data["x"], packed, **keywords, **case.options())
    right = forward(case, data)
    assert out.y.tobytes() == right.y.tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(out.state, right.state, strict=True))


def test_few_tokens_equal_many():
    """The path for tiny T*B reads raw weights; a row's first step there equals its first step in a long batch."""
    for cell in ("lstm", "gru", "rnn"):
        for dtype in ("float32", "float64"):
            for H in (7, 16, 33, 70):
                big = Case(cell=cell, B=40, T=12, H=H, I=11, dtype=dtype, state=True)
                data = big.data()
                y, _ = forward_numbers(big, data)
                for B, T in ((1, 1), (1, 2), (2, 1), (3, 3), (8, 1), (1, 12)):
                    small = {
                        **data,
                        "x": data["x"][:B, :T],
                        "initial_state": tuple(s[:B] for s in data["initial_state"]),
                    }
                    y_small, _ = forward_numbers(with_(big, B=B, T=T), small)
                    assert y_small.tobytes() == y[:B, :T].tobytes(), (cell, dtype, H, B, T)


def test_steps_one_by_one_equal_the_sequence():
    """A step at a time with the state carried over, as a server does it."""
    for case in CASES:
        if case.reverse or case.T > 20:
            continue
        case = with_(case, lengths=False, holes=False)
        data = case.data()
        y, state = forward_numbers(case, data)
        carried = data.get("initial_state")
        for t in range(case.T):
            step = {**data, "x": data["x"][:, t : t + 1]}
            step.pop("initial_state", None)
            if carried is not None:
                step["initial_state"] = carried
            y_t, carried = forward_numbers(with_(case, T=1), step)
            assert y_t[:, 0].tobytes() == y[:, t].tobytes(), (label(case), t)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(carried, state, strict=True))


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_more_rows_than_a_chunk_of_inputs(threads, monkeypatch):
    """In inference each thread has room for the gates of its own rows, however many they are."""
    case = Case(cell="lstm", T=12, B=9000, I=2, H=8, lengths=True)
    data = case.data()
    with fastrnn.threads(1):
        y, state = forward_numbers(case, data)
    monkeypatch.setenv("FASTRNN_PLAN", "batch")
    with fastrnn.threads(threads):
        y_shared, state_shared = forward_numbers(case, data)
    same_bits({"y": y, "h": state[0]}, {"y": y_shared, "h": state_shared[0]})


def test_the_same_call_twice():
    for case in CASES:
        same_bits(everything(case, case.data()), everything(case, case.data()))


def test_the_dense_functions(monkeypatch):
    """linear, embedding, softmax_cross_entropy and matmul, forward and backward."""
    rng = np.random.default_rng(0)
    for dtype in ("float32", "float64"):
        x = rng.standard_normal((29, 83, 61)).astype(dtype)
        W, b = rng.standard_normal((61, 75)).astype(dtype), rng.standard_normal(75).astype(dtype)
        E = rng.standard_normal((11, 61)).astype(dtype)
        ids = rng.integers(0, 11, (29, 83))
        targets = rng.integers(0, 75, (29, 83))

        def run():
            embedded = F.embedding(ids, E, training=True)  # noqa: B023
            dense = F.linear(x, W, b, training=True)  # noqa: B023
            loss = F.softmax_cross_entropy(dense.y, targets, training=True)  # noqa: B023
            dlogits = F.backward(loss.tape).logits
            mse = MeanSquaredError().compute(dense.y, dense.y * 0.3)
            g = F.backward(dense.tape, dlogits)
            gE = F.backward(embedded.tape, g.x)
            product = F.matmul(x.reshape(-1, 61), W)  # noqa: B023
            return {
                "y": dense.y,
                "loss": np.array(loss.loss),
                "dl": dlogits,
                "mse": np.array(mse[0]),
                "dmse": mse[1],
                "x": g.x,
                "W": g.W,
                "b": g.b,
                "E": gE.W,
                "product": product,
            }

        with fastrnn.threads(1):
            first = run()
        for n in (2, 3, 4, 7):
            with fastrnn.threads(n):
                same_bits(first, run())
