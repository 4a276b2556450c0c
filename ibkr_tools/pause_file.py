"""A person's wish that nothing logs in for a while: one small file, so that it survives restarts and reboots.

Whoever logs in reads it right before; a session that is there is kept alive all the same.
"""

from datetime import datetime
from pathlib import Path

import msgspec

from ibkr_tools import files
from ibkr_tools.status import Moment

PAUSE_SCHEMA = 1
"""The schema of the file."""


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Since when, and until when; `until` null: until somebody says `resume`."""

    since: Moment
    until: Moment | None = None
    schema: int = PAUSE_SCHEMA

    def is_over(self, now: datetime) -> bool:
        """Says whether its time has come to an end."""
        return self.until is not None and now >= self.until

    @property
    def why(self) -> str:
        """Says in one line why nothing logs in."""
        until = f"until {self.until:%Y-%m-%d %H:%M:%S} UTC" if self.until else "by a person"
        return f"paused {until}; `ibkr-tools resume` lets logins happen again"


def read(path: Path, now: datetime) -> Pause | None:
    """Returns the pause that holds at `now`, None without one.

    A file that cannot be read, or of another schema, is a pause without end: somebody wanted one, and logging in cannot
    be undone.
    """
    try:
        pause = msgspec.json.decode(files.read_regular(path), type=Pause)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Pause(since=now)
    if pause.schema != PAUSE_SCHEMA:
        return Pause(since=now)
    return None if pause.is_over(now) else pause


def begin(path: Path, pause: Pause) -> None:
    """Makes `pause` the one that holds.

    Raises:
        OSError: the state directory cannot be written.
    """
    files.make_directory(path.parent, mode=0o750)
    files.write_atomically(path, msgspec.json.encode(pause) + b"\n", mode=0o640)


def end(path: Path) -> bool:
    """Ends the pause; says whether there was one.

    Raises:
        OSError: the state directory cannot be written.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
