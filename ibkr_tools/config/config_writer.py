"""Reads a configuration that is about to be changed, and writes it back in one step."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ibkr_tools import files
from ibkr_tools.config.check import unusable_values
from ibkr_tools.config.loader import config_from, config_problems, read_document
from ibkr_tools.config.secret_writer import require_protected_directory
from ibkr_tools.errors import ConfigError, OutputError

ASKED_KEYS = frozenset({"username", "account"})
"""Keys that a person is asked for: what is wrong with them is no obstacle."""


def read_editable(file: Path) -> dict[str, Any]:
    """Returns the configuration `file`, an object; an empty one if there is none.

    Raises:
        ConfigError: it cannot be changed without losing something: not JSON, a link, or with wrong keys or values
            besides those of ASKED_KEYS.
    """
    if file.is_symlink():
        raise ConfigError(f"{file}: a link; it is not written through", hint="Put the file itself there.")
    if not file.exists():
        return {}
    document, data = read_document(file)
    problems = config_problems(document, data.decode(errors="replace"))
    _refuse(file, [line for line in problems if line.partition(":")[0] not in ASKED_KEYS])
    return document


def write_document(file: Path, document: Mapping[str, Any], group_id: int) -> None:
    """Replaces the configuration; it keeps owner and mode. A new one is for root and the group.

    Raises:
        ConfigError: the configuration would be refused, or others may write the directory; the old one is intact.
        OutputError: it cannot be written; the old one is intact.
    """
    require_acceptable(file, document)
    try:
        require_protected_directory(file.parent, "configuration")
        try:
            entry = file.lstat()
            mode, owner, group = stat.S_IMODE(entry.st_mode), entry.st_uid, entry.st_gid
        except FileNotFoundError:
            mode, owner, group = 0o640, os.geteuid(), group_id
        with files.atomic_writer(file, mode=mode) as stream:
            stream.write(f"{json.dumps(document, indent=2, ensure_ascii=False)}\n".encode())
            os.fchown(stream.fileno(), owner, group)
        files.sync_directory(file.parent)
    except OSError as error:
        raise OutputError(f"{error.filename or file}: {error.strerror}") from error


def require_acceptable(file: Path, document: Mapping[str, Any]) -> None:
    """Returns if `document` can become the configuration `file`.

    Raises:
        ConfigError: it would be refused.
    """
    problems = list(config_problems(document))
    if not problems:
        problems = list(unusable_values(config_from(document)))
    _refuse(file, problems)


def _refuse(file: Path, problems: list[str]) -> None:
    if problems:
        noun = "problem" if len(problems) == 1 else "problems"
        raise ConfigError(
            f"{file}: {len(problems)} {noun}, and nothing was changed:\n"
            + "\n".join(f"  {problem}" for problem in problems),
            hint="`ibkr-tools config schema` prints what is allowed.",
        )
