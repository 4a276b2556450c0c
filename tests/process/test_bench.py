"""What the benchmarks measure of a command that they run."""

import sys
from collections.abc import Callable

import pytest

from bench.processes import BenchError, environment, spent, timed


def test_what_a_command_took_is_its_time_and_its_memory() -> None:
    """A command that holds 50 MB for a moment is seen to, whatever its parent holds."""
    ballast = b"x" * (100 << 20)
    small = spent([sys.executable, "-c", "pass"], environment())
    large = spent([sys.executable, "-c", "x = b'x' * (50 << 20)"], environment())
    assert 45 < large.peak_mb - small.peak_mb < 60
    assert small.peak_mb < len(ballast) >> 20
    assert 0 < small.seconds < 30


@pytest.mark.parametrize("measure", [spent, timed])
def test_a_command_that_fails_is_no_measurement(measure: Callable[..., object]) -> None:
    """Its exit code is told."""
    with pytest.raises(BenchError, match="exit code 3"):
        measure([sys.executable, "-c", "raise SystemExit(3)"], environment())


def test_a_command_that_says_something_else_is_no_measurement() -> None:
    """A fetch that counts wrongly is not a fast one."""
    assert timed([sys.executable, "-c", "print(1)"], environment(), expect="1") > 0
    with pytest.raises(BenchError, match="output '2"):
        timed([sys.executable, "-c", "print(2)"], environment(), expect="1")
