"""Gradients of one layer, of its inputs and weights, against central differences."""

import numpy as np

from differences import compare
from fastrnn.layers import Layer


def spread(rng, shape):
    """Numbers from -3 to 3, no two closer than a step of the differences: for functions with kinks."""
    size = int(np.prod(shape))
    return (rng.permutation(size) * (6.0 / max(size, 2)) - 3.0).reshape(shape)


def check_layer(layer: Layer, arrays, rng, *, mask=None, every_entry=False, fresh=None, **options):
    """Compare all gradients of `layer` (float64) for inputs `arrays`: a list, or one array.

    The numbers of the weights are drawn anew. `fresh` is called before every forward pass, so that a
    layer which draws random numbers draws the same ones.
    """
    several = isinstance(arrays, list)
    inputs = arrays if several else [arrays]
    if not layer.built:
        layer.build([a.shape for a in inputs] if several else arrays.shape)
    for p in layer.trainable_weights:
        p.assign(rng.standard_normal(p.shape))
    named = {f"x{i}": a for i, a in enumerate(inputs)}
    named |= {p.name: p.value.copy() for p in layer.trainable_weights}

    def run(named):
        for p in layer.trainable_weights:
            p.assign(named[p.name])
        if fresh is not None:
            fresh()
        x = [named[f"x{i}"] for i in range(len(inputs))]
        y = layer.run(x if several else x[0], mask=mask, training=True, **options)
        return y if isinstance(y, tuple) else (y,)

    outputs = run(named)
    seeds = [rng.standard_normal(y.shape) for y in outputs]
    dy = seeds if len(seeds) > 1 else seeds[0]
    dx = layer.backward(dy)
    found = {f"x{i}": g for i, g in enumerate(dx if several else [dx])}
    found |= {p.name: p.grad.copy() for p in layer.trainable_weights}
    for name, gradient in found.items():
        assert gradient.shape == named[name].shape and gradient.dtype == np.float64, name

    run(named)
    assert layer.backward(dy, inputs=False) is None
    for p in layer.trainable_weights:
        np.testing.assert_allclose(p.grad, found[p.name], rtol=1e-12, atol=1e-12)

    def loss(named):
        outputs = run(named)
        layer.drop_tape()
        return sum(float(np.sum(y * seed)) for y, seed in zip(outputs, seeds, strict=True))

    return compare(loss, named, found, rng, every_entry=every_entry)
