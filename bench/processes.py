"""Processes that a benchmark starts, and what the kernel says about them. Only what was started here is ended here."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PATIENCE_S = 20.0
"""From SIGTERM to SIGKILL; `ibkr-tools up` gives Java 8 s."""


class BenchError(RuntimeError):
    """A measurement could not be taken; the message says why."""


def environment(**more: str) -> dict[str, str]:
    """Returns a small environment for programs of the checkout; nothing of ours leaks in but the PATH."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "TZ") if name in os.environ}
    return {
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": os.fspath(CHECKOUT),
        "PYTHONSAFEPATH": "1",
        **kept,
        **more,
    }


class Program:
    """A running program; its lines on stderr (and stdout) are kept with the wall-clock time they came."""

    def __init__(self, command: Sequence[str | Path], environ: Mapping[str, str], cwd: Path | None = None) -> None:
        self.started_at = time.time()
        self.process = subprocess.Popen(
            [os.fspath(part) for part in command],
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.lines: list[tuple[float, str]] = []
        self._new: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((time.time(), line.rstrip()))
            self._new.put(line.rstrip())
        self._new.put(None)

    def wait_for_line(self, text: str, timeout_s: float) -> str:
        """Returns the first line, past or coming, that contains `text`. Raises BenchError if there is none in time."""
        deadline = time.monotonic() + timeout_s
        with contextlib.suppress(queue.Empty):
            while (line := self._new.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
                if text in line:
                    return line
        raise BenchError(f"no line with {text!r} within {timeout_s:g} s:\n{self.output()}")

    def output(self) -> str:
        """Returns the last lines."""
        return "\n".join(line for _, line in self.lines[-30:])

    def end(self) -> None:
        """Ends it, and whatever it has started."""
        below = descendants(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._reader.join(PATIENCE_S)
        if self.process.stdout is not None and not self._reader.is_alive():
            self.process.stdout.close()


@contextlib.contextmanager
def running(command: Sequence[str | Path], environ: Mapping[str, str], cwd: Path | None = None) -> Iterator[Program]:
    """Runs a program for the length of the block."""
    program = Program(command, environ, cwd)
    try:
        yield program
    finally:
        program.end()


def end_orphans() -> None:
    """Ends and reaps every child that is left; called when all programs have ended."""
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0):
            pass


def descendants(pid: int) -> set[int]:
    """Returns all processes below one."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    below: set[int] = set()
    frontier = {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier} - below
        below |= frontier
    return below


@dataclass(frozen=True)
class Memory:
    """Memory of one process in MB (2^20 bytes): resident, and resident with shared pages counted by their share."""

    rss: float
    pss: float


def memory(pid: int) -> Memory:
    """Reads a process's memory. Raises BenchError if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError as error:
        raise BenchError(f"process {pid}: {error.strerror}") from error
    return Memory(rss=parse_kib(status, "VmRSS"), pss=parse_kib(rollup, "Pss"))


def parse_kib(text: str, key: str) -> float:
    """Returns the MB of a line such as `VmRSS:   1024 kB`. Raises BenchError if there is none."""
    for line in text.splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise BenchError(f"the kernel says nothing about {key}")


def timed(
    command: Sequence[str | Path], environ: Mapping[str, str], *, expect: str | None = None, timeout_s: float = 90.0
) -> float:
    """Returns how many seconds a command takes, from before its start until it has ended and is reaped.

    Raises:
        BenchError: it failed, or its output is not `expect`.
    """
    began = time.perf_counter()
    output = _output(command, environ, timeout_s)
    took_s = time.perf_counter() - began
    if expect is not None and output.strip() != expect:
        raise BenchError(f"{_shown(command)}: output {output[:200]!r}")
    return took_s


@dataclass(frozen=True)
class Spent:
    """What a command took from its start to its end: wall-clock seconds, and at most so much resident memory, in MB."""

    seconds: float
    peak_mb: float


_WITNESS = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def spent(command: Sequence[str | Path], environ: Mapping[str, str], *, timeout_s: float = 90.0) -> Spent:
    """Returns what a command takes.

    The kernel counts the memory of whoever starts a process as its own; so a small one does.

    Raises:
        BenchError: it failed.
    """
    began = time.perf_counter()
    output = _output([sys.executable, "-c", _WITNESS, *command], environ, timeout_s)
    return Spent(time.perf_counter() - began, float(output.split()[-1]))


def _output(command: Sequence[str | Path], environ: Mapping[str, str], timeout_s: float) -> str:
    done = subprocess.run(
        [os.fspath(part) for part in command],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{_shown(command)}: exit code {done.returncode}, output {done.stdout[:200]!r}\n{done.stderr}")
    return done.stdout


def _shown(command: Sequence[str | Path]) -> str:
    return " ".join(os.fspath(part) for part in command)
