"""Attention and AdditiveAttention against a transcription in loops, and against finite differences."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrnn
from fastrnn.errors import ArgumentError, ShapeError, TapeError
from fastrnn.layers import AdditiveAttention, Attention, Input
from helpers import budget
from layer_gradients import check_gradients

KINDS = {
    "dot": (Attention, {}),
    "scaled": (Attention, {"use_scale": True}),
    "concat": (Attention, {"score_mode": "concat"}),
    "scaled concat": (Attention, {"score_mode": "concat", "use_scale": True}),
    "additive": (AdditiveAttention, {}),
    "additive, no scale": (AdditiveAttention, {"use_scale": False}),
}


def make(kind, **options):
    cls, arguments = KINDS[kind]
    return cls(**{"dtype": "float64", "seed": 1, **arguments, **options})


def score(kind, weights, q, k):
    """Of one query and one key; `weights` by name."""
    scale = weights.get("scale", 1.0)
    if kind in ("dot", "scaled"):
        return scale * float((q * k).sum())
    if "concat" in kind:
        return weights["concat_score_weight"] * float(np.tanh(scale * (q + k)).sum())
    return float((scale * np.tanh(q + k)).sum())


def transcription(kind, weights, query, value, key, query_mask=None, value_mask=None, causal=False):
    """One query at a time. Keras takes 1e9 from the scores of masked values."""
    B, Tq, Tv = len(query), query.shape[1], value.shape[1]
    y, shares = np.zeros((B, Tq, value.shape[2])), np.zeros((B, Tq, Tv))
    for b in range(B):
        for i in range(Tq):
            scores = np.array([score(kind, weights, query[b, i], key[b, j]) for j in range(Tv)])
            for j in range(Tv):
                if (value_mask is not None and not value_mask[b, j]) or (causal and j > i):
                    scores[j] -= 1e9
            powers = np.exp(scores - scores.max())
            shares[b, i] = powers / powers.sum()
            if query_mask is None or query_mask[b, i]:
                y[b, i] = sum(shares[b, i, j] * value[b, j] for j in range(Tv))
    return y, shares


@st.composite
def cases(draw):
    size = st.integers(1, 4)
    return {
        "kind": draw(st.sampled_from(list(KINDS))),
        "sizes": draw(st.tuples(st.integers(1, 3), size, size, size, size)),  # B, Tq, Tv, D, E
        "with_key": draw(st.booleans()),
        "masks": draw(st.tuples(st.booleans(), st.booleans())),
        "causal": draw(st.booleans()),
        "scores": draw(st.booleans()),
        "seed": draw(st.integers(0, 999)),
    }


def numbers(case):
    B, Tq, Tv, D, E = case["sizes"]
    rng = np.random.default_rng(case["seed"])
    shapes = [(B, Tq, D), (B, Tv, E if case["with_key"] else D)]
    arrays = [rng.standard_normal(s) for s in [*shapes, (B, Tv, D)][: 2 + case["with_key"]]]
    mask = [
        rng.random((B, T)) < 0.6 if yes else None
        for T, yes in zip((Tq, Tv), case["masks"], strict=True)
    ]
    options = {"use_causal_mask": case["causal"], "return_attention_scores": case["scores"]}
    return arrays, mask, options, rng


@settings(max_examples=budget(60))
@given(cases())
def test_values(case):
    arrays, mask, options, rng = numbers(case)
    layer = make(case["kind"])
    layer.build([a.shape for a in arrays])
    layer.set_weights([rng.standard_normal(w.shape) for w in layer.get_weights()])
    weights = {p.name.split("/")[-1]: p.value for p in layer.weights}
    y, shares = transcription(case["kind"], weights, *arrays[:2], arrays[-1], *mask, case["causal"])
    out = layer.run(arrays, mask=mask, **options)
    found, scores = out if case["scores"] else (out, shares)
    np.testing.assert_allclose(found, y, rtol=0, atol=1e-12)
    np.testing.assert_allclose(scores, shares, rtol=0, atol=1e-12)
    assert layer.compute_output_shape([a.shape for a in arrays]) == y.shape
    out = layer.run(arrays, mask=mask, training=True, **options)
    np.testing.assert_array_equal(out[0] if case["scores"] else out, found)
    cover = layer.compute_mask(arrays, mask)
    assert (cover is None) == (mask[0] is None) and np.array_equal(cover, mask[0])

    single = make(case["kind"], dtype="float32")
    single.build([a.shape for a in arrays])
    single.set_weights(layer.get_weights())
    valued = [None, None if mask[1] is None else mask[1] | ~mask[1].any(1, keepdims=True)]
    narrow = single.run(arrays, mask=valued)
    wide = layer.run(arrays, mask=valued)
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, wide, rtol=1e-4, atol=1e-5)


@settings(max_examples=budget(50))
@given(cases())
def test_gradients(case):
    arrays, mask, options, rng = numbers(case)
    if mask[1] is not None:
        mask[1][:, 0] = True  # 1e9 off all scores of a row leaves them 7 digits
    check_gradients(make(case["kind"]), arrays, rng, mask=mask, **options, redraw=True)


@pytest.mark.parametrize("kind", list(KINDS))
def test_gradients_in_every_entry(kind):
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal(s) for s in ((2, 3, 2), (2, 4, 3), (2, 4, 2))]
    mask = [np.array([[1, 0, 1], [1, 1, 1]], bool), np.array([[1, 0, 1, 1], [0, 1, 1, 0]], bool)]
    check_gradients(make(kind), arrays, rng, mask=mask, redraw=True)


@pytest.mark.parametrize("kind", ["dot", "additive"])
def test_gradients_with_dropout(kind):
    layer = make(kind, dropout=0.4)
    rng = np.random.default_rng(5)
    arrays = [rng.standard_normal((2, 3, 2)), rng.standard_normal((2, 5, 2))]

    check_gradients(layer, arrays, rng, return_attention_scores=True, redraw=True)


def test_dropout_drops_that_share_of_the_weights_in_training_only():
    rng = np.random.default_rng(6)
    arrays = [rng.standard_normal((20, 10, 3)), rng.standard_normal((20, 30, 3))]
    layer = make("dot", dropout=0.25)
    _, kept = layer(arrays, return_attention_scores=True)
    y, dropped = layer(arrays, training=True, return_attention_scores=True)
    ratio = dropped / kept
    assert abs((ratio == 0).mean() - 0.25) < 0.03
    np.testing.assert_allclose(ratio[ratio > 0], 1 / 0.75, rtol=1e-12)
    np.testing.assert_allclose(y, dropped @ arrays[1], rtol=0, atol=1e-12)
    other = layer(arrays, training=True, return_attention_scores=True)[1]
    assert (other != dropped).any()
    assert not make("dot", dropout=1.0)(arrays, training=True).any()


def test_rows_without_valid_values_are_those_of_keras():
    """1e9 off all scores: float64 still tells them apart, float32 does not."""
    rng = np.random.default_rng(7)
    arrays = [rng.standard_normal((1, 2, 3)), rng.standard_normal((1, 4, 3))]
    hidden = [None, np.zeros((1, 4), bool)]
    wide = make("dot")
    wide.build([a.shape for a in arrays])
    np.testing.assert_allclose(wide.run(arrays, mask=hidden), wide.run(arrays), rtol=1e-6)
    narrow = make("dot", dtype="float32")
    narrow.build([a.shape for a in arrays])
    mean = np.repeat(arrays[1].mean(1, keepdims=True), 2, axis=1)
    np.testing.assert_allclose(narrow.run(arrays, mask=hidden), mean, rtol=1e-5, atol=1e-6)


def test_scores_may_be_huge():
    arrays = [np.full((1, 1, 2), 1e3), np.array([[[1e3, 1e3], [-1e3, 1e3]]])]
    assert make("dot")(arrays).tolist() == [[[1e3, 1e3]]]


def test_a_mask_of_the_scores_themselves():
    rng = np.random.default_rng(8)
    arrays = [rng.standard_normal((2, 3, 2)), rng.standard_normal((2, 4, 2))]
    pairs = rng.random((2, 3, 4)) < 0.7
    pairs[..., 0] = True
    layer = make("dot")
    _, shares = layer(arrays, mask=[None, pairs], return_attention_scores=True)
    assert not shares[~pairs].any() and (shares[pairs] > 0).all()


def test_more_axes_before_the_steps():
    rng = np.random.default_rng(9)
    arrays = [rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 6, 5))]
    together = make("dot")(arrays)
    apart = [make("dot")([arrays[0][:, i], arrays[1][:, i]]) for i in range(3)]
    np.testing.assert_array_equal(together, np.stack(apart, axis=1))


def test_the_same_bits_for_any_threads_and_any_batch():
    rng = np.random.default_rng(10)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in ((9, 40, 48), (9, 50, 48))]
    layer = make("scaled", dtype="float32")
    dy = rng.standard_normal((9, 40, 48)).astype(np.float32)

    def everything():
        layer.forget()
        return [layer(arrays, training=True), *layer.backward(dy), layer.scale.grad.copy()]

    with fastrnn.threads(1):
        one = everything()
    with fastrnn.threads(4):
        four = everything()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, four, strict=True))
    assert layer([a[3:4] for a in arrays]).tobytes() == one[0][3:4].tobytes()


def test_symbolic_calls():
    query, value = Input((None, 3)), Input((7, 3))
    y, scores = Attention()([query, value], return_attention_scores=True)
    assert y.shape == (None, None, 3) and scores.shape == (None, None, 7)
    assert y.node is scores.node and (y.index, scores.index) == (0, 1)
    assert AdditiveAttention()([query, value]).shape == (None, None, 3)


def test_masks_of_the_outputs():
    arrays = [np.ones((2, 3, 2)), np.ones((2, 4, 2))]
    mask = [np.ones((2, 3), bool), None]
    layer = make("dot")
    layer.build([a.shape for a in arrays])
    _, cover = layer.run_masked(arrays, mask, False)
    np.testing.assert_array_equal(cover, mask[0])
    _, covers = layer.run_masked(arrays, mask, False, return_attention_scores=True)
    assert len(covers) == 2 and covers[1] is None
    assert layer.run_masked(arrays, None, False)[1] is None


@pytest.mark.parametrize("kind", list(KINDS))
def test_names_shapes_and_configurations(kind):
    layer = make(kind, dropout=0.1, name="here")
    layer.build([(None, 2, 3), (None, 4, 3)])
    names = {p.name: p.shape for p in layer.weights}
    expected = {}
    if KINDS[kind][1].get("use_scale", KINDS[kind][0] is AdditiveAttention):
        expected["here/scale"] = (3,) if KINDS[kind][0] is AdditiveAttention else ()
    if "concat" in kind:
        expected["here/concat_score_weight"] = ()
    assert names == expected
    if KINDS[kind][0] is Attention:
        assert all(p.value == 1.0 for p in layer.weights)
    again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()
    assert ("score_mode" in layer.get_config()) == (KINDS[kind][0] is Attention)


def test_a_frozen_layer_learns_nothing():
    layer = make("scaled", trainable=False)
    arrays = [np.ones((1, 2, 2)), np.ones((1, 3, 2))]
    layer(arrays, training=True)
    layer.backward(np.ones((1, 2, 2)))
    assert layer.scale.grad is None


A = np.ones((2, 3, 4))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Attention()(A), ArgumentError, "list of 2 to 3"),
        (lambda: Attention()([A]), ArgumentError, "got 1 of them"),
        (lambda: Attention()([A, A, A, A]), ArgumentError, "got 4 of them"),
        (lambda: Attention(score_mode="cosine"), ArgumentError, "dot or concat"),
        (lambda: Attention(dropout=1.5), ArgumentError, "dropout must be"),
        (lambda: Attention()([A, A[..., :2]]), ShapeError, r"\(B, Tq, D\)"),
        (lambda: Attention()([A, A, A[:, :2]]), ShapeError, r"\(B, Tv, E\)"),
        (lambda: Attention()([A, A[:1]]), ShapeError, r"\(B, Tv, E\)"),
        (lambda: Attention()([A[0], A[0]]), ShapeError, r"\(B, Tv, E\)"),
        (lambda: AdditiveAttention()([A, A[..., :2]]), ShapeError, r"\(B, Tv, E\)"),
        (lambda: Attention()([A, A], mask=np.ones((2, 3), bool)), ArgumentError, "list of 2 or 3"),
        (lambda: Attention()([A, A], mask=[None]), ArgumentError, "list of 2 or 3"),
        (
            lambda: Attention()([A, A], mask=[np.ones((2, 4), bool), None]),
            ShapeError,
            r"mask of the query must have shape \(2, 3\)",
        ),
        (
            lambda: Attention()([A, A], mask=[None, np.ones((2, 4), bool)]),
            ShapeError,
            r"mask of the value must have shape \(2, 3\)",
        ),
        (
            lambda: Attention()([A, A], mask=[None, np.ones((2, 4, 4), bool)]),
            ShapeError,
            r"mask of the scores must have shape \(2, 3, 3\)",
        ),
        (lambda: Attention().backward(A), TapeError, "training=True"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\nhint: " in str(caught.value)


def test_a_gradient_of_the_wrong_shape():
    layer = Attention()
    layer([A, A], training=True)
    with pytest.raises(ShapeError, match="dy must have shape"):
        layer.backward(A[:, :2])
