"""Shows what is longer than the terminal page by page, as git does: with PAGER, else less, and only at a terminal."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

LESS_OPTIONS = "FRX"
"""Where a person has set none: end after one screen, show colours, keep what is shown. Source: git-config(1)."""


def choose_pager(environ: Mapping[str, str]) -> list[str] | None:
    """Returns the command of the pager; None: there is none, or a person wants none (PAGER empty, or `cat`).

    Who runs one command with the rights of another user shall not get a shell with them: under sudo it is less alone,
    which then starts nothing (LESSSECURE). Source: systemctl(1).
    """
    less = shutil.which("less", path="/usr/bin:/bin")
    if "SUDO_UID" in environ:
        return [less] if less else None
    wanted = environ.get("PAGER")
    if wanted is None:
        return [less] if less else None
    return ["/bin/sh", "-c", wanted] if wanted.strip() not in {"", "cat"} else None


def page(data: bytes) -> bool:
    """Shows `data` in a pager, if standard output is a terminal with fewer lines; says whether it did."""
    if not (sys.stdout.isatty() and sys.stdin.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        return False
    if data.count(b"\n") < shutil.get_terminal_size().lines:
        return False
    command = choose_pager(os.environ)
    if command is None:
        return False
    environment = {"LESS": LESS_OPTIONS, **os.environ}
    if "SUDO_UID" in os.environ:
        environment |= {"LESS": LESS_OPTIONS, "LESSSECURE": "1"}
        environment.pop("LESSOPEN", None)
    sys.stdout.flush()
    # Ctrl-C is the pager's.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
        with suppress(BrokenPipeError):
            process.communicate(data)
        return process.wait() != _NOT_FOUND
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)


_NOT_FOUND = 127
"""The shell's exit code of a command that is not there: the text has not been shown."""
