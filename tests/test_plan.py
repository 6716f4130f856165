"""The cost model: every plan gives the same bits, so that a wrong choice would show nowhere else."""

import pytest

import fastrnn
from fastrnn.engine.plan import chosen, groups

CACHE = 512 << 10  # bytes of the second cache that the choices below are for
measured_there = pytest.mark.skipif(fastrnn.runtime.target() != "avx2", reason="measured with AVX2")


@pytest.mark.parametrize("double_precision", [False, True])
@pytest.mark.parametrize(
    ("gates", "T", "B", "H", "threads", "plan"),
    [
        (4, 0, 8, 64, 2, "serial"),  # nothing to do
        (4, 8, 0, 64, 2, "serial"),
        (4, 100, 64, 256, 1, "serial"),  # nobody to share with
        (4, 1, 1, 32, 2, "serial"),  # a team would take longer to gather
        (4, 1, 4, 32, 2, "serial"),
        (1, 1000, 1, 32, 2, "serial"),  # a barrier would take longer than a step
        (3, 100, 1, 1, 8, "serial"),  # one unit: nothing to share
        (4, 100, 1, 1024, 2, "hidden"),  # a single row of many units
        (3, 100, 2, 1024, 4, "hidden"),
        (4, 10, 20, 4096, 2, "hidden"),  # R is far: to read it once is worth a barrier
        (4, 100, 64, 256, 2, "batch"),  # rows for all, R is near
        (3, 100, 256, 32, 4, "batch"),
        (1, 100, 512, 64, 16, "batch"),
        (4, 10, 512, 1024, 2, "batch"),  # the state of so many rows is not near
    ],
)
def test_choice(monkeypatch, gates, T, B, H, threads, plan, double_precision):
    monkeypatch.delenv("FASTRNN_PLAN", raising=False)
    assert chosen(gates, T, B, H, threads, double_precision, cache=CACHE) == plan


@measured_there
@pytest.mark.parametrize(
    ("B", "H", "double_precision", "plan"),
    [
        (64, 1024, False, "hidden"),
        (96, 1024, False, "batch"),
        (128, 2048, False, "batch"),
        (40, 4096, False, "hidden"),
        (32, 768, True, "hidden"),
        (32, 2048, True, "hidden"),
        (96, 1024, True, "batch"),
    ],
)
def test_what_was_measured(monkeypatch, B, H, double_precision, plan):
    """LSTM on two threads: the other plan took up to 1.6 times as long."""
    monkeypatch.delenv("FASTRNN_PLAN", raising=False)
    assert chosen(4, 20, B, H, 2, double_precision, cache=CACHE) == plan


@measured_there
@pytest.mark.parametrize(
    ("gates", "T", "B", "H", "threads", "plan"),
    [
        (4, 100, 9, 128, 4, "hidden"),  # one of four threads would have three of nine rows
        (4, 100, 6, 96, 8, "batch"),  # three panels keep three of eight threads busy
        (3, 100, 3, 128, 8, "hidden"),  # few rows wait for weights from the second cache
        (3, 100, 24, 384, 8, "hidden"),  # and longer where only a thread's part of them fits
        (4, 100, 64, 1536, 2, "hidden"),  # longest for memory
        (3, 2, 48, 16, 8, "batch"),  # the gates of two steps are worth a team
        (1, 2, 8, 96, 4, "batch"),  # x W of two steps is
    ],
)
def test_terms(monkeypatch, gates, T, B, H, threads, plan):
    """Each choice turns if the term it names is left out."""
    monkeypatch.delenv("FASTRNN_PLAN", raising=False)
    assert chosen(gates, T, B, H, threads, cache=CACHE) == plan


@pytest.mark.parametrize(
    ("B", "H", "threads", "ragged", "expected"),
    [
        (64, 128, 2, False, 4),  # two a thread
        (64, 512, 2, False, 3),  # R is far: to read it for a fourth takes time
        (29, 256, 2, False, 0),  # R does not fit the second cache
        (30, 256, 2, False, 3),
        (29, 128, 2, False, 3),  # it does: rows for a tile are enough
        (8, 128, 2, False, 3),
        (7, 128, 2, False, 0),
        (14, 128, 4, False, 5),
        (29, 128, 3, False, 0),  # three threads cannot share four times eight turns
        (
            31,
            128,
            2,
            True,
            0,
        ),  # lengths differ: not more steps than a thread's share in the first one
        (32, 128, 2, True, 4),
    ],
)
def test_groups(B, H, threads, ragged, expected):
    assert groups(4, B, H, threads, ragged, cache=CACHE) == expected
