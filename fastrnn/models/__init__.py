"""Models: graphs of layers that train, predict, stream and save; Keras's names.

Example:
    >>> import numpy as np
    >>> from fastrnn.layers import LSTM, Dense
    >>> from fastrnn.models import Sequential
    >>> model = Sequential()
    >>> model.add(LSTM(8, input_shape=(5, 3)))
    >>> model.add(Dense(1))
    >>> model.compile(optimizer="adam", loss="mse")
    >>> history = model.fit(np.ones((4, 5, 3)), np.ones((4, 1)), epochs=2, verbose=0)
    >>> len(history.history["loss"])
    2
"""

from ..hints import missing_names
from ..layers.registry import register
from .files import save_model
from .loading import load_model
from .model import Model
from .sequential import Sequential
from .streaming import Stream

# So that one model can be a layer of another when it is read from a file.
register(Model, Sequential, Functional=Model)

__all__ = ["Model", "Sequential", "Stream", "load_model", "save_model"]

missing_names(__name__)
