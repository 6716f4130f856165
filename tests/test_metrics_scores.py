"""Precision, recall, areas, F scores, R2, perplexity: against loops over every entry, with weights."""

import itertools
import math

import numpy as np
import pytest

from fastrnn import metrics


def confusion(t, p, weights, threshold):
    """true positives, false positives, true negatives, false negatives: sums of weights."""
    counts = [0.0] * 4
    for x, y, w in zip(t.flat, p.flat, np.broadcast_to(weights, p.shape).flat, strict=True):
        if w:
            counts[(0 if x else 1) if y > threshold else (3 if x else 2)] += float(w)
    return counts


def divide(a, b):
    return a / b if b else 0.0


def stream_of(rng, shape, *, ties, weigh):
    for _ in range(3):
        t = rng.integers(0, 2, shape).astype(float)
        p = np.round(rng.random(shape), 1) if ties else rng.random(shape)
        w = rng.random(shape[0]) * (rng.random(shape[0]) < 0.7) if weigh else np.ones(shape[0])
        yield t, p, w


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weigh", [False, True])
@pytest.mark.parametrize(
    "thresholds", [None, 0.3, [0.5, 0.2, 0.9], [0.0, 0.25, 0.5, 0.75, 1.0]], ids=str
)
def test_precision_and_recall(thresholds, ties, weigh):
    rng = np.random.default_rng(0)
    pair = metrics.Precision(thresholds, name="p"), metrics.Recall(thresholds, name="r")
    levels = np.atleast_1d(0.5 if thresholds is None else thresholds)
    counts = np.zeros((len(levels), 4))
    for t, p, w in stream_of(rng, (6, 3), ties=ties, weigh=weigh):
        counts += [confusion(t, p, w[:, None], level) for level in levels]
        t[w == 0], p[w == 0] = np.nan, np.nan
        for metric in pair:
            metric.update_state(t, p, sample_weight=w if weigh else None)
    for metric, whole in zip(pair, (1, 3), strict=True):
        wanted = [divide(c[0], c[0] + c[whole]) for c in counts]
        got = metric.result()
        assert type(got) is (np.ndarray if np.ndim(thresholds) else float)
        np.testing.assert_allclose(np.atleast_1d(got), wanted, rtol=1e-12)
        metric.reset_state()
        assert not np.any(metric.result())


def test_precision_of_some_classes_and_the_best():
    t = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    p = np.array([[0.1, 0.3, 0.2], [0.4, 0.9, 0.8], [0.7, 0.2, 0.6], [0.1, 0.9, 0.2]])
    assert metrics.Precision(top_k=1, name="m")(t, p) == 0.5
    assert metrics.Recall(top_k=2, name="m")(t, p) == 0.75
    assert metrics.Precision(top_k=2, thresholds=0.5, name="m")(t, p) == 0.4
    assert metrics.Precision(class_id=1, name="m")(t, p) == 0.5
    assert metrics.Recall(class_id=1, name="m")(t, p) == 0.5
    assert metrics.Recall(class_id=2, name="m")(t, p, sample_weight=[1, 0, 1, 1]) == 1.0
    tie = metrics.Precision(top_k=1, name="m")([[0, 1]], [[0.5, 0.5]])
    assert tie == 0.0  # the first of equal outputs is the best


def test_outputs_at_a_threshold_or_without_a_number():
    """Not above it, in the dtype of the outputs; NaN is above none."""
    assert metrics.Recall(0.1, name="m")([1, 1], np.array([0.1, 0.2], np.float32)) == 0.5
    assert metrics.Recall(name="m")([1, 1], [np.nan, 0.9]) == 0.5
    assert metrics.AUC(3, name="m")([1, 0], [np.nan, 0.2]) == 0
    assert metrics.F1Score("micro")([[1, 0]], [[0.0, 0.0]]) == 0  # no largest output among zeros


def test_even_thresholds_round_as_in_keras():
    """Buckets of 1 / 199: the product in the dtype of the outputs says which thresholds are passed."""
    levels = [i / 199 for i in range(200)]
    p = np.array(levels, np.float32)
    passed = [math.ceil(np.float32(y) * np.float32(199)) for y in p]
    got = metrics.Recall(levels, name="m")(np.ones(200), p)
    assert got.tolist() == [sum(n > i for n in passed) / 200 for i in range(200)]
    assert passed != [sum(y > np.float32(x) for x in levels) for y in p]  # not always the same
    t = np.arange(200) % 3 == 0
    assert metrics.AUC(name="m")(t, p) == metrics.AUC(thresholds=levels[1:-1], name="m")(t, p)
    even = metrics.AUC(thresholds=levels[1:-1], name="m")
    rough = metrics.AUC(thresholds=[*levels[1:-2], 0.994], name="m")
    even.update_state(t, p), rough.update_state(t, p)
    assert not np.array_equal(even.counts[0][:-3], rough.counts[0][:-3])


def areas(counts, curve, method):
    """The area by loops; counts: one row (tp, fp, tn, fn) per rising threshold."""
    area = 0.0
    for (tp, fp, tn, fn), (tp1, fp1, tn1, fn1) in itertools.pairwise(counts):
        if (curve, method) == ("PR", "interpolation"):
            dtp, p, p1 = tp - tp1, tp + fp, tp1 + fp1
            slope = divide(dtp, p - p1)
            intercept = tp1 - slope * p1
            growth = math.log(p / p1) if p > 0 and p1 > 0 else 0.0
            area += divide(slope * (dtp + intercept * growth), tp1 + fn1)
            continue
        y, y1 = divide(tp, tp + fn), divide(tp1, tp1 + fn1)
        x, x1 = divide(fp, fp + tn), divide(fp1, fp1 + tn1)
        if curve == "PR":
            x, x1, y, y1 = y, y1, divide(tp, tp + fp), divide(tp1, tp1 + fp1)
        height = {"interpolation": (y + y1) / 2, "minoring": min(y, y1), "majoring": max(y, y1)}
        area += (x - x1) * height[method]
    return area


@pytest.mark.parametrize("weigh", [False, True])
@pytest.mark.parametrize("method", ["interpolation", "minoring", "majoring"])
@pytest.mark.parametrize("curve", ["ROC", "PR"])
@pytest.mark.parametrize(
    "levels",
    [{"num_thresholds": 11}, {"thresholds": [0.7, 0.2]}, {"thresholds": [0.25, 0.5, 0.75]}],
    ids=str,
)
def test_auc(levels, curve, method, weigh):
    rng = np.random.default_rng(0)
    inner = sorted(levels.get("thresholds", [i / 10 for i in range(1, 10)]))
    rising = [-1e-7, *inner, 1 + 1e-7]
    metric = metrics.AUC(curve=curve, summation_method=method, name="auc", **levels)
    apart = metrics.AUC(
        curve=curve, summation_method=method, name="auc", multi_label=True, **levels
    )
    counts = np.zeros((4, len(rising), 4))  # all, then by column
    for t, p, w in stream_of(rng, (9, 3), ties=False, weigh=weigh):
        counts[0] += [confusion(t, p, w[:, None], level) for level in rising]
        for i in range(3):
            counts[i + 1] += [confusion(t[:, i], p[:, i], w, level) for level in rising]
        t[w == 0], p[w == 0] = np.nan, np.nan
        for m in (metric, apart):
            m.update_state(t, p, sample_weight=w if weigh else None)
    assert type(metric.result()) is float
    assert metric.result() == pytest.approx(areas(counts[0], curve, method), rel=1e-12)
    wanted = [areas(c, curve, method) for c in counts[1:]]
    assert apart.result() == pytest.approx(np.mean(wanted), rel=1e-12)
    apart.label_weights = [1.0, 0.0, 3.0]
    assert apart.result() == pytest.approx((wanted[0] + 3 * wanted[2]) / 4, rel=1e-12)
    metric.reset_state()
    assert metric.result() == 0


def test_auc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    t, z = rng.integers(0, 2, 300), rng.standard_normal(300)
    z = z + t
    up, down = z[t == 1], z[t == 0]
    pairs = (up[:, None] > down).mean()
    assert metrics.AUC(2000, from_logits=True, name="m")(t, z) == pytest.approx(pairs, abs=1e-3)
    p = 1 / (1 + np.exp(-z))
    assert metrics.AUC(2000, name="m")(t, p) == pytest.approx(pairs, abs=1e-3)
    assert metrics.AUC(name="m")(t, t) == pytest.approx(1.0)
    weights = metrics.AUC(label_weights=[1.0, 0.0], name="m")
    both = weights(np.stack([t, t], 1), np.stack([p, 1 - p], 1))
    assert both == pytest.approx(metrics.AUC(name="m")(t, p))


@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
@pytest.mark.parametrize(("beta", "threshold"), [(1.0, None), (2.0, 0.4)])
def test_f_scores(average, beta, threshold):
    rng = np.random.default_rng(0)
    metric = metrics.FBetaScore(average, beta, threshold)
    same = metrics.F1Score(average, threshold)
    counts, totals = np.zeros((4, 4)), np.zeros(4)  # by class, then all
    for t, p, w in stream_of(rng, (8, 3), ties=False, weigh=True):
        positive = p == p.max(-1, keepdims=True) if threshold is None else p > threshold
        for c in range(4):
            cut = slice(None) if c == 3 else slice(c, c + 1)
            counts[c] += confusion(t[:, cut], positive[:, cut] * 1.0, w[:, None], 0.5)
            totals[c] += (t[:, cut] * w[:, None]).sum()
        t[w == 0], p[w == 0] = np.nan, np.nan
        metric.update_state(t, p, sample_weight=w)
        same.update_state(t, p, sample_weight=w)
    scores = []
    for tp, fp, _, fn in counts:
        precision, recall = tp / (tp + fp + 1e-7), tp / (tp + fn + 1e-7)
        scores.append((1 + beta**2) * precision * recall / (beta**2 * precision + recall + 1e-7))
    wanted = {
        None: scores[:3],
        "micro": scores[3],
        "macro": np.mean(scores[:3]),
        "weighted": np.dot(scores[:3], totals[:3]) / (totals[3] + 1e-7),
    }[average]
    np.testing.assert_allclose(metric.result(), wanted, rtol=1e-12)
    assert type(metric.result()) is (np.ndarray if average is None else float)
    if beta == 1:
        np.testing.assert_array_equal(metric.result(), same.result())
    metric.reset_state()
    assert metric.result() == 0


@pytest.mark.parametrize("aggregation", ["uniform_average", "variance_weighted_average", None])
@pytest.mark.parametrize("regressors", [0, 2])
def test_r2(aggregation, regressors):
    rng = np.random.default_rng(0)
    t = rng.standard_normal((30, 2)) + np.array([1e6, 0])
    p = t + 0.3 * rng.standard_normal((30, 2))
    w = rng.random(30) * (rng.random(30) < 0.7)
    metric = metrics.R2Score(aggregation, regressors)
    nan = np.where(w[:, None] == 0, np.nan, 1)
    for part in (slice(0, 4), slice(4, 30)):
        metric.update_state(t[part] * nan[part], p[part] * nan[part], sample_weight=w[part])
    spread = (w[:, None] * (t - np.average(t, axis=0, weights=w)) ** 2).sum(0)
    scores = 1 - (w[:, None] * (t - p) ** 2).sum(0) / spread
    wanted = {
        None: scores,
        "uniform_average": scores.mean(),
        "variance_weighted_average": np.dot(scores, spread) / spread.sum(),
    }[aggregation]
    if regressors:
        wanted = 1 - (1 - wanted) * (60 - 1) / (60 - 2 - 1)
    np.testing.assert_allclose(metric.result(), wanted, rtol=1e-9)
    metric.reset_state()
    assert math.isnan(metric.result())
    assert metrics.R2Score()([[1.0], [1.0]], [[1.0], [2.0]]) == 0  # Keras's rule without spread
    with pytest.warns(UserWarning, match="no freedom"):
        metrics.R2Score(num_regressors=5)([[1.0], [2.0]], [[1.0], [2.0]])


def test_language_metrics_count_tokens():
    """Each token once, whatever the lengths of the batches; only what weights and ignore_class leave."""
    rng = np.random.default_rng(0)
    perplexity = metrics.Perplexity(ignore_class=0)
    bits = metrics.BitsPerCharacter(ignore_class=0, from_logits=True)
    logs = []
    for shape in ((2, 3), (4, 9), (1, 1)):
        z = rng.standard_normal((*shape, 5))
        p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
        t = rng.integers(0, 5, shape)
        w = rng.random(shape) < 0.7
        logs += [-math.log(p[i][t[i]]) for i in np.ndindex(shape) if t[i] and w[i]]
        perplexity.update_state(np.where(w, t, -7), p, sample_weight=w)
        bits.update_state(t, z, sample_weight=w)
    assert perplexity.result() == pytest.approx(math.exp(np.mean(logs)), rel=1e-12)
    assert bits.result() == pytest.approx(np.mean(logs) / math.log(2), rel=1e-12)
    per_row = metrics.Perplexity()
    per_row.update_state([[0, 0], [1, 1]], np.full((2, 2, 4), 0.25), sample_weight=[1.0, 0.0])
    assert per_row.result() == pytest.approx(4) and per_row.count == 2
    assert metrics.Perplexity(from_logits=True)([1], [[1e4, -1e4]]) == math.inf
