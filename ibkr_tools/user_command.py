"""Runs a program that a person has named: within a time, little kept of what it says, nothing left behind."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Protocol

from ibkr_tools.child_process import describe_exit
from ibkr_tools.event_loop import EventLoop
from ibkr_tools.terminal_escape import replace_unprintable

__all__ = [
    "MAX_OUTPUT_BYTES",
    "CommandResult",
    "RunningProcess",
    "Spawn",
    "describe_end",
    "last_line",
    "run_user_command",
    "spawn_locally",
]

MAX_OUTPUT_BYTES = 64 * 1024
"""Of what a program prints, in bytes, which is what a pipe holds: a code, or a version, and some lines around it."""

MAX_LINE_CHARACTERS = 300

STOP_GRACE_S = 5.0
"""How long a program may go on when this process is asked to end."""


class RunningProcess(Protocol):
    """A program that runs, as subprocess.Popen has it; the leader of a group of its own."""

    @property
    def pid(self) -> int:
        """Its number, and that of its process group."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """The pipe with what it prints."""

    @property
    def stderr(self) -> IO[bytes] | None:
        """The pipe with what it complains of."""

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end, and returns its exit status, negative for a signal."""


Spawn = Callable[[Sequence[str], Mapping[str, str]], RunningProcess]
"""Starts a program with an environment, in a session of its own, without input and with pipes; raises OSError."""


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """How a program has ended, and what it has said.

    `exit_status` is negative for a signal, None if the program was ended because it took or printed too much; `output`
    is all of its standard output, unless that has more than `MAX_OUTPUT_BYTES`, and `complaint` the last line of its
    standard error.
    """

    exit_status: int | None
    output: bytes
    error_output: bytes

    @property
    def has_printed_too_much(self) -> bool:
        """Whether the program was ended because it printed without an end."""
        return len(self.output) > MAX_OUTPUT_BYTES

    @property
    def complaint(self) -> str:
        """The last line of its standard error."""
        return last_line(self.error_output.decode(errors="replace"))


def last_line(text: str) -> str:
    """Returns the last line of `text` that says something, without what could move a cursor."""
    lines = [replace_unprintable(line).strip() for line in text.splitlines()]
    return next((line for line in reversed(lines) if line), "")[-MAX_LINE_CHARACTERS:]


def describe_end(exit_status: int) -> str:
    """Says in words how a program ended: `was killed by SIGKILL`, `ended with exit code 3`."""
    return f"{'was' if exit_status < 0 else 'ended with'} {describe_exit(exit_status)}"


def spawn_locally(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: bytes = b"",
    keeps_output: bool = True,
    owner: os.stat_result | None = None,
) -> RunningProcess:
    """Starts a program as a child of this process, in the directory `/`.

    Args:
        command: the program and its arguments; no shell is between.
        environment: all of its environment.
        stdin: its input, a file in memory: a program that does not read it cannot make us wait.
        keeps_output: whether what it prints is read; otherwise it vanishes.
        owner: of a file of ours; root starts it as that user.

    Raises:
        OSError, ValueError: it cannot be started.
    """
    identity: dict[str, object] = {}
    if owner is not None and os.geteuid() == 0:
        identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    with os.fdopen(os.memfd_create("stdin"), "w+b") as file:
        file.write(stdin)
        file.seek(0)
        process: RunningProcess = subprocess.Popen(  # type: ignore[call-overload]  # of the identity all or nothing
            list(command),
            stdin=file,
            stdout=subprocess.PIPE if keeps_output else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
            **identity,
        )
    return process


def run_user_command(
    command: Sequence[str],
    environment: Mapping[str, str],
    timeout_s: float,
    *,
    spawn: Spawn = spawn_locally,
    event_loop: EventLoop | None = None,
) -> CommandResult:
    """Runs a program to its end, at most `timeout_s` seconds, and ends whatever it has started.

    The end of the program counts, not that of its pipes: a child that it leaves behind cannot make us wait. With the
    `event_loop` of this process it has `STOP_GRACE_S` left when that is asked to stop.

    Raises:
        OSError, ValueError: it cannot be started.
    """
    process = spawn(command, environment)
    try:
        with selectors.DefaultSelector() as selector:
            has_ended, output, error_output = _read_to_end(process, selector, timeout_s, event_loop)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return CommandResult(exit_status=status if has_ended else None, output=output, error_output=error_output)


def _read_to_end(
    process: RunningProcess, selector: selectors.BaseSelector, timeout_s: float, event_loop: EventLoop | None
) -> tuple[bool, bytes, bytes]:
    """Says whether the program has ended by itself, and returns both of its outputs."""
    output, error_output = bytearray(), bytearray()
    for pipe, kept in ((process.stdout, output), (process.stderr, error_output)):
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, kept)
    if event_loop is not None:
        selector.register(event_loop, selectors.EVENT_READ)
    deadline_s, stop_seen = time.monotonic() + timeout_s, False
    with _end_of(process) as ended:
        selector.register(ended, selectors.EVENT_READ)
        has_ended = False
        while not has_ended and len(output) <= MAX_OUTPUT_BYTES and (left_s := deadline_s - time.monotonic()) > 0:
            has_ended = any(key.fd == ended for key, _ in selector.select(left_s))
            for key in list(selector.get_map().values()):
                if key.data is not None and not _read_available(key.fd, key.data):
                    selector.unregister(key.fileobj)
            del error_output[:-MAX_OUTPUT_BYTES]
            if event_loop is not None:
                event_loop.wait(0)
                if event_loop.stop_requested and not stop_seen:
                    deadline_s, stop_seen = min(deadline_s, time.monotonic() + STOP_GRACE_S), True
    return has_ended, bytes(output), bytes(error_output)


@contextmanager
def _end_of(process: RunningProcess) -> Iterator[int]:
    """Lends a descriptor that is readable once the process has ended."""
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        # It is not our child, and its parent has taken note of its end already.
        fd, write_end = os.pipe2(os.O_CLOEXEC)
        os.close(write_end)
    try:
        yield fd
    finally:
        os.close(fd)


def _read_available(fd: int, kept: bytearray) -> bool:
    """Reads what is there, not more than a pipe holds; False: no more will come."""
    try:
        data = os.read(fd, MAX_OUTPUT_BYTES)
    except BlockingIOError:
        return True
    kept += data
    return bool(data)
