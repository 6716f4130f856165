"""A `fit` over given logs, for the tests of callbacks."""

from types import SimpleNamespace

import numpy as np

from fastrnn.callbacks import CallbackList


class Model:
    """What callbacks see of a model; its weights are the number of the epoch."""

    def __init__(self, *metrics):
        self.stop_training = False
        self.optimizer = SimpleNamespace(learning_rate=1.0)
        self.metrics = [SimpleNamespace(name=n, direction=d) for n, d in metrics]
        self.epoch = None
        self.saved = []
        self.restored = None

    def get_weights(self):
        return [np.full(2, self.epoch)]

    def set_weights(self, weights):
        self.restored = weights

    def save(self, path):
        self.saved.append(path)

    def save_weights(self, path):
        self.saved.append(f"weights:{path}")


def train(callbacks, epochs, model=None, batches=0, **params):
    """A `fit` over given logs, one dict per epoch; return the model and the History."""
    model = model or Model()
    model.stop_training = False
    calls = CallbackList(callbacks, add_history=True, model=model, epochs=len(epochs), **params)
    calls.on_train_begin()
    logs = None
    for epoch, given_logs in enumerate(epochs):
        logs = dict(given_logs)
        model.epoch = epoch
        calls.on_epoch_begin(epoch)
        for batch in range(batches):
            calls.on_train_batch_begin(batch)
            calls.on_train_batch_end(batch, logs)
        calls.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    calls.on_train_end(logs)
    return model, model.history


def losses(*values):
    return [{"loss": value} for value in values]
