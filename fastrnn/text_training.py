"""Training a character model: batches, schedule, averaging, validation. Knows no clock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from . import functional as F
from .errors import ArgumentError, FastRNNError
from .optimizers import Adam, Block, PolynomialAverage, TrainingStep
from .text import Corpus, Streams
from .text_model import CharModel

__all__ = ["Recipe", "TextTraining", "bits_per_character"]


@dataclass(frozen=True)
class Recipe:
    """How a character model is trained.

    Arguments: `batch_size`, B, streams read side by side; `length`, T, symbols per stream and step,
    and how far gradients reach back; `learning_rate`, the highest; `warmup`, steps over which it is
    reached; `hold`, the step from which it falls like 1 / sqrt(step); `clip`, the largest norm of
    the gradient; `weight_decay`, which each step takes rate * weight_decay of the weights off;
    `gamma` of the average (`fastrnn.optimizers.PolynomialAverage`). The learning rate depends on
    the step alone: how long a run will last need not be known, and a longer run repeats the numbers
    of a shorter one.

    Example:
        >>> from fastrnn.text_training import Recipe
        >>> recipe = Recipe(learning_rate=0.004, warmup=100, hold=100)
        >>> [recipe.rate(step) for step in (25, 100, 400)]
        [0.001, 0.004, 0.002]
    """

    batch_size: int = 32
    length: int = 32
    learning_rate: float = 0.008
    warmup: int = 50
    hold: int = 150
    clip: float = 1.0
    weight_decay: float = 0.2
    gamma: float = 12.0

    def __post_init__(self) -> None:
        for name in ("batch_size", "length", "learning_rate", "warmup", "hold", "clip"):
            if not getattr(self, name) > 0:
                raise ArgumentError(
                    f"Recipe: {name} must be above 0, got {getattr(self, name)!r}\n"
                    "hint: leave it out for the default"
                )

    def rate(self, step: int) -> float:
        """Return the learning rate of `step`, counted from 1."""
        if step < self.warmup:
            return self.learning_rate * step / self.warmup
        return self.learning_rate * math.sqrt(self.hold / max(step, self.hold))


class TextTraining:
    """A model in training: each `step` learns from the next batch; `averaged` is the model to use.

    The last tenth of the corpus is held out for `validate`. The numbers of a step depend on the
    seed, the model's and recipe's arguments and the step alone, not on time or the number of
    threads.

    Example:
        >>> from fastrnn.text import Corpus
        >>> from fastrnn.text_model import CharModel
        >>> from fastrnn.text_training import Recipe, TextTraining
        >>> corpus = Corpus.of_text("abcabcabd " * 200)
        >>> model = CharModel(corpus.vocabulary, hidden=16, embedding=8)
        >>> recipe = Recipe(batch_size=4, length=10, warmup=5, hold=5)
        >>> training = TextTraining(model, corpus, recipe)
        >>> losses = [training.step() for _ in range(30)]
        >>> losses[-1] < losses[0], training.validate() < 2.3
        (True, True)
    """

    def __init__(self, model: CharModel, corpus: Corpus, recipe: Recipe | None = None) -> None:
        recipe = recipe or Recipe()
        self.model = model
        self.corpus = corpus
        self.recipe = recipe
        # Symbols before this one are learned from, the others held out.
        self.cut = corpus.size - corpus.size // 10
        length = min(recipe.length, self.cut - 1)
        self._streams = Streams(corpus, 0, self.cut, rows=recipe.batch_size, steps=length)
        self._state = model.zero_state(recipe.batch_size)
        optimizer = Adam(
            lambda iteration: recipe.rate(iteration + 1),
            global_clipnorm=recipe.clip,
            weight_decay=recipe.weight_decay,
        )
        self._update = TrainingStep(model.parameters, optimizer)
        self.averaged = CharModel(model.vocabulary, **model.config, blank=True)
        self._average = PolynomialAverage(
            self._update.blocks, [Block(self.averaged.parameters)], gamma=recipe.gamma
        )
        self.symbols_per_step = recipe.batch_size * length

    @property
    def count(self) -> int:
        """How many steps have been taken."""
        return self._update.count

    @property
    def epochs(self) -> float:
        """How often the training part of the corpus has been read."""
        return self.count * self.symbols_per_step / self.cut

    def compute(self) -> float:
        """Return the loss of the next batch in nats per symbol; compute its gradients only."""
        inputs, targets = next(self._streams)
        loss, self._after = self.model.loss_and_gradients(inputs, targets, self._state)
        if not math.isfinite(loss):
            raise FastRNNError(
                f"training: the loss must stay finite, got {loss} at step {self.count + 1}\n"
                "hint: use a lower learning rate"
            )
        return loss

    def apply(self) -> None:
        """Update the parameters, the carried state and the average from what `compute` left."""
        self._update.apply()
        self._state = self._after
        self._average.after(self.count)

    def step(self) -> float:
        """Learn from one batch; return its loss before the update, in nats per symbol."""
        loss = self.compute()
        self.apply()
        return loss

    def validate(self) -> float:
        """Return the bits per character of the averaged model on the held-out tenth."""
        return bits_per_character(self.averaged, self.corpus, self.cut, self.corpus.size)


# The batches of a validation: rows read side by side, steps at a time.
VALIDATION_ROWS, VALIDATION_STEPS = 32, 64


def bits_per_character(
    model: CharModel,
    corpus: Corpus,
    start: int,
    stop: int,
    *,
    rows: int = VALIDATION_ROWS,
    steps: int = VALIDATION_STEPS,
) -> float:
    """Return the mean of -log2 p(symbol) over symbols start..stop-1, per character.

    The part is read as `rows` streams. Each first reads, unscored, the `steps` symbols before its
    own, as a reader who starts in the middle of a text would; every symbol is scored once.

    Example:
        >>> from fastrnn.text import Corpus
        >>> from fastrnn.text_model import CharModel
        >>> from fastrnn.text_training import bits_per_character
        >>> corpus = Corpus.of_text("ab" * 600)
        >>> bits = bits_per_character(CharModel(corpus.vocabulary, hidden=4), corpus, 1000, 1200)
        >>> 0.5 < bits < 1.5
        True
    """
    state, nats, scored = model.zero_state(rows), 0.0, 0
    for ids, targets, weights in windows(corpus, start, stop, rows, steps):
        logits, state = model.forward(ids, state)
        count = int(weights.sum())
        if count:
            nats += F.softmax_cross_entropy(logits, targets, weights=weights).loss * count
            scored += count
    characters = scored * corpus.characters / corpus.size
    return nats / math.log(2.0) / max(1.0, characters)


def windows(
    corpus: Corpus, start: int, stop: int, rows: int, steps: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (inputs, targets, weights), each (T, B); weight 1 for symbols to score, else 0."""
    begins = [start + row * (stop - start) // rows for row in range(rows + 1)]
    span = max(np.diff(begins))
    for at in range(-steps, span, steps):
        ids = np.zeros((steps + 1, rows), np.int64)
        weights = np.zeros((steps, rows))
        for row, (begin, end) in enumerate(pairwise(begins)):
            # Symbol begin + at + k is the target of step k.
            first, last = max(0, begin + at - 1), min(end, begin + at + steps)
            if first < last:
                ids[first - (begin + at - 1) :, row][: last - first] = corpus.read(first, last)
            if at >= 0:
                weights[: max(0, end - begin - at), row] = 1
        yield ids[:-1], ids[1:], weights
