"""Interleaved rounds with the FMA peak, the rate of a product's inner loop and the copy bandwidth beside them.

On a shared machine the peak of the same two cores moves by a factor of three within an hour, so no time means anything
alone: every round runs everybody, ratios are taken within a round, and a case whose peak moved by over a tenth is
measured again.
"""

import time
from dataclasses import dataclass

from . import machine

#: seconds of a look at whether the process rests, and how long it is waited for at most
LOOK, WAIT = 0.004, 0.2
#: how far the peaks before and after a case may lie apart
STEADY = 0.10


@dataclass(frozen=True)
class Effort:
    """How much is spent on a case."""

    rounds: int = 9
    #: seconds after which a case of long calls is content with five rounds
    patience: float = 60.0
    #: seconds that one sample should take, so that an interrupt is small beside it
    sample: float = 0.05
    attempts: int = 3


QUICK = Effort(rounds=3, sample=0.001, attempts=1)


def settle():
    """Wait until the threads of whoever ran before have stopped spinning: the next one needs those cores.

    ONNX Runtime's spin for 40 ms, those of OpenMP for 3.
    """
    end = time.perf_counter() + WAIT
    while time.perf_counter() < end:
        start = time.process_time()
        time.sleep(LOOK)
        if time.process_time() - start < LOOK / 10:
            return


def timer(work, effort, clock=time.perf_counter):
    """A sampler: seconds per call of `work` by `clock`, over as many calls as fill a sample."""
    calls = 0

    def sample():
        nonlocal calls
        settle()
        if not calls:  # the first call sets things up, the second says how many fill a sample
            work()
            start = time.perf_counter()
            work()
            calls = max(1, round(effort.sample / (time.perf_counter() - start)))
        if calls > 1:
            work()  # whoever ran before has taken the caches
        start = clock()
        for _ in range(calls):
            work()
        return (clock() - start) / calls

    return sample


def schedule(names, rounds):
    """The order of every round: rotated by one after every second, every second backwards. So all start equally often,
    and nobody always runs in the warm wake of the same other."""
    names = list(names)
    for turn in range(rounds):
        shift = turn // 2 % len(names)
        order = [*names[shift:], *names[:shift]]
        yield order[::-1] if turn % 2 else order


def steady(before, after):
    """Whether the machine held still between two measurements of its peak."""
    return abs(before - after) <= STEADY * max(before, after)


def race(
    samplers, *, threads, effort, dtype="float32", gauge=machine.gauge, tile=machine.tile_rate
):
    """Run the samplers, {name: function that returns seconds}, round by round; return the start of a row.

    seconds: {name: one number per round}; tile: one number per round, empty without a C compiler; peak, copy: [before,
    after]; fit: whether the peak held still in the last of `attempts`.
    """
    for sampler in samplers.values():
        sampler()
    attempts, fit = 0, False
    while not fit and attempts < effort.attempts:
        attempts += 1
        seconds, tiles = {name: [] for name in samplers}, []
        before = gauge(threads, dtype)
        start = time.perf_counter()
        for turn, order in enumerate(schedule(samplers, effort.rounds)):
            if turn >= 5 and time.perf_counter() - start > effort.patience:
                break
            settle()
            tiles.append(tile(threads, dtype))
            for name in order:
                seconds[name].append(samplers[name]())
        after = gauge(threads, dtype)
        fit = steady(before["peak"], after["peak"])
    return {
        "threads": threads,
        "seconds": seconds,
        "peak": [before["peak"], after["peak"]],
        "copy": [before["copy"], after["copy"]],
        "tile": [rate for rate in tiles if rate],
        "fit": fit,
        "attempts": attempts,
    }
