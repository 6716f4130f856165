"""What the tests of messages share: is it one of the house, a small model to go wrong with, its data."""

import numpy as np
import pytest

from fastrnn.layers import LSTM, Dense
from fastrnn.models import Sequential

B, T, I = 8, 5, 3
X = np.ones((B, T, I), np.float32)


def refused(error, call, *fragments):
    """Each fragment stands in the message, the hint line among them."""
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    first, _, hint = text.partition("\n")
    assert "got" in first and hint.startswith("hint: "), text
    for fragment in fragments:
        assert fragment in text, f"{fragment!r} is missing in: {text}"


def compiled(loss, units=1, activation=None, sequences=False, **options):
    model = Sequential(
        [
            LSTM(4, return_sequences=sequences, input_shape=(T, I)),
            Dense(units, activation=activation),
        ]
    )
    model.compile("adam", loss, **options)
    return model
