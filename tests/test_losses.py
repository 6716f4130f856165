"""Losses: values against plain loops, gradients against differences, reductions, weights, masks, shapes, names."""

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


RANKS = [  # y_true, y_pred, per-sample losses
    ((4,), (4, 1), (4,)),
    ((4, 1), (4,), (4,)),
    ((4,), (4,), ()),
    ((4, 3), (4, 3, 1), (4,)),
    ((4, 3, 1), (4, 3), (4,)),
    ((4, 1), (4, 1, 1), (4,)),
    ((2, 4, 3), (2, 4, 3), (2, 4)),
]


@pytest.mark.parametrize(("true", "pred", "values"), RANKS)
def test_an_axis_of_one_may_be_missing(true, pred, values):
    rng = np.random.default_rng(0)
    t, p = rng.random(true), rng.random(pred)
    assert losses.mean_squared_error(t, p).shape == values
    value, dy = losses.MeanSquaredError().compute(t, p)
    assert value == pytest.approx(np.square(t.ravel() - p.ravel()).mean())
    assert dy.shape == pred
    np.testing.assert_allclose(dy.ravel(), 2 * (p.ravel() - t.ravel()) / p.size)


def test_weights_per_step_need_no_axis_in_the_targets():
    """(B, T) targets, (B, T, 1) outputs, (B, T) mask: Keras fails here."""
    rng = np.random.default_rng(0)
    t, p, mask = rng.random((4, 3)), rng.random((4, 3, 1)), rng.random((4, 3)) < 0.5
    loss = losses.MeanSquaredError()
    short, full = loss.compute(t, p, mask=mask), loss.compute(t[..., None], p, mask=mask)
    assert short[0] == full[0]
    np.testing.assert_array_equal(short[1], full[1])


def test_weights_and_masks_of_several_ranks():
    rng = np.random.default_rng(0)
    t, p = rng.random((4, 3, 2)), rng.random((4, 3, 2))
    w, steps, mask = rng.random(4), rng.random((4, 3)), rng.random((4, 3)) < 0.6
    compute = losses.MeanSquaredError().compute
    per_step = np.repeat(w[:, None], 3, axis=1)
    wanted = compute(t, p, sample_weight=per_step)[0]
    assert compute(t, p, sample_weight=w)[0] == compute(t, p, sample_weight=w[:, None])[0] == wanted
    assert compute(t, p, sample_weight=steps[..., None])[0] == compute(t, p, sample_weight=steps)[0]
    assert compute(t, p, sample_weight=2.0)[0] == pytest.approx(2 * compute(t, p)[0])
    wanted = compute(t, p, sample_weight=per_step, mask=mask)[0]
    for weights in (w, w[:, None], w[:, None, None]):
        assert compute(t, p, sample_weight=weights, mask=mask[..., None])[0] == wanted
        assert compute(t, p, sample_weight=weights, mask=mask)[0] == wanted


@pytest.mark.parametrize(
    "kind",
    [
        losses.MeanSquaredError,
        losses.MeanAbsoluteError,
        losses.Huber,
        losses.LogCosh,
        losses.Poisson,
    ],
)
def test_the_mean_over_no_features_is_not_a_number(kind):
    """As NumPy's mean of nothing; the mean over no samples is 0."""
    for shape in ((2, 0), (2, 3, 0)):
        loss, dy = kind().compute(np.ones(shape), np.ones(shape))
        assert np.isnan(loss) and dy.shape == shape
    assert kind().compute(np.ones((0, 0)), np.ones((0, 0)))[0] == 0.0


def test_calls():
    t, p = [[0.0], [1.0]], [[1.0], [3.0]]
    assert losses.MeanSquaredError()(t, p) == 2.5
    assert losses.MeanSquaredError(reduction="sum")(t, p, sample_weight=[1, 0.5]) == 3.0
    for reduction in ("none", None):
        got = losses.MeanSquaredError(reduction=reduction)(t, p, sample_weight=[1, 0.5])
        assert got.tolist() == [1.0, 2.0] and got.dtype == np.float32
    assert losses.MeanSquaredError().compute(t, p, gradient=False) == (2.5, None)
    empty = losses.MeanSquaredError().compute(np.ones((0, 3)), np.ones((0, 3)))
    assert empty[0] == 0.0 and empty[1].shape == (0, 3)
    assert losses.MeanSquaredError(dtype="float64").compute(t, p)[1].dtype == np.float64
    assert losses.MeanSquaredError().compute(t, np.array(p))[1].dtype == np.float64
    assert losses.MeanSquaredError().compute(t, p)[1].dtype == np.float32
    ignore = losses.sparse_categorical_crossentropy([0, 9], [[0.5, 0.5]] * 2, ignore_class=9)
    assert ignore[1] == 0 and ignore[0] > 0.69


def test_squared_errors_in_one_sweep():
    """Many of them, in several pieces, in any layout; a subclass with other terms goes its own way."""
    rng = np.random.default_rng(1)
    mse = losses.MeanSquaredError()
    for shape in ((1, 1), (33, 7, 3), (401, 83, 3), (0, 3)):
        for dtype in ("float32", "float64"):
            t, p = rng.standard_normal((2, *shape)).astype(dtype)
            value, dy = mse.compute(t, p)
            error = p.astype(float) - t
            assert value == pytest.approx(np.mean(error**2) if t.size else 0.0, rel=1e-6)
            np.testing.assert_allclose(dy, 2 * error / max(t.size, 1), rtol=1e-5, atol=1e-9)
            assert dy.dtype == dtype and mse.compute(t, p, gradient=False) == (value, None)
            fortran = mse.compute(np.asfortranarray(t), np.asfortranarray(p))
            assert fortran[0] == value and fortran[1].tobytes() == dy.tobytes()
    big = np.full((2, 1), 1e30, np.float32)
    assert mse.compute(np.zeros_like(big), big)[0] == math.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a number that float32 cannot hold is as silent
        assert mse.compute([[0.0]], big[:1])[0] == mse.compute(np.array([[1e300]]), big[:1])[0]

    class Quartic(losses.MeanSquaredError):
        def terms(self, y_true, y_pred):
            return (y_pred - y_true) ** 4

    assert Quartic().compute([[0.0]], [[2.0]])[0] == 16.0


def test_inputs_stay_as_they_are():
    rng = np.random.default_rng(0)
    for name, options, kind in CASES:
        t, p = draw(kind, (6, 3), rng)
        p = np.asfortranarray(p)
        before = t.copy(), p.copy()
        t.setflags(write=False), p.setflags(write=False)
        loss = loss_of(name, options)
        first = loss.compute(t, p)
        again = loss.compute(t.copy(), np.ascontiguousarray(p))
        np.testing.assert_array_equal(before[0], t)
        np.testing.assert_array_equal(before[1], p)
        assert first[0] == again[0] and first[1].tobytes() == again[1].tobytes()


NAMES = {
    "MeanSquaredError": ["mse", "MSE", "mean_squared_error"],
    "MeanAbsoluteError": ["mae", "MAE", "mean_absolute_error"],
    "MeanAbsolutePercentageError": ["mape", "MAPE", "mean_absolute_percentage_error"],
    "MeanSquaredLogarithmicError": ["msle", "MSLE", "mean_squared_logarithmic_error"],
    "Huber": ["huber"],
    "LogCosh": ["log_cosh"],
    "Poisson": ["poisson"],
    "Hinge": ["hinge"],
    "SquaredHinge": ["squared_hinge"],
    "CategoricalHinge": ["categorical_hinge"],
    "CosineSimilarity": ["cosine_similarity"],
    "KLDivergence": ["kld", "KLD", "kl_divergence"],
    "BinaryCrossentropy": ["bce", "BCE", "binary_crossentropy"],
    "CategoricalCrossentropy": ["categorical_crossentropy"],
    "SparseCategoricalCrossentropy": ["sparse_categorical_crossentropy"],
}


@pytest.mark.parametrize("name", NAMES)
def test_get(name):
    cls = getattr(losses, name)
    for alias in [name, *NAMES[name]]:
        assert type(losses.get(alias)) is cls
    assert type(losses.get(getattr(losses, NAMES[name][-1]))) is cls  # the function
    assert type(losses.get(cls)) is cls
    loss = cls(reduction="sum", name="mine")
    assert losses.get(loss) is loss
    config = {"class_name": name, "config": loss.get_config()}
    again = losses.get(config)
    assert type(again) is cls and again.get_config() == loss.get_config()
    assert again.reduction == "sum" and again.name == "mine"
    assert set(loss.get_config()) >= {"name", "reduction"} and "dtype" not in loss.get_config()
    assert losses.get(None) is None


def test_configurations_keep_arguments():
    for name, options, _ in CASES:
        loss = loss_of(name, options)
        config = loss.get_config()
        assert options.items() <= config.items()
        assert type(loss).from_config(config).get_config() == config
    assert losses.Huber(dtype="float64").get_config()["dtype"] == "float64"


@pytest.mark.parametrize("word", ["crossentropy", "ce", "CE"])
def test_resolve(word):
    table = [
        ((8, 1), (8, 1), "binary"),
        ((8,), (8, 5), "sparse_categorical"),
        ((8, 1), (8, 5), "sparse_categorical"),
        ((8, 5), (8, 5), "categorical"),
        ((8, 3), (8, 3, 5), "sparse_categorical"),
        ((8, 3, 1), (8, 3, 1), "binary"),
    ]
    for true, pred, kind in table:
        got = losses.resolve(word, np.zeros(true), np.zeros(pred))
        assert got.name == f"{kind}_crossentropy"
    assert losses.resolve("mse", [[1]], [[1]]).name == "mean_squared_error"


class Half(losses.Loss):
    def values(self, y_true, y_pred):
        return 0.5 * np.square(y_pred - y_true).sum(-1)

    def gradient(self, y_true, y_pred, dvalues):
        return (y_pred - y_true) * dvalues[..., None]


def test_losses_of_your_own():
    rng = np.random.default_rng(0)
    t, p = rng.random((4, 2)), rng.random((4, 2))
    value, dy = Half().compute(t, p, sample_weight=[1, 0, 2, 1])
    assert value == pytest.approx(np.dot([1, 0, 2, 1], 0.5 * np.square(p - t).sum(-1)) / 4)
    np.testing.assert_allclose(dy, (p - t) * np.array([[1], [0], [2], [1]]) / 4)
    assert Half(name="half").get_config() == {"name": "half", "reduction": "sum_over_batch_size"}
    assert losses.get(Half).compute(t, p)[0] == Half().compute(t, p)[0]

    def half(y_true, y_pred):
        return Half().values(y_true, y_pred)

    half.gradient = Half().gradient
    loss = losses.get(half)
    assert loss.name == "half" and loss.compute(t, p)[0] == Half().compute(t, p)[0]
    np.testing.assert_array_equal(loss.compute(t, p)[1], Half().compute(t, p)[1])

    class Pairwise(Half):
        same_shape = False

        def values(self, y_true, y_pred):
            return y_pred[:, 0] * y_true[:, 2]

    assert Pairwise()(np.ones((2, 3)), np.ones((2, 4))) == 1.0


def test_a_class_without_target_weighs_nothing():
    """Logits of -inf, which some models set, and one-hot targets elsewhere."""
    value, dy = losses.CategoricalCrossentropy(from_logits=True).compute(
        np.array([[0.0, 1.0]]), np.array([[-np.inf, 2.0]])
    )
    assert value == 0 and dy.tolist() == [[0.0, 0.0]]


def test_a_single_class_is_warned_about():
    with pytest.warns(SyntaxWarning, match="single class"):
        losses.categorical_crossentropy([[1.0]], [[0.5]])


def shout(y_true, y_pred):
    return y_pred


SCCE = "SparseCategoricalCrossentropy"
WRONG = [
    (
        lambda: losses.get("mes"),
        errors.ArgumentError,
        "loss must be a known name, got 'mes'; did you mean .*'mse'",
    ),
    (
        lambda: losses.get(shout),
        errors.ArgumentError,
        "needs a gradient, got 'shout'.*\nhint: subclass fastrnn.losses.Loss",
    ),
    (lambda: losses.get(3), errors.ArgumentError, "got 3"),
    (
        lambda: losses.Huber(reduction="avg"),
        errors.ArgumentError,
        "Huber: reduction must be one of .*'sum'.*got 'avg'",
    ),
    (lambda: losses.Huber(-1), errors.ArgumentError, "delta must be a positive number, got -1"),
    (
        lambda: losses.BinaryCrossentropy(label_smoothing=2),
        errors.ArgumentError,
        "must lie in 0..1, got 2",
    ),
    (lambda: losses.Loss()([[1.0]], [[1.0]]), errors.ArgumentError, "must have a method 'values'"),
    (
        lambda: losses.Elementwise()([[1.0]], [[1.0]]),
        errors.ArgumentError,
        "must have a method 'terms'",
    ),
    (
        lambda: losses.mean_squared_error(np.ones((4, 2)), np.ones((4, 3))),
        errors.ShapeError,
        r"the shape of y_pred, \(4, 3\), got \(4, 2\)",
    ),
    (
        lambda: losses.mean_squared_error(np.ones((4, 1)), np.ones((4, 3))),
        errors.ShapeError,
        r"\(4, 3\), got \(4, 1\)",
    ),
    (
        lambda: losses.mean_squared_error(1.0, 2.0),
        errors.ShapeError,
        "y_pred must have at least one axis",
    ),
    (
        lambda: losses.mean_squared_error([["a"]], [[1.0]]),
        errors.DTypeError,
        "y_true must hold numbers",
    ),
    (
        lambda: losses.mean_squared_error([[1.0]], [[1j]]),
        errors.DTypeError,
        "y_pred must hold numbers, got complex128",
    ),
    (
        lambda: losses.MeanSquaredError().compute([[1.0]], [[1.0]], logits=True),
        errors.ArgumentError,
        "no activation is fused",
    ),
    (
        lambda: losses.MeanSquaredError()(np.ones((4, 2)), np.ones((4, 2)), np.ones(3)),
        errors.ShapeError,
        r"must have shape \(4,\), got \(3,\)",
    ),
    (
        lambda: losses.MeanSquaredError().compute(
            np.ones((4, 3, 2)), np.ones((4, 3, 2)), mask=np.ones((4, 2))
        ),
        errors.ShapeError,
        r"\(4, 3\) or \(4,\), got \(4, 2\)",
    ),
    (
        lambda: losses.MeanSquaredError().compute(
            np.ones((4, 3, 2)), np.ones((4, 3, 2)), mask=np.ones((4, 3)), sample_weight=np.ones(3)
        ),
        errors.ShapeError,
        r"fit the mask of shape \(4, 3\), got \(3,\)",
    ),
    (
        lambda: losses.MeanSquaredError()(np.ones(4), np.ones(4), np.ones(4)),
        errors.ShapeError,
        "single axis",
    ),
    (lambda: losses.get("huber").from_config({"delat": 1}), TypeError, "delat"),
    (
        lambda: losses.get(SCCE)([0, 5], np.ones((2, 5))),
        errors.ArgumentError,
        "integers in 0..4, got 5\nhint: y_pred has 5 classes",
    ),
    (lambda: losses.get(SCCE)([0, -1], np.ones((2, 5))), errors.ArgumentError, "in 0..4, got -1"),
    (lambda: losses.get(SCCE)([0, 1.5], np.ones((2, 5))), errors.ArgumentError, "in 0..4, got 1.5"),
    (
        lambda: losses.get(SCCE)([0, math.nan], np.ones((2, 5))),
        errors.ArgumentError,
        "in 0..4, got nan",
    ),
    (
        lambda: losses.get(SCCE)(np.eye(5)[:2], np.ones((2, 5))),
        errors.ShapeError,
        r"shape \(2,\) for y_pred of shape \(2, 5\), got \(2, 5\)\nhint: one-hot",
    ),
    (
        lambda: losses.get(SCCE)([0, 1, 2], np.ones((2, 5))),
        errors.ShapeError,
        r"got \(3,\)\nhint: one integer",
    ),
    (
        lambda: losses.get(SCCE)(["a", "b"], np.ones((2, 5))),
        errors.DTypeError,
        "must hold integers",
    ),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: w[2][:40])
def test_messages(wrong):
    call, error, message = wrong
    with pytest.raises(error, match=f"(?s){message}"):
        call()


def test_a_gradient_of_the_wrong_shape():
    class Short(Half):
        def gradient(self, y_true, y_pred, dvalues):
            return dvalues

    with pytest.raises(errors.ShapeError, match=r"the shape of y_pred, \(4, 2\), got \(4,\)"):
        Short().compute(np.ones((4, 2)), np.ones((4, 2)))
