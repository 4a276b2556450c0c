"""A file that a result goes to: replaced in one step, or untouched."""

import os
from collections.abc import Iterable
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.errors import OutputError


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Replaces `path`, which nobody but its owner may read, by all the pieces.

    Raises:
        OutputError: no space, no permission, no such directory; the old file is intact.
        IbkrError: whatever kept a piece from being made; the old file is intact, too.
    """
    try:
        # /dev/null, a terminal or a pipe is written to, for it is nothing to be replaced; a link stays one.
        stays = path.exists() and not path.is_file() and not path.is_dir()
        whole = Path(os.path.realpath(path))
        with path.open("wb") if stays else files.replacing(whole, mode=0o600) as file:
            for piece in pieces:
                file.write(piece)
    except OSError as error:
        hint = "The file that was there before is intact." if path.is_file() else None
        raise OutputError(f"{path}: {error.strerror}", hint=hint) from error
