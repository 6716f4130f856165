"""The character model: Embedding, recurrent layers, Dense; it predicts text and writes it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from . import functional as F
from .errors import ArgumentError
from .initializers import RandomUniform
from .layers import GRU, LSTM, Dense, Embedding, Parameter, SimpleRNN
from .layers.recurrent import Recurrent
from .random import generator
from .saving import check_writable, load_arrays, save_arrays
from .text import Vocabulary

__all__ = ["CELLS", "CharModel"]

CELLS: dict[str, type[Recurrent]] = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}
KIND = "character model"
# Marks the random numbers of sampling apart from those of the first weights.
SAMPLING = 1_000_000

# Per recurrent layer the arrays of its state, (B, H) each.
State = list[tuple[np.ndarray, ...]]


class CharModel:
    """Predicts the next symbol of a text from all before it.

        e = embeddings[ids]                          (T, B) -> (T, B, E)
        y = recurrent layers, one after another      (T, B, H), the state carried from call to call
        logits = y kernel + bias                     (T, B, V)

    Sequences are time-major. Arguments: `vocabulary`; `cell`, "lstm", "gru" or "rnn"; `layers`, how
    many recurrent ones; `hidden`, H; `embedding`, E; `seed`, which with the sizes decides the first
    weights; `dtype`; `blank` leaves the weights zero, to be filled.

    Example:
        >>> import numpy as np
        >>> from fastrnn.text import Vocabulary
        >>> from fastrnn.text_model import CharModel
        >>> model = CharModel(Vocabulary("abc"), hidden=8, seed=0)
        >>> ids = np.array([[0, 1], [2, 2]])
        >>> loss, state = model.loss_and_gradients(ids, ids, model.zero_state(2))
        >>> bool(0.5 < loss < 2.0), [h.shape for h in state[0]]
        (True, [(2, 8), (2, 8)])
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        cell: str = "lstm",
        layers: int = 2,
        hidden: int = 256,
        embedding: int = 128,
        seed: int = 0,
        dtype: str = "float32",
        blank: bool = False,
    ) -> None:
        if cell not in CELLS:
            raise ArgumentError(
                f"CharModel: cell must be one of {', '.join(CELLS)}, got {cell!r}\n"
                "hint: lstm learns text best"
            )
        for name, value in (("layers", layers), ("hidden", hidden), ("embedding", embedding)):
            if value < 1:
                raise ArgumentError(
                    f"CharModel: {name} must be at least 1, got {value}\nhint: it is a size"
                )
        self.vocabulary = vocabulary
        self.config: dict[str, Any] = {
            "cell": cell,
            "layers": layers,
            "hidden": hidden,
            "embedding": embedding,
            "seed": seed,
            "dtype": dtype,
        }
        kernels: dict[str, Any] = {"kernel_initializer": "zeros" if blank else "glorot_uniform"}
        recurrent: dict[str, Any] = {
            "recurrent_initializer": "zeros" if blank else "orthogonal",
            **kernels,
        }
        self.embedding = Embedding(
            vocabulary.size,
            embedding,
            # Keras's +-0.05 leaves the first hundreds of steps on a plateau: hardly any signal.
            embeddings_initializer="zeros" if blank else RandomUniform(-1.0, 1.0),
            name="embedding",
            seed=(seed, 0),
            dtype=dtype,
        )
        self.recurrent = [
            CELLS[cell](
                hidden,
                return_sequences=True,
                return_state=True,
                time_major=True,
                name=f"{cell}_{i}",
                seed=(seed, i),
                dtype=dtype,
                **recurrent,
            )
            for i in range(1, layers + 1)
        ]
        seeds = (seed, layers + 1)
        self.dense = Dense(vocabulary.size, name="dense", seed=seeds, dtype=dtype, **kernels)
        self.layers = [self.embedding, *self.recurrent, self.dense]
        width = embedding
        for layer in self.layers:
            layer.build((None, None, width))
            width = embedding if layer is self.embedding else hidden

    @property
    def parameters(self) -> list[Parameter]:
        """All parameters, first layer first."""
        return [p for layer in self.layers for p in layer.parameters]

    def count_params(self) -> int:
        """Return how many numbers the parameters hold."""
        return sum(layer.count_params() for layer in self.layers)

    def flops(self) -> int:
        """Return the floating-point operations of training on one symbol: thrice the forward's."""
        products = sum(r.kernel.value.size + r.recurrent_kernel.value.size for r in self.recurrent)
        return 3 * 2 * (products + self.dense.kernel.value.size)

    def zero_state(self, rows: int) -> State:
        """Return the state before the first symbol, for B = `rows`."""
        return [
            tuple(np.zeros((rows, layer.units), layer.dtype) for _ in layer.cell.states)
            for layer in self.recurrent
        ]

    def forward(
        self, ids: Any, state: State, *, training: bool = False
    ) -> tuple[np.ndarray, State]:
        """Return the logits (T, B, V) of what follows each of `ids` (T, B), and the state."""
        x = self.embedding.forward(ids, training=training)
        after = []
        for layer, before in zip(self.recurrent, state, strict=True):
            x, *now = layer.forward(x, initial_state=before, training=training)
            after.append(tuple(now))
        return self.dense.forward(x, training=training), after

    def loss_and_gradients(self, ids: Any, targets: Any, state: State) -> tuple[float, State]:
        """Return the mean of -log p(target) in nats and the state after; compute the gradients.

        The gradients stop at `state`: truncated back-propagation through time.
        """
        try:
            logits, after = self.forward(ids, state, training=True)
            out = F.softmax_cross_entropy(logits, targets, training=True)
            dy = self.dense.backward(F.backward(out.tape).logits)
            for layer in reversed(self.recurrent):
                dy = layer.backward(dy)
            self.embedding.backward(dy)
        except BaseException:
            # Ctrl-C, say: no later step may take up half of this one.
            for part in self.layers:
                part.forget()
            raise
        return out.loss, after

    def generate(
        self, prompt: str = "", *, length: int = 200, temperature: float = 1.0, seed: int = 0
    ) -> Iterator[str]:
        """Return an iterator over `length` symbols of text that the model writes after `prompt`.

        Symbol i is drawn with probability proportional to exp(logit[i] / temperature); 0 takes the
        likeliest. An empty prompt stands for a new line.

        Example:
            >>> from fastrnn.text import Vocabulary
            >>> from fastrnn.text_model import CharModel
            >>> model = CharModel(Vocabulary(" ab"), hidden=4)
            >>> len("".join(model.generate("a", length=20)))
            20
        """
        if not (temperature >= 0 and math.isfinite(temperature)):
            raise ArgumentError(
                f"generate: temperature must be finite and at least 0, got {temperature!r}\n"
                "hint: 1 samples as the model predicts, lower is safer, 0 takes the likeliest"
            )
        if length < 0:
            raise ArgumentError(
                f"generate: length must be at least 0, got {length}\nhint: it counts symbols"
            )
        ids = self.vocabulary.encode(prompt) if prompt else self._newline()
        return self._generate(ids, length, temperature, generator(seed, SAMPLING))

    def _newline(self) -> np.ndarray:
        known = self.vocabulary.characters
        return (
            self.vocabulary.encode("\n")
            if known is None or "\n" in known
            else np.zeros(1, np.int16)
        )

    def _generate(
        self, ids: np.ndarray, length: int, temperature: float, random: np.random.Generator
    ) -> Iterator[str]:
        decoder = self.vocabulary.decoder()
        logits, state = self.forward(ids[:, None], self.zero_state(1))
        for _ in range(length):
            symbol = _draw(logits[-1, 0], temperature, random)
            yield decoder.decode(symbol)
            logits, state = self.forward(np.array([[symbol]]), state)
        yield decoder.end()

    def is_finite(self) -> bool:
        """Return whether no weight is infinite or NaN."""
        return all(np.isfinite(p.value).all() for p in self.parameters)

    def save(self, path: str | os.PathLike[str], training: Mapping[str, Any] | None = None) -> None:
        """Write weights, sizes, vocabulary and the notes `training` to `path`, atomically."""
        metadata = {
            "model": self.config,
            "characters": self.vocabulary.characters,
            "training": dict(training or {}),
        }
        save_arrays(path, {p.name: p.value for p in self.parameters}, KIND, metadata)

    @staticmethod
    def check_writable(path: str | os.PathLike[str]) -> None:
        """Raise the OSError that `save` would meet at `path`."""
        check_writable(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CharModel:
        """Return the model that `save` wrote; ArgumentError for any other file, or OSError."""
        arrays, metadata = load_arrays(path, KIND)
        try:
            _check_sizes(metadata["model"], arrays)
            model = cls(Vocabulary(metadata["characters"]), **metadata["model"], blank=True)
            for parameter in model.parameters:
                array = arrays[parameter.name]
                if array.dtype != parameter.value.dtype or not np.isfinite(array).all():
                    raise ValueError(f"{parameter.name} must be finite {parameter.value.dtype}")
                parameter.assign(array)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ArgumentError(
                f"{os.fspath(path)}: not a whole character model: {error!r}\nhint: train it again"
            ) from error
        return model


def _check_sizes(config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse sizes that the arrays do not have, before anything of those sizes is made."""
    if not all(array.size for array in arrays.values()):
        raise ValueError("its arrays must not be empty")
    found = {
        "layers": sum(name.endswith("/recurrent_kernel") for name in arrays),
        "hidden": len(arrays[f"{config['cell']}_1/recurrent_kernel"]),
        "embedding": arrays["embedding/embeddings"].shape[1],
    }
    if any(config[name] != size for name, size in found.items()):
        raise ValueError("the sizes in its header are not those of its arrays")


def _draw(logits: np.ndarray, temperature: float, random: np.random.Generator) -> int:
    if temperature == 0:
        return int(logits.argmax())
    scaled = (logits.astype(np.float64) - logits.max()) / temperature
    cumulative = np.exp(scaled).cumsum()
    # random() < 1, but the product may round up to the total: the last symbol takes that case.
    return min(
        int(np.searchsorted(cumulative, random.random() * cumulative[-1], "right")), len(logits) - 1
    )
