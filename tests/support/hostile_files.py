"""What somebody may put where a program expects a file: none of it may be followed, waited for, or kept."""

import os
from pathlib import Path
from typing import Final

__all__ = ["HOSTILE_FILES", "place_hostile_file"]

HOSTILE_FILES: Final = ("link", "link to nothing", "second name", "fifo", "directory", "full directory")


def place_hostile_file(kind: str, path: Path, other: Path) -> None:
    """Puts one of `HOSTILE_FILES` at `path`; links lead to the file `other`, which must be as before afterwards.

    Raises:
        AssertionError: `kind` is none of them.
    """
    match kind:
        case "link":
            path.symlink_to(other)
        case "link to nothing":
            path.symlink_to("/nowhere/at/all")
        case "second name":
            path.hardlink_to(other)
        case "fifo":
            os.mkfifo(path)
        case "directory" | "full directory":
            path.mkdir()
            if kind == "full directory":
                (path / "x").touch()
        case _:
            raise AssertionError(kind)
