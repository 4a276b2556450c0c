"""How long things may take here and now: limits are those of a quiet machine, and grow with what else this one does."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["run_patiently", "slowdown", "wait_until", "within"]


def slowdown() -> float:
    """Returns how many times longer than on a quiet machine things take: tasks that want a processor, per processor.

    Both the mean of the last minute and what is runnable now count: the first lags behind, the second jumps. Source:
    proc_loadavg(5).
    """
    words = Path("/proc/loadavg").read_text().split()
    runnable = int(words[3].partition("/")[0])
    return max(1.0, max(float(words[0]), runnable) / (os.cpu_count() or 1))


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0, step_s: float = 0.05) -> None:
    """Return as soon as `condition` holds; fail the test when it does not within `timeout_s` of a quiet machine."""
    begun, factor = time.monotonic(), 1.0
    pause = threading.Event()
    while not condition():
        factor = max(factor, slowdown())
        assert time.monotonic() - begun < timeout_s * factor, f"not so within {timeout_s * factor:g} s"
        pause.wait(step_s)


def run_patiently(
    command: Sequence[str], *, timeout_s: float, stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs a program and returns its result.

    Raises:
        subprocess.TimeoutExpired: it took longer than `timeout_s` of a quiet machine, and was killed.
    """
    begun, factor = time.monotonic(), 1.0
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile("w+") as given:
        given.write(stdin or "")
        given.seek(0)
        with subprocess.Popen(command, stdin=given, stdout=pipe, stderr=pipe, text=True, errors="replace") as process:
            while True:
                try:
                    out, err = process.communicate(timeout=min(timeout_s, _STEP_S))
                    return subprocess.CompletedProcess(command, process.returncode, out, err)
                except subprocess.TimeoutExpired as error:
                    factor = max(factor, slowdown())
                    if time.monotonic() - begun > timeout_s * factor:
                        process.kill()
                        raise subprocess.TimeoutExpired(
                            command, timeout_s * factor, error.output, error.stderr
                        ) from None
                except BaseException:
                    process.kill()
                    raise


_STEP_S = 1.0


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail the test if the block takes longer than so many seconds of a quiet machine."""
    begun, before = time.monotonic(), slowdown()
    yield
    took_s, limit_s = time.monotonic() - begun, seconds * max(before, slowdown())
    assert took_s < limit_s, f"took {took_s:.2f} s, longer than {limit_s:.2f} s"
