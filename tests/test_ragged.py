"""Ragged rows: lengths and masks that leave something to be zero."""

import numpy as np
import pytest

import fastrnn
from fastrnn import functional as F


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("memory", ["full", "low"])
def test_padding_is_zero_whatever_was_there(threads, memory):
    """y and dx, with lengths and with holes, for any number of threads; it is cleared in several pieces."""
    rng = np.random.default_rng(0)
    x, W, R = (rng.normal(size=s) for s in [(9, 170, 5), (5, 24), (6, 24)])
    mask = rng.random((9, 170)) < 0.6
    valid = mask & (np.arange(170) < 120)
    with fastrnn.threads(threads):
        out = F.lstm(x, W, R, lengths=[120] * 9, mask=mask, training=True, memory=memory)
        dx = F.backward(out.tape, np.ones_like(out.y), into={"x": np.full_like(x, np.nan)}).x
    for array in (out.y, dx):
        assert (array[~valid] == 0).all()
        assert np.isfinite(array).all() and (array[valid] != 0).all()
