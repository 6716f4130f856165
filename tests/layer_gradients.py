"""Gradients of one layer, of its inputs and trainable weights, against central differences."""

import numpy as np

from differences import compare


def spread(rng, shape):
    """Numbers from -3 to 3, no two closer than a step of the differences: for functions with kinks."""
    size = int(np.prod(shape))
    return (rng.permutation(size) * (6.0 / max(size, 2)) - 3.0).reshape(shape)


def check_gradients(layer, arrays, rng=0, *, redraw=False, every_entry=True, region=None, **call):
    """Compare in float64, for one array or a list of them; return the worst relative error.

    `call` goes to the layer. Its random masks are the same in every pass. `rng` is a generator or a
    seed; `redraw` draws the numbers of the weights anew. `region(named)` tells on which side of its
    kinks everything is, see `differences.compare`; inputs are named x, or x0, x1 ...
    """
    rng = np.random.default_rng(rng)
    several = isinstance(arrays, list)
    inputs = {f"x{i}": a for i, a in enumerate(arrays)} if several else {"x": arrays}
    if not layer.built:
        layer.build([a.shape for a in arrays] if several else arrays.shape)
    weights, draws = layer.trainable_weights, layer.draws
    for p in weights if redraw else ():
        p.assign(rng.standard_normal(p.shape))
    named = {name: a.copy() for name, a in inputs.items()}
    named |= {p.name: p.value.copy() for p in weights}

    def run(named):
        for p in weights:
            p.assign(named[p.name])
        layer.draws = draws
        x = [named[name] for name in inputs]
        y = layer.run(x if several else x[0], training=True, **call)
        return y if isinstance(y, tuple) else (y,)

    outputs = run({**named, **inputs})
    seeds = [rng.standard_normal(y.shape) for y in outputs]
    dy = [seed.copy() for seed in seeds]
    dx = layer.backward(dy if len(dy) > 1 else dy[0])
    found = dict(zip(inputs, dx if several else [dx], strict=True))
    found |= {p.name: p.grad.copy() for p in weights}
    for name, gradient in found.items():
        assert gradient.shape == named[name].shape and gradient.dtype == np.float64, name
    for given, kept in zip([*dy, *inputs.values()], [*seeds, *map(named.get, inputs)], strict=True):
        np.testing.assert_array_equal(given, kept, "a pass wrote what it was given")

    run(named)
    assert layer.backward(dy if len(dy) > 1 else dy[0], inputs=False) is None
    for p in weights:
        np.testing.assert_allclose(p.grad, found[p.name], rtol=1e-12, atol=1e-12)

    def loss(named):
        outputs = run(named)
        layer.drop_tape()
        return sum(float(np.sum(y * seed)) for y, seed in zip(outputs, seeds, strict=True))

    return compare(loss, named, found, rng, every_entry=every_entry, region=region)
