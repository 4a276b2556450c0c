"""Programs that run on a terminal."""

import os
import pty
import subprocess
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress

__all__ = ["on_terminal"]


def on_terminal(
    command: Sequence[str], environment: Mapping[str, str], *, lines: int = 1000, columns: int = 500
) -> tuple[int, str]:
    """Runs a command on a terminal; returns its exit code and everything that the terminal got."""
    leader, terminal = pty.openpty()
    termios.tcsetwinsize(leader, (lines, columns))
    with subprocess.Popen(command, env=environment, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        data = b""
        # A terminal that nobody has open any more is an error to read from.
        with suppress(OSError):
            while part := os.read(leader, 65536):
                data += part
        os.close(leader)
    return process.returncode, data.decode().replace("\r\n", "\n")
