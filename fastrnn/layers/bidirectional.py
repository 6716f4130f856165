"""A recurrent layer in both directions of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..config import Configured, custom
from ..errors import ArgumentError, ShapeError
from ..hints import explained, kind_of, nearest
from .layer import Layer
from .recurrent import Recurrent
from .registry import deserialize
from .sequences import pad
from .stateful import check_states
from .together import run_directions

__all__ = ["Bidirectional"]

MODES = ("concat", "sum", "mul", "ave", None)
STATES = "those of the forward layer first, then those of the backward layer"


class Bidirectional(Layer):
    """Runs a layer forward in time and one like it backward, and merges their outputs.

        y = merge(forward_layer(x), flip(backward_layer(x)))       (B, T, 2 H), or (B, T, H)

    (Schuster and Paliwal 1997.) Arguments: `layer`, a recurrent layer, of which both directions are
    made anew; `merge_mode`, "concat", "sum", "mul", "ave" or None for a list of both; `weights`,
    the first weights, those of the forward layer first; `backward_layer`, another layer to run
    backward (go_backwards=True). With `return_state` the states of both follow the output, those of
    the forward layer first; `initial_state` has the same order. Where sequences are returned,
    outputs at masked steps are zero, as in Keras.

    Example:
        >>> import numpy as np
        >>> from fastrnn.layers import LSTM, Bidirectional
        >>> layer = Bidirectional(LSTM(4, return_sequences=True, name="lstm"), name="both")
        >>> layer(np.ones((2, 5, 3))).shape
        (2, 5, 8)
        >>> [p.name for p in layer.weights][::3]
        ['both/forward_lstm/kernel', 'both/backward_lstm/kernel']
    """

    supports_masking = True
    needs_steps = 1
    streamable = False

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **options: Any,
    ) -> None:
        layer, backward_layer = _as_layer(layer), backward_layer and _as_layer(backward_layer)
        dtype = options.get("dtype")
        super().__init__(**{**options, "dtype": layer.dtype if dtype is None else dtype})
        if merge_mode not in MODES:
            raise ArgumentError(
                f"{self.name}: merge_mode must be one of concat, sum, mul, ave or None, got "
                f"{merge_mode!r}{nearest(merge_mode, MODES[:-1])}\n"
                "hint: concat doubles the width, None returns both outputs"
            )
        self.merge_mode = merge_mode
        self.forward_layer = self._made_of(layer, "forward", layer.go_backwards)
        self.backward_layer = backward_layer or self._made_of(
            layer, "backward", not layer.go_backwards
        )
        self._check_pair()
        # Under the name of the argument, for configurations.
        self.layer = self.forward_layer
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        for inner in (self.forward_layer, self.backward_layer):
            inner.zero_output_for_mask = self.return_sequences
        self._first_weights = weights
        if not self.trainable:
            self.trainable = False

    def _made_of(self, layer: Recurrent, direction: str, go_backwards: bool) -> Recurrent:
        """Return a new layer like `layer` for one direction."""
        config = layer.get_config()
        name = f"{direction}_{layer.name.removeprefix(direction + '_')}"
        config.update(name=name, go_backwards=go_backwards, dtype=self.dtype.name)
        if direction == "backward" and config.get("seed") is not None:
            # The same seed would make both directions the same layer.
            seed = config["seed"]
            config["seed"] = [*(seed if isinstance(seed, list) else [seed]), 1]
        own = {type(v).__name__: type(v) for v in vars(layer).values() if isinstance(v, Configured)}
        with custom(own):
            return type(layer).from_config(config)

    def _check_pair(self) -> None:
        """Refuse two layers that cannot be the two directions of one."""
        first, second = self.forward_layer, self.backward_layer
        if first.go_backwards == second.go_backwards:
            raise ArgumentError(
                f"{self.name}: one of the layers must have go_backwards=True, got "
                f"{first.go_backwards} for both\nhint: give it to backward_layer"
            )
        alike = ["stateful", "return_sequences", "return_state", "time_major", "dtype"]
        if self.merge_mode in ("sum", "mul", "ave"):
            alike.append("units")
        for attribute in alike:
            values = [getattr(layer, attribute) for layer in (first, second)]
            if values[0] != values[1]:
                raise ArgumentError(
                    f"{self.name}: both layers must have the same {attribute}, got {values[0]} "
                    f"forward and {values[1]} backward\nhint: without backward_layer both are alike"
                )

    def sublayers(self) -> list[Layer]:
        """Return the layers of both directions."""
        return [self.forward_layer, self.backward_layer]

    def build(self, input_shape: Any) -> None:
        """Build both layers for inputs (B, T, I)."""
        if isinstance(input_shape, list):  # the shapes of x and of the states, or of ragged rows
            input_shape = input_shape[0] if len(input_shape[0]) == 3 else input_shape
        for layer in self.sublayers():
            layer.path = f"{self.path}/{layer.name}"
            if not layer.built:
                layer.build(input_shape)
        self.built = True
        if self._first_weights is not None:
            self.set_weights(self._first_weights)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the merged shape; a list with those of the states too, or of both outputs."""
        shape, *states = input_shape if isinstance(input_shape, list) else [input_shape]
        widths = self.forward_layer.state_size + self.backward_layer.state_size
        check_states(self.name, widths, states, STATES)
        made = [layer.compute_output_shape(shape) for layer in self.sublayers()]
        (first, *left), (second, *right) = made if self.return_state else [[m] for m in made]
        width = first[-1] + second[-1] if self.merge_mode == "concat" else first[-1]
        y = [first, second] if self.merge_mode is None else [(*first[:-1], width)]
        every = [*y, *left, *right]
        return every if len(every) > 1 else every[0]

    def compute_mask(self, x: Any, mask: Any) -> Any:
        """Return the mask of y, or the list of it for both; states have none."""
        pairs = [layer.compute_mask(x, mask) for layer in self.sublayers()]
        (first, *left), (second, *right) = pairs if self.return_state else [[m] for m in pairs]
        every = [*([first, second] if self.merge_mode is None else [first]), *left, *right]
        return every if len(every) > 1 else every[0]

    def forward(
        self,
        x: Any,
        *,
        initial_state: Any = None,
        lengths: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        """Return the merged output, or a list of it (or both) and the states."""
        self._need_built()
        listed = False
        if isinstance(x, (list, tuple)) and len(x) and isinstance(x[0], np.ndarray):
            if x[0].ndim == 2:
                x, lengths = pad(self.name, x, self.dtype, self.forward_layer.time_major)
            else:
                listed, x, initial_state = len(x) > 1, x[0], x[1:] or initial_state
        x = self._cast(x)
        n = len(self.forward_layer.state_size)
        count = n + len(self.backward_layer.state_size)
        if initial_state is not None and len(initial_state) != count:
            raise ShapeError(
                f"{self.name}: initial_state must hold {count} arrays, got {len(initial_state)}\n"
                f"hint: {STATES}"
            )
        starts = (None, None) if initial_state is None else (initial_state[:n], initial_state[n:])
        options = [{"initial_state": start, "lengths": lengths} for start in starts]
        both = [self.forward_layer, self.backward_layer]
        outputs = run_directions(both, x, options, mask, training)
        (first, *left), (second, *right) = outputs if self.return_state else [[y] for y in outputs]
        second = self._flipped(second)
        if training:
            product = (first, second) if self.merge_mode == "mul" else None
            self._tapes.append((listed, first.shape[-1], product))
        every = [*self._merged(first, second), *left, *right]
        return every if len(every) > 1 else every[0]

    def _flipped(self, y: Any) -> Any:
        """Return `y` of the backward layer in the forward layer's order, or back."""
        if y is None or not self.return_sequences:
            return y
        return y[::-1] if self.backward_layer.time_major else y[:, ::-1]

    def _merged(self, first: np.ndarray, second: np.ndarray) -> list[np.ndarray]:
        if self.merge_mode == "concat":
            return [np.concatenate((first, second), axis=-1)]
        if self.merge_mode == "sum":
            return [first + second]
        if self.merge_mode == "ave":
            return [(first + second) / 2]
        if self.merge_mode == "mul":
            return [first * second]
        return [first, second]

    def backward(self, dy: Any, *, inputs: bool = True) -> Any:
        """Return dx, or for inputs [x, states ...] the list of their gradients, or None.

        `dy` is a list where the output was one; entries may be None.
        """
        listed, width, product = self._pop_tape()
        outputs = 2 if self.merge_mode is None else 1
        every = list(dy) if outputs == 2 or self.return_state else [dy]
        dys, dstates = every[:outputs], every[outputs:]
        first, second = dys if outputs == 2 else self._split(dys[0], width, product)
        second = self._flipped(second if second is None else np.asarray(second))
        n = len(self.forward_layer.state_size)
        made = []
        for layer, d, mine in (
            (self.forward_layer, first, slice(n)),
            (self.backward_layer, second, slice(n, None)),
        ):
            d = [d, *dstates[mine]] if self.return_state else d
            options = {"states": True} if listed and inputs else {}
            made.append(layer.run_backward(d, inputs=inputs, **options))
        if not inputs:
            return None
        if not listed:
            return made[0] + made[1]
        (x1, left), (x2, right) = made
        return [x1 + x2, *left, *right]

    def _split(self, dy: Any, width: int, product: Any) -> tuple[Any, Any]:
        """Return the gradients at both outputs, given that at the merged one."""
        if dy is None:
            return None, None
        dy = np.asarray(dy)
        if self.merge_mode == "concat":
            return dy[..., :width], dy[..., width:]
        if self.merge_mode == "mul":
            return dy * product[1], dy * product[0]
        half = dy / 2 if self.merge_mode == "ave" else dy
        return half, half

    def drop_tape(self) -> None:
        """Forget the newest forward pass, which nobody will run backward."""
        super().drop_tape()
        for layer in self.sublayers():
            layer.drop_tape()

    # State.

    @property
    def states(self) -> tuple[np.ndarray, ...] | None:
        """The kept states of both layers, or None before there are any."""
        first, second = self.forward_layer.states, self.backward_layer.states
        return (*first, *second) if first and second else None

    @explained
    def reset_state(self, rows: Any = None) -> None:
        """Set the kept states to zero, those of `rows` if given."""
        for layer in (self.forward_layer, self.backward_layer):
            layer.reset_state(rows)

    def reset_states(self) -> None:
        """Set the kept states to zero: the older name of `reset_state`."""
        self.reset_state()

    # Configuration.

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a layer like this one (without its weights)."""
        config = super().get_config()
        del config["weights"]
        return config

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Bidirectional:
        """Return a new layer made from what `get_config` returned."""
        inner = {
            name: deserialize(config[name], custom_objects)
            for name in ("layer", "backward_layer")
            if config.get(name) is not None
        }
        made = cls(**{**config, **inner})
        if "shared" in config["layer"]:  # the one that another part of the model has, too
            made.forward_layer = made.layer = inner["layer"]
        return made


def _as_layer(layer: Any) -> Recurrent:
    """Return `layer`, checked to be a recurrent one."""
    if not isinstance(layer, Recurrent):
        raise ArgumentError(
            f"Bidirectional: layer must be a recurrent layer, got {kind_of(layer)}\n"
            "hint: Bidirectional(LSTM(32)), say"
        )
    return layer
