"""The user's own command: one message as JSON on its standard input, exit code 0 when the person was told."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from ibkr_tools import programs
from ibkr_tools.errors import DeliveryFailed
from ibkr_tools.gateway.child import Waiter

GRACE_S = 5.0
"""How long the command may go on when we are asked to end."""

_OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM")
_LINE_CHARACTERS = 300
_TAIL_BYTES = 4096
_PIPE_BYTES = 64 * 1024


class _Tail:
    """The last of what a command says on its standard error, however much that is.

    A pipe that is never waited for: whoever still holds its other end cannot make us wait.
    """

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Only our end: programs expect theirs to wait.
        os.set_blocking(self.write_end, True)
        self._kept = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.read_end)
        self.close_write_end()

    def close_write_end(self) -> None:
        """Leaves the other end to the command."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def take(self) -> bool:
        """Takes what is there, not more than a pipe holds; False: no more will come."""
        try:
            data = os.read(self.read_end, _PIPE_BYTES)
        except BlockingIOError:
            return True
        self._kept += data
        del self._kept[:-_TAIL_BYTES]
        return bool(data)

    def last_line(self) -> str:
        """Returns the last line that says something, without what could move a cursor."""
        return _last_line(self._kept.decode(errors="replace"))


def _last_line(text: str) -> str:
    lines = ["".join(letter if letter.isprintable() else " " for letter in line).strip() for line in text.splitlines()]
    return next((line for line in reversed(lines) if line), "")[-_LINE_CHARACTERS:]


def _identity(state: Path) -> dict[str, object]:
    """Returns who runs the command: never root, but the owner of our files, whoever calls."""
    if os.geteuid() != 0:
        return {}
    owner = state.stat()
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}


def run(command: Sequence[str], document: bytes, *, timeout_s: float, state: Path, waiter: Waiter) -> None:
    """Runs `command` with `document` on its standard input; it and all it has started are gone afterwards.

    The message is a file in memory: a command that does not read it, or leaves a child behind, cannot make us wait, and
    neither can a full disk. Of what it complains about only the last is kept.

    Raises:
        DeliveryFailed: it could not be started, took too long, or ended with another code than 0.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    with os.fdopen(os.memfd_create("message"), "w+b") as stdin, _Tail() as stderr:
        stdin.write(document)
        stdin.flush()
        stdin.seek(0)
        try:
            process = subprocess.Popen(  # type: ignore[call-overload]  # user, group and extra_groups, or none of them
                list(command),
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=stderr.write_end,
                env=environment,
                cwd="/",
                process_group=0,
                **_identity(state),
            )
        except (OSError, ValueError) as error:
            reason = programs.objection_to_command(tuple(command)) or (
                error.strerror if isinstance(error, OSError) else str(error)
            )
            raise DeliveryFailed(f"{command[0]} could not be started: {reason}") from error
        stderr.close_write_end()
        code = _end_of(process, timeout_s, waiter, stderr)
        if code == 0:
            return
        said = stderr.last_line()
        if code is None:
            how = "was ended with us" if waiter.stop_asked else f"took longer than {timeout_s:g} s"
        else:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise DeliveryFailed(f"{command[0]} {how}" + (f": {said}" if said else ""))


def _end_of(process: "subprocess.Popen[bytes]", timeout_s: float, waiter: Waiter, stderr: _Tail) -> int | None:
    """Waits for the end and returns the exit code, None if it did not come in time; ends what is left."""
    pidfd = os.pidfd_open(process.pid)
    waiter.watch(pidfd)
    waiter.watch(stderr.read_end)
    is_open = True
    deadline_s, hurried = waiter.now() + timeout_s, False
    try:
        while (code := process.poll()) is None and waiter.now() < deadline_s:
            if waiter.stop_asked and not hurried:
                deadline_s, hurried = min(deadline_s, waiter.now() + GRACE_S), True
            waiter.wait(deadline_s - waiter.now())
            if is_open and not (is_open := stderr.take()):
                waiter.unwatch(stderr.read_end)
        if is_open:
            stderr.take()
        return code
    finally:
        waiter.unwatch(pidfd)
        if is_open:
            waiter.unwatch(stderr.read_end)
        os.close(pidfd)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
