"""Central finite differences of a scalar function of named arrays, and what to do near kinks."""

import numpy as np

# Fourth-order central differences: truncation h^4, rounding eps/h. With directions of length 1 and losses of
# order 1 to 100 both stay near 1e-11 of the loss.
STEPS = (
    3e-4,
    5e-5,
    1e-5,
)  # shorter ones where the function bends, or where the first crosses a kink
STENCIL = ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12))

RELATIVE = 1e-6  # the promise: relative error of any derivative
GOOD = 3e-8  # at this agreement no shorter step is tried
FLOOR = 1e-4  # derivatives smaller than this share of the loss's terms are compared absolutely


def shifted(named, direction, step):
    """named + step * direction, for the arrays that direction moves."""
    moved = dict(named)
    for key, d in direction.items():
        moved[key] = named[key] + step * d
    return moved


def derivative(loss, named, direction, step):
    """d/ds loss(named + s direction) at s = 0."""
    return sum(w * loss(shifted(named, direction, k * step)) for k, w in STENCIL) / step


def basis(named, key, index):
    one = np.zeros_like(named[key])
    one[index] = 1
    return {key: one}


def directions(named, rng, *, every_entry, random=2):
    """Yields (label, direction): each entry of each array when ``every_entry``; otherwise ``random`` unit vectors
    per array; in both cases one that moves all arrays at once."""
    for key, value in named.items():
        if not value.size:
            continue
        if every_entry:
            for index in np.ndindex(value.shape):
                yield f"{key}{list(index)}", basis(named, key, index)
        else:
            for k in range(random):
                d = rng.standard_normal(value.shape)
                yield f"{key}, random direction {k}", {key: d / np.linalg.norm(d)}
    all_at_once = {key: rng.standard_normal(v.shape) for key, v in named.items() if v.size}
    norm = np.sqrt(sum(np.sum(d * d) for d in all_at_once.values()))
    if norm:
        yield "all arrays at once", {key: d / norm for key, d in all_at_once.items()}


def typical(gradient, direction):
    """How large the derivative along the direction would be were gradient and direction unrelated."""
    total = 0.0
    for key, d in direction.items():
        g = gradient[key]
        total += np.sum(g * g) * np.sum(d * d) / g.size
    return np.sqrt(total)


def largest(gradient, direction):
    return max(np.abs(gradient[key]).max() for key in direction)


def compare(loss, named, gradient, rng, *, every_entry, region=None, random=2):
    """Check ``gradient`` (same keys as ``named``) against differences of ``loss``; returns the worst relative error.

    The error is relative to the largest entry of the gradient for single entries, to the typical size for random
    directions. ``region(named)`` tells which side of its kinks every unit is on; a direction whose ends lie in
    different regions is skipped, and too many skips are an error, so that nothing hides there. It is asked only
    when the numbers disagree.
    """
    scale = max(1.0, abs(loss(named)))
    worst, skipped, tried = 0.0, 0, 0
    for label, direction in directions(named, rng, every_entry=every_entry, random=random):
        tried += 1
        analytic = sum(np.sum(gradient[key] * d) for key, d in direction.items())
        size = (
            largest(gradient, direction)
            if every_entry and len(direction) == 1
            else typical(gradient, direction)
        )
        errors = []  # a right derivative agrees at one of the steps, a wrong one at none
        for step in STEPS:
            numeric = derivative(loss, named, direction, step)
            error = abs(numeric - analytic) / max(size, FLOOR * scale)
            if error < GOOD or region is None or not crosses(region, named, direction, step):
                errors.append(error)
            if error < GOOD:
                break
        if not errors:
            skipped += 1
            continue
        worst = max(worst, min(errors))
        assert min(errors) < RELATIVE, (
            f"d loss / d {label}: {analytic!r} but differences give {numeric!r} "
            f"(relative error {min(errors):.2e})"
        )
    assert skipped <= 2 + tried // 4, (
        f"{skipped} of {tried} directions cross a kink: draw other numbers"
    )
    return worst


def crosses(region, named, direction, step):
    here = region(named)
    return any(
        not np.array_equal(here, region(shifted(named, direction, k * step))) for k, _ in STENCIL
    )
