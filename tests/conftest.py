"""Pytest set-up: --long, Hypothesis profiles, the summary of gradient examples."""

import os
import signal

import hypothesis
import pytest

import tally


def pytest_addoption(parser):
    parser.addoption(
        "--long",
        action="store_true",
        help="ten times as many Hypothesis examples (5,000 gradients)",
    )


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in a job that a shell started with `&`; the programs that the tests interrupt would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--long"):
        os.environ["FASTRNN_TESTS_LONG"] = "1"  # helpers.budget reads it when test modules load
    # Timings on shared machines vary by far more than Hypothesis's deadline allows for.
    shared = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
    hypothesis.settings.register_profile("default", **shared)
    hypothesis.settings.register_profile("ci", derandomize=True, database=None, **shared)
    ci = os.environ.get("CI", "").lower() in ("1", "true")
    hypothesis.settings.load_profile("ci" if ci else "default")


def pytest_terminal_summary(terminalreporter):
    lines = tally.report()
    if lines:
        terminalreporter.section("fastrnn: what was compared")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def no_leftovers():
    """A test that leaves an alarm behind would end another one."""
    yield
    if hasattr(signal, "alarm"):
        signal.alarm(0)
