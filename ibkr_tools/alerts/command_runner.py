"""The user's own command: one message as JSON on its standard input, exit code 0 when the person was told."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from ibkr_tools import executables
from ibkr_tools.errors import DeliveryFailed
from ibkr_tools.event_loop import EventLoop
from ibkr_tools.terminal_escape import replace_unprintable

COMMAND_GRACE_S = 5.0
"""How long the command may go on when we are asked to end."""

_PRIVATE_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM")
_MAX_LINE_CHARACTERS = 300
_TAIL_BYTES = 4096
_PIPE_BYTES = 64 * 1024


class _StderrTail:
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

    def read_available(self) -> bool:
        """Reads what is there, not more than a pipe holds; False: no more will come."""
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
    lines = [replace_unprintable(line).strip() for line in text.splitlines()]
    return next((line for line in reversed(lines) if line), "")[-_MAX_LINE_CHARACTERS:]


def _popen_user(state: Path) -> dict[str, object]:
    """Returns who runs the command: never root, but the owner of our files, whoever calls."""
    if os.geteuid() != 0:
        return {}
    owner = state.stat()
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}


def run_alert_command(
    command: Sequence[str], document: bytes, *, timeout_s: float, state: Path, event_loop: EventLoop
) -> None:
    """Runs `command` with `document` on its standard input; it and all it has started are gone afterwards.

    The message is a file in memory: a command that does not read it, or leaves a child behind, cannot make us wait, and
    neither can a full disk. Of what it complains about only the last is kept.

    Raises:
        DeliveryFailed: it could not be started, took too long, or ended with another code than 0.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _PRIVATE_VARIABLES}
    with os.fdopen(os.memfd_create("alert"), "w+b") as stdin, _StderrTail() as stderr:
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
                **_popen_user(state),
            )
        except (OSError, ValueError) as error:
            reason = executables.command_problem(tuple(command)) or (
                error.strerror if isinstance(error, OSError) else str(error)
            )
            raise DeliveryFailed(f"{command[0]} could not be started: {reason}") from error
        stderr.close_write_end()
        code = _wait_for_exit(process, timeout_s, event_loop, stderr)
        if code == 0:
            return
        complaint = stderr.last_line()
        if code is None:
            how = "was ended with us" if event_loop.stop_requested else f"took longer than {timeout_s:g} s"
        else:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise DeliveryFailed(f"{command[0]} {how}" + (f": {complaint}" if complaint else ""))


def _wait_for_exit(
    process: "subprocess.Popen[bytes]", timeout_s: float, event_loop: EventLoop, stderr: _StderrTail
) -> int | None:
    """Waits for the end and returns the exit code, None if it did not come in time; ends what is left."""
    pidfd = os.pidfd_open(process.pid)
    event_loop.add_reader(pidfd)
    event_loop.add_reader(stderr.read_end)
    is_open = True
    deadline_s, hurried = event_loop.now() + timeout_s, False
    try:
        while (code := process.poll()) is None and event_loop.now() < deadline_s:
            if event_loop.stop_requested and not hurried:
                deadline_s, hurried = min(deadline_s, event_loop.now() + COMMAND_GRACE_S), True
            event_loop.wait(deadline_s - event_loop.now())
            if is_open and not (is_open := stderr.read_available()):
                event_loop.remove_reader(stderr.read_end)
        if is_open:
            stderr.read_available()
        return code
    finally:
        event_loop.remove_reader(pidfd)
        if is_open:
            event_loop.remove_reader(stderr.read_end)
        os.close(pidfd)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
