"""The model and recipe of `fastrnn demo` written in torch, for comparison.

The same text (`pydoc_data.topics`), split, layers, initial distributions, batches, optimizer, clipping, learning
rate schedule and weight averaging, on the same number of threads. Prints the held-out bits per character after
the given number of seconds (all of them: start, training, validation) and the characters per second.

    python charlm_torch.py --seconds 60 --threads 2
"""

from __future__ import annotations

import argparse
import math
import time

STARTED = time.perf_counter()

import numpy as np  # noqa: E402  (the clock starts before the slow imports, as it does for fastrnn demo)
import torch  # noqa: E402
from torch import nn  # noqa: E402


def corpus() -> str:
    """Return the prose that every Python ships, topics in sorted order."""
    from pydoc_data import topics

    return "".join(topics.topics[name] for name in sorted(topics.topics))


class CharModel(nn.Module):
    """Embedding, LSTM layers, Dense; initial values as Keras draws them."""

    def __init__(self, symbols: int, embedding: int, hidden: int, layers: int, scale: float):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers)  # time-major, torch's fastest layout
        self.dense = nn.Linear(hidden, symbols)
        nn.init.uniform_(self.embedding.weight, -scale, scale)
        for name, value in self.lstm.named_parameters():
            if name.startswith("weight_ih"):
                # Keras draws one (I, 4H) matrix: its fans are I and 4H.
                limit = math.sqrt(6.0 / (value.shape[0] + value.shape[1]))
                nn.init.uniform_(value, -limit, limit)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(value)
            else:
                nn.init.zeros_(value)
                if name.startswith("bias_ih"):
                    value.data[hidden : 2 * hidden] = 1.0  # forget gate
        nn.init.xavier_uniform_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, ids, state):
        y, state = self.lstm(self.embedding(ids), state)
        return self.dense(y), state


def rate(options, count: int) -> float:
    """Return the learning rate of step `count` (from 1): linear warm-up, then inverse square root of the step."""
    if count < options.warmup:
        return options.learning_rate * count / options.warmup
    return options.learning_rate * math.sqrt(options.hold / max(count, options.hold))


def rows_of(ids: np.ndarray, starts: np.ndarray, at: int, steps: int) -> torch.Tensor:
    """Return (steps + 1, B) characters from `at` on, each row in its stream, running on into the next one."""
    index = (starts[None, :] + at + np.arange(steps + 1)[:, None]) % len(ids)
    return torch.from_numpy(ids[index])


@torch.no_grad()
def bits_per_char(
    model, history: np.ndarray, held_out: np.ndarray, rows: int = 32, chunk: int = 64
) -> float:
    """Return the held-out bits per character; each row first reads the `chunk` characters before its own."""
    span = -(-len(held_out) // rows)
    ids = np.concatenate([history[-chunk - 1 :], held_out])
    starts = np.arange(rows) * span
    state, total, count = None, 0.0, 0
    for at in range(0, span + chunk, chunk):
        index = starts[None, :] + at + np.arange(chunk + 1)[:, None]
        valid = torch.from_numpy((index[1:] < len(ids)) & (at >= chunk))
        both = torch.from_numpy(ids[np.minimum(index, len(ids) - 1)])
        # A row ends where the next begins.
        valid &= torch.from_numpy(at + np.arange(chunk) < span + chunk)[:, None]
        logits, state = model(both[:-1], state)
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1), both[1:].flatten(), reduction="none"
        )
        total += float(loss[valid.flatten()].double().sum())
        count += int(valid.sum())
    return total / count / math.log(2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--embedding", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--length", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=8e-3)
    parser.add_argument("--beta2", type=float, default=0.999)
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--hold", type=int, default=150)
    parser.add_argument("--weight-decay", type=float, default=0.2)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument(
        "--gamma", type=float, default=12.0, help="polynomial-decay averaging; 0: none"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the first embeddings")
    parser.add_argument("--report", type=int, default=0, help="validate every so many steps")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)

    text = corpus()
    alphabet = sorted(set(text))
    code = {c: i for i, c in enumerate(alphabet)}
    ids = np.array([code[c] for c in text], dtype=np.int64)
    cut = len(ids) - len(ids) // 10
    train, held_out = ids[:cut], ids[cut:]

    model = CharModel(
        len(alphabet), options.embedding, options.hidden, options.layers, options.scale
    )
    parameters = [p for n, p in model.named_parameters() if not n.startswith("lstm.bias_hh")]
    for name, p in model.named_parameters():
        if name.startswith("lstm.bias_hh"):
            p.requires_grad_(False)  # one bias, as in Keras
    optimizer = torch.optim.AdamW(
        parameters,
        lr=options.learning_rate,
        betas=(0.9, options.beta2),
        eps=1e-7,
        weight_decay=options.weight_decay,
    )
    average = [p.detach().clone() for p in parameters]

    starts = np.arange(options.batch_size) * (len(train) // options.batch_size)
    characters = options.batch_size * options.length
    sizes = [
        (options.embedding if i == 0 else options.hidden, options.hidden)
        for i in range(options.layers)
    ]
    flops = 6 * (sum(4 * h * (i + h) for i, h in sizes) + options.hidden * len(alphabet))
    state, count, trained = None, 0, 0.0

    def validate() -> float:
        live = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for p, a in zip(parameters, average, strict=True):
                p.copy_(a)
        result = bits_per_char(model, train, held_out)
        with torch.no_grad():
            for p, a in zip(parameters, live, strict=True):
                p.copy_(a)
        return result

    began = time.perf_counter()
    reserve = 0.0
    while True:
        if options.steps is None and time.perf_counter() - STARTED + reserve > options.seconds:
            break
        if options.steps is not None and count >= options.steps:
            break
        before = time.perf_counter()
        count += 1
        both = rows_of(train, starts, (count - 1) * options.length, options.length)
        logits, state = model(both[:-1], state)
        state = tuple(s.detach() for s in state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), both[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, options.clip)
        for group in optimizer.param_groups:
            group["lr"] = rate(options, count)
        optimizer.step()
        if options.gamma and (count < 8 or count % 8 == 0):
            samples = count if count < 8 else 7 + count // 8
            share = min(1.0, (options.gamma + 1) / (samples + options.gamma))
            with torch.no_grad():
                torch._foreach_lerp_(average, [p.detach() for p in parameters], share)
        elif not options.gamma:
            for a, p in zip(average, parameters, strict=True):
                a.copy_(p.detach())
        trained += time.perf_counter() - before
        # A forward pass costs a third of a training step.
        reserve = min(
            options.seconds / 2, trained / (count * characters) * len(held_out) * 0.5 + 0.1
        )
        if options.report and count % options.report == 0:
            print(
                f"step {count:5d}  {count * characters / 1e6:.2f} Mchar  {flops * count * characters / 1e12:5.2f} TFLOP"
                f"  {time.perf_counter() - began:5.1f} s  loss {float(loss) / math.log(2):.3f}"
                f"  validation {validate():.3f} bits/char",
                flush=True,
            )
    print(
        f"torch {torch.__version__}: {count} steps, {count * characters / trained:,.0f} chars/s, "
        f"{flops * count * characters / trained / 1e9:.1f} GFLOP/s, validation {validate():.3f} bits/char "
        f"after {time.perf_counter() - STARTED:.1f} s"
    )


if __name__ == "__main__":
    main()
