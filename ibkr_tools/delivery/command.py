"""The user's own command: one message as JSON on its standard input, exit code 0 when the person was told."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ibkr_tools.errors import DeliveryFailed
from ibkr_tools.gateway.child import Waiter

GRACE_S = 5.0
"""How long the command may go on when we are asked to end."""

_OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM")
_LINE_CHARACTERS = 300
_TAIL_BYTES = 4096


def _last_line(log: int) -> str:
    """Returns the last line that says something, without what could move a cursor."""
    size = os.fstat(log).st_size
    text = os.pread(log, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace")
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

    Files in memory instead of pipes: a command that does not read, or leaves a child behind, cannot make us wait, and
    neither can a full disk.

    Raises:
        DeliveryFailed: it could not be started, took too long, or ended with another code than 0.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    with os.fdopen(os.memfd_create("message"), "w+b") as stdin, os.fdopen(os.memfd_create("said"), "w+b") as stderr:
        stdin.write(document)
        stdin.flush()
        stdin.seek(0)
        try:
            process = subprocess.Popen(  # type: ignore[call-overload]  # user, group and extra_groups, or none of them
                list(command),
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=environment,
                cwd="/",
                process_group=0,
                **_identity(state),
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise DeliveryFailed(f"{command[0]} could not be started: {reason}") from error
        code = _end_of(process, timeout_s, waiter)
        if code == 0:
            return
        said = _last_line(stderr.fileno())
        if code is None:
            how = "was ended with us" if waiter.stop_asked else f"took longer than {timeout_s:g} s"
        else:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise DeliveryFailed(f"{command[0]} {how}" + (f": {said}" if said else ""))


def _end_of(process: "subprocess.Popen[bytes]", timeout_s: float, waiter: Waiter) -> int | None:
    """Waits for the end and returns the exit code, None if it did not come in time; ends what is left."""
    pidfd = os.pidfd_open(process.pid)
    waiter.watch(pidfd)
    deadline_s, hurried = waiter.now() + timeout_s, False
    try:
        while (code := process.poll()) is None and waiter.now() < deadline_s:
            if waiter.stop_asked and not hurried:
                deadline_s, hurried = min(deadline_s, waiter.now() + GRACE_S), True
            waiter.wait(deadline_s - waiter.now())
        return code
    finally:
        waiter.unwatch(pidfd)
        os.close(pidfd)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
