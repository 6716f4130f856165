"""Gradients of a layer against central differences: of its input and of its trainable weights."""

import numpy as np

from differences import compare


def check_gradients(layer, x, seed=0, *, region=None, **call):
    """Compare in float64; `call` goes to forward. Random masks are the same in every pass.

    `region(arrays)` tells on which side of its kinks everything is, see `differences.compare`.
    Returns the worst relative error.
    """
    rng = np.random.default_rng(seed)
    if not layer.built:
        layer.build(x.shape)
    weights = layer.trainable_weights
    named = {"x": x.copy(), **{p.name: p.value.copy() for p in weights}}
    draws = layer.draws
    y = layer.forward(x, training=True, **call)
    dy = rng.standard_normal(y.shape)
    given = dy.copy()
    gradient = {"x": layer.backward(dy), **{p.name: p.grad.copy() for p in weights}}
    np.testing.assert_array_equal(dy, given)
    np.testing.assert_array_equal(x, named["x"])
    assert gradient["x"].shape == x.shape and gradient["x"].dtype == x.dtype

    def loss(arrays):
        for p in weights:
            p.assign(arrays[p.name])
        layer.draws = draws
        y = layer.forward(arrays["x"], training=True, **call)
        layer.drop_tape()
        return float(np.sum(y * dy))

    return compare(loss, named, gradient, rng, every_entry=True, region=region)
