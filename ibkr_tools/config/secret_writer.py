"""Writes a secret into the file beside the configuration that only its owner reads."""

import errno
import os
import stat
from pathlib import Path

from ibkr_tools import files, secret_text
from ibkr_tools.errors import ConfigError, OutputError


def write_secret(what: str, file: Path, secret: str) -> str:
    """Has `file` hold `secret` and nothing else, for its owner alone; it is replaced in one step, and is on disk then.

    Args:
        what: the kind of secret, for messages: "password", "token".
        file: where it belongs; its directory must exist.
        secret: what `secret_text.require_typable` lets pass.

    Returns:
        The secret that was there before; an empty text if there was none.

    Raises:
        ConfigError: a link or no regular file is in the way, or others may write the directory.
        OutputError: it cannot be written; the old one is intact.
    """
    try:
        require_protected_directory(file.parent, what)
        previous = _read_previous(file, what)
        with files.atomic_writer(file, mode=0o600) as stream:
            stream.write(f"{secret}\n".encode())
            os.fchown(stream.fileno(), os.geteuid(), os.getegid())
        files.sync_directory(file.parent)
    except OSError as error:
        raise OutputError(f"{error.filename or file}: {error.strerror}") from None
    return previous


def read_stored_secret(file: Path, what: str) -> str:
    """Returns what is in `file`, as it stands; an empty text if there is nothing.

    Raises:
        ConfigError: a link or no regular file is in the way.
        OutputError: it cannot be read.
    """
    try:
        return _read_previous(file, what)
    except OSError as error:
        raise OutputError(f"{error.filename or file}: {error.strerror}") from None


def require_protected_directory(directory: Path, what: str) -> None:
    """Returns if nobody else may write `directory`: whoever may decides what a name in it means.

    Raises:
        ConfigError: others may.
        OSError: it is not there.
    """
    entry = directory.stat()
    if entry.st_uid not in {0, os.geteuid()} or entry.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"{directory}: others may write there; the {what} is not put there",
            hint=f"chown root {directory} && chmod go-w {directory}",
        )


def _read_previous(file: Path, what: str) -> str:
    if file.is_symlink():
        raise ConfigError(
            f"{file}: a link; no {what} is written through it",
            hint=f"Remove the link, or put the {what} by hand into the file that it leads to.",
        )
    try:
        data = files.read_regular(file, one_name=False)
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.EFBIG, errno.ENXIO}:
            raise
        reason = error.strerror if error.errno == errno.EFBIG else "not a file"
        raise ConfigError(f"{file}: {reason}", hint=f"Remove it; there is no {what} in it.") from None
    try:
        return secret_text.decode(data)
    except secret_text.UntypableText:
        return data.decode(errors="replace")
