"""Losses: values against plain loops, gradients against differences, edges and extremes."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import differences
from fastrnn import errors, losses
from helpers import budget
from loss_reference import CASES, FUSED, SHAPES, draw, reduced, reference


def loss_of(name, options, **more):
    return getattr(losses, name)(**options, **more)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values(case, dtype):
    """Per-sample losses of the function forms, for every shape."""
    name, options, kind = case
    rng = np.random.default_rng(3)
    for shape in SHAPES:
        if shape[-1] == 1 and kind in ("classes", "class logits"):
            continue
        t, p = draw(kind, shape, rng, options.get("ignore_class"))
        p = p.astype(dtype)
        t = t if t.dtype.kind == "i" else t.astype(dtype)
        got = loss_of(name, options).per_sample(t, p)
        assert got.dtype == dtype and got.shape == shape[:-1]
        wanted = reference(name, options, t.astype(float), p.astype(float))
        tolerance = 1e-12 if dtype == "float64" else 2e-5
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


@st.composite
def problems(draw_):
    name, options, kind = draw_(st.sampled_from(CASES))
    shape = draw_(st.sampled_from(SHAPES[:-1]))
    if shape[-1] == 1 and kind in ("classes", "class logits"):
        shape = (*shape[:-1], 3)
    reduction = draw_(
        st.sampled_from(["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none"])
    )
    weights = draw_(st.sampled_from(["none", "sample", "step", "zeros"]))
    mask = draw_(st.sampled_from(["none", "holes", "all"]))
    fused = name in FUSED and draw_(st.booleans())
    return name, options, kind, shape, reduction, weights, mask, fused, draw_(st.integers(0, 999))


def arrays_of(problem):
    """Everything that `compute` takes, drawn for a problem."""
    name, options, kind, shape, _, weighing, masking, fused, seed = problem
    rng = np.random.default_rng(seed)
    t, p = draw(FUSED[name] if fused else kind, shape, rng, options.get("ignore_class"))
    weights = mask = None
    if weighing != "none":
        weights = 0.2 + rng.random(shape[:1] if weighing == "sample" else shape[:-1])
        if weighing == "zeros":
            weights[rng.random(weights.shape) < 0.4] = 0
    if masking != "none":
        mask = rng.random(shape[:-1]) < (0.7 if masking == "holes" else 0.0)
    return t, p, weights, mask


@settings(max_examples=budget(150))
@given(problems())
def test_compute(problem):
    """The reduced loss against loops, its gradient against differences, with weights and masks."""
    name, options, _, shape, reduction, _, _, fused, seed = problem
    t, p, weights, mask = arrays_of(problem)
    loss = loss_of(name, options, reduction=reduction)
    value, dy = loss.compute(t, p, sample_weight=weights, mask=mask, logits=fused)
    as_given = {**options, **({"from_logits": True} if fused else {})}
    ignored = t == options["ignore_class"] if "ignore_class" in options else None
    values = reference(name, as_given, t, p)
    wanted, _ = reduced(values, reduction, weights, mask, ignored)
    scale = max(1.0, np.abs(values).max())
    reported = wanted / values.size if reduction == "none" else wanted
    assert value == pytest.approx(reported, rel=1e-11, abs=1e-12 * scale)
    assert type(value) is float and dy.shape == shape and dy.dtype == np.float64

    def objective(named):
        per_sample = reference(name, as_given, t, named["p"])
        return reduced(per_sample, reduction, weights, mask, ignored)[0]

    rng = np.random.default_rng(seed)
    differences.compare(objective, {"p": p}, {"p": dy}, rng, every_entry=p.size < 12)


@settings(max_examples=budget(60))
@given(problems(), st.sampled_from(["float32", "float64"]))
def test_what_does_not_count_may_be_anything(problem, dtype):
    """NaN, infinity and numbers that are no class, at masked steps and under weights of 0."""
    name, options, _, _, reduction, _, _, fused, _ = problem
    t, p, weights, mask = arrays_of(problem)
    p = p.astype(dtype)
    loss = loss_of(name, options, reduction=reduction)
    plain = loss.compute(t, p, sample_weight=weights, mask=mask, logits=fused)
    out = np.zeros(p.shape[:-1], bool) if mask is None else ~mask
    if weights is not None and weights.shape == out.shape:
        out = out | (weights == 0)
    t, p = t.astype(float), p.copy()
    p[out] = np.inf
    if "ignore_class" in options:  # which entries are ignored says how many count
        out = out & (t != options["ignore_class"])
    t[out] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, dy = loss.compute(t, p, sample_weight=weights, mask=mask, logits=fused)
    assert value == plain[0]
    np.testing.assert_array_equal(dy, plain[1])
    assert not dy[out].any() and dy.dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_saturated_inputs(case, dtype):
    """Probabilities of exactly 0 and 1, logits of 1e4 either way: finite, and no log(0) on the way."""
    name, options, _ = case
    t = np.array([[0, 1, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]], dtype)
    p = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]], dtype)
    if options.get("from_logits"):
        p = 2e4 * p - 1e4
    loss = loss_of(name, options)
    if name.startswith("Sparse"):
        t = np.array([1, 1, 0, 0])
    with np.errstate(all="raise", under="ignore"):
        values = loss.values(t, p)
        dy = loss.gradient(t, p, np.ones(4, dtype))
    assert np.isfinite(values).all() and np.isfinite(dy).all()
    assert values.dtype == dtype and dy.dtype == dtype
    if loss.fuses:
        value, dy = loss.compute(t, 2e4 * p - 1e4, logits=True)
        assert math.isfinite(value) and np.isfinite(dy).all()
        assert (
            value > 1000 or "ignore_class" in options
        )  # the second row is as wrong as can be: nothing was clipped


def slope(name, t, p, **options):
    t, p = np.array([t], float), np.array([p], float)
    return loss_of(name, options, reduction="sum").compute(t, p)[1][0].tolist()


def test_gradients_at_kinks_and_ends():
    """Where no difference can tell: what is held constant has the derivative 0; Keras's sides at kinks."""
    assert slope("BinaryCrossentropy", [1, 0], [0, 1]) == [0, 0]
    assert slope("CategoricalCrossentropy", [1, 0], [0, 1]) == [0, 0]
    assert losses.get("sparse_categorical_crossentropy").compute([0], np.eye(2)[1:])[1].max() == 0
    assert slope("KLDivergence", [0.5, 0.5], [0, 2]) == [0, 0]
    assert slope("MeanSquaredLogarithmicError", [1, 1], [-1, 0]) == [0, 0]
    assert slope("MeanAbsoluteError", [1, 1], [1, 3]) == [0, 0.5]
    assert slope("Huber", [0], [1]) == [1]
    assert slope("Hinge", [1, 1], [1, 1.5]) == [-0.5, 0]
    assert slope("CategoricalHinge", [0, 0, 1], [1, 1, 0.5]) == [0.5, 0.5, -1]
    assert slope("CategoricalHinge", [0, 1], [0, 1.5]) == [0, 0]
    # Shorter than 1e-7 the length is held, and the loss is linear.
    assert slope("CosineSimilarity", [0, 1], [0, 1e-8]) == pytest.approx([0, -1e7])
    assert slope("CosineSimilarity", [0, 1], [0, 0]) == pytest.approx([0, -1e7])


def test_targets_that_do_not_count_do_not_tell_the_kind_of_labels():
    """0 and 1 are taken for -1 and 1 only if there is nothing else; NaN under a mask is nothing."""
    t, p = np.array([[0.0], [1.0], [np.nan]]), np.array([[-0.5], [3.0], [1.0]])
    assert losses.Hinge().compute(t, p, mask=[True, True, False])[0] == 0.25


def test_weights_that_add_up_to_nothing():
    loss = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    value, dy = loss.compute([[1.0], [2.0]], [[3.0], [3.0]], sample_weight=[1.0, -1.0])
    assert value == 0 and not dy.any()  # Keras divides by 0 to 0
    value, dy = losses.MeanSquaredError().compute(
        [[1.0], [2.0]], [[3.0], [3.0]], sample_weight=[1.0, np.nan], mask=[True, False]
    )
    assert value == 4 and dy.tolist() == [[4.0], [0.0]]


@pytest.mark.parametrize("name", FUSED)
def test_fused_is_what_the_activation_gives(name):
    rng = np.random.default_rng(0)
    t, z = draw(FUSED[name], (6, 5), rng)
    loss = loss_of(name, {})
    e = np.exp(z)
    p = e / (1 + e) if loss.fuses == "sigmoid" else e / e.sum(-1, keepdims=True)
    fused, apart = loss.compute(t, z, logits=True), loss.compute(t, p)
    assert fused[0] == pytest.approx(apart[0], rel=1e-9)
    _, dp = apart
    dz = dp * p * (1 - p) if loss.fuses == "sigmoid" else p * (dp - (dp * p).sum(-1, keepdims=True))
    np.testing.assert_allclose(fused[1], dz, atol=1e-9)
    given_logits = loss_of(name, {"from_logits": True}).compute(t, z)
    assert given_logits[0] == fused[0]
    np.testing.assert_array_equal(given_logits[1], fused[1])


@pytest.mark.parametrize("name", ["CosineSimilarity", "BinaryCrossentropy", *list(FUSED)[1:]])
@pytest.mark.parametrize("logits", [False, True])
def test_axis(name, logits):
    """What a loss does over axis 1 is what it does over the last axis of the arrays turned round."""
    if logits and name not in FUSED:
        return
    options = {"from_logits": True} if logits else {}
    rng = np.random.default_rng(1)
    t, p = draw(
        FUSED[name] if logits else "numbers" if "Sparse" in name else "classes", (3, 4, 5), rng
    )
    turned = t if name.startswith("Sparse") else np.moveaxis(t, -1, 1)
    weights = np.array([[1.0, 0.0, 2.0, 1.0]] * 3)
    loss = loss_of(name, options, axis=1)
    value, dy = loss.compute(turned, np.moveaxis(p, -1, 1), sample_weight=weights)
    wanted = loss_of(name, options).compute(t, p, sample_weight=weights)
    assert value == pytest.approx(wanted[0], rel=1e-12)
    np.testing.assert_allclose(np.moveaxis(dy, 1, -1), wanted[1], atol=1e-15)
    assert loss.fuses in (None, "sigmoid")
    with pytest.raises(errors.ShapeError, match="axis 2 must be one of y_pred's"):
        loss_of(name, options, axis=2).compute(np.ones((3, 4)), np.ones((3, 4)))
    with pytest.raises(errors.ArgumentError, match=r"axis must be an integer, got 1\.5"):
        loss_of(name, options, axis=1.5)


def test_many_classes_and_few():
    """Work arrays are laid out by the number of classes, which must not matter."""
    rng = np.random.default_rng(2)
    for C in (1, 2, 127, 128, 129, 300):
        t, z = draw("number logits", (7, C), rng)
        value, dy = losses.SparseCategoricalCrossentropy().compute(t, z, logits=True)
        e = np.exp(z - z.max(-1, keepdims=True))
        p = e / e.sum(-1, keepdims=True)
        assert value == pytest.approx(-np.log(p[np.arange(7), t]).mean(), rel=1e-12)
        np.testing.assert_allclose(dy, (p - np.eye(C)[t]) / 7, atol=1e-15)
        assert dy.flags.c_contiguous
