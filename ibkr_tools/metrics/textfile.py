"""Writes the metrics where node_exporter's textfile collector reads them."""

import os
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.errors import OutputError

PUBLIC_MODE = 0o644
"""Of a file without the account's figures: node_exporter is another user."""

PRIVATE_MODE = 0o640
"""Of a file with them: for the group of its directory, if that has the set-group-ID bit."""


def write_textfile(path: Path, text: bytes, *, has_figures: bool) -> None:
    """Replaces the file in one step: a reader never sees half of it.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        files.write_atomically(path, text, mode=PRIVATE_MODE if has_figures else PUBLIC_MODE, fsync=False)
    except OSError as error:
        raise OutputError(f"metrics.textfile: {path}: {error.strerror}", hint=_advice(path)) from error


def _advice(path: Path) -> str:
    if not path.parent.is_dir():
        return f"Make the directory {path.parent}, or name another one."
    if os.access(path.parent, os.W_OK):
        return "The last file is intact."
    return (
        f"{path.parent} must be writable for the user of the units, ibkr; "
        f"the unit also needs ReadWritePaths={path.parent} (systemctl edit ibkr-metrics.service)."
    )
