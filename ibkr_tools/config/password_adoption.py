"""Moves a password that waits in config.json into the file beside it that only its owner reads, and finds copies of it.

The configuration is for the group, a password is not. Everything else in the file stays as it was typed, byte by byte.
"""

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibkr_tools import files, secret_text
from ibkr_tools.config import example
from ibkr_tools.errors import ConfigError, OutputError

MAX_CONFIG_BYTES = 1 << 20
"""More than any configuration has."""

MAX_FILES_SEARCHED = 1000
"""How many files are looked at for copies."""

_KEY = "password"
_PASSWORD_KEYS = frozenset({"password", "passwd", "passphrase", "pwd"})
_PASSWORD_LIKE = re.compile(
    rb"""["']?\b(?:password|passwd|passphrase|pwd)\b["']?\s*[:=]\s*("(?:[^"\\\n]|\\.)*"|[^\s,}]+)""", re.IGNORECASE
)
"""A password as people type it, in JSON or in what was meant to be JSON; `password_file` is none."""

_NOT_A_PASSWORD = frozenset({b"null", b'""', b"''", f'"{example.EXAMPLE_PASSWORD}"'.encode()})

_SPACE = re.compile(r"[ \t\r\n]*")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class _Member:
    """One `"key": value` of an object; `begin` and `end` are where it stands in the text."""

    key: str
    value: Any
    begin: int
    end: int


def adopt_password(config: Path, password: Path) -> str | None:
    """Moves `"password"` from the file `config` to the file `password`, which then has nothing else in it.

    The new file is complete on disk before the old one loses it; both are replaced in one step, and `config` keeps its
    owner and mode. A password that is in `password` already is replaced: the one that was typed last counts.

    Returns:
        What was done, in one line without the password; None if there was nothing to move, or only the example's.

    Raises:
        ConfigError: there is a password, and it cannot be moved: not JSON, twice there, not a text, not what a person
            types, in the wrong place, a link in the way, a directory that others may write.
        OutputError: a file cannot be read or written.
    """
    try:
        return _adopt(config, password)
    except OSError as error:
        raise OutputError(f"{error.filename or config}: {error.strerror}") from error


def _adopt(config: Path, password: Path) -> str | None:
    data = _read(config)
    if data is None:
        return None
    try:
        text, members = _parse(data)
    except (ValueError, IndexError, RecursionError):
        if not _has_password(data):
            return None
        raise ConfigError(
            f"{config}: not a JSON object; the password in it is not moved",
            hint="`ibkr-tools config check` says where it is wrong. Correct it, then run this again.",
        ) from None
    passwords = [
        member for member in members if member.key == _KEY and member.value not in (None, "", example.EXAMPLE_PASSWORD)
    ]
    misplaced = list(_misplaced(json.loads(text, parse_int=float)))
    if config.is_symlink() and (passwords or misplaced):
        raise ConfigError(
            f"{config}: a link; the password in the file that it leads to is not moved",
            hint=f"Put the file itself there, or move the password to {password} by hand.",
        )
    summary = _move(config, password, text, members) if passwords else None
    if misplaced:
        raise ConfigError(
            f'{config}: a password under {", ".join(misplaced)} is not moved; its place is "{_KEY}" at the top',
            hint="Correct the file, then run this again.",
        )
    return summary


def _move(config: Path, password: Path, text: str, members: list[_Member]) -> str:
    passwords = [member for member in members if member.key == _KEY]
    values = {member.value if isinstance(member.value, str) else None for member in passwords}
    if len(values) != 1:
        raise ConfigError(
            f'{config}: "{_KEY}" stands there {len(passwords)} times; none is moved', hint="Keep the one that counts."
        )
    (value,) = values
    if value is None:
        raise ConfigError(f'{config}: "{_KEY}" is not a text and cannot be moved', hint='Put it in quotes: "…".')
    try:
        secret_text.require_typable(value)
    except secret_text.UntypableText as error:
        raise ConfigError(
            f'{config}: "{_KEY}" is not what a person typed and cannot be moved: {error}',
            hint="Type it anew, then run this again.",
        ) from None
    content = f"{value}\n".encode()
    _require_protected_directory(config.parent)
    _require_protected_directory(password.parent)
    previous = _read_previous(password)
    for member in reversed(passwords):
        text, members = _without_member(text, members, member)
    owner = config.lstat()
    with files.atomic_writer(password, mode=0o600) as file:
        file.write(content)
        os.fchown(file.fileno(), os.geteuid(), os.getegid())
    files.sync_directory(password.parent)
    with files.atomic_writer(config, mode=stat.S_IMODE(owner.st_mode)) as file:
        file.write(text.encode())
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    files.sync_directory(config.parent)
    more = "; it replaces the one that was there" if previous.strip(b"\r\n") not in (b"", content.strip(b"\n")) else ""
    return f"the password was moved from {config.name} to {password}, which only its owner can read{more}"


def find_copies(directory: Path, *sources: Path) -> list[Path]:
    """Returns the files below `directory` with a password in them, such as an editor's copies of the configuration.

    A copy has the key, or the very text that is in one of the files `sources`; those are not among the answers, nor is
    config.json. Links are not followed, and what is not a file is not opened.
    """
    secrets = [secret for path in sources if len(secret := _contents(path).strip()) >= 6]  # noqa: PLR2004  # not by chance
    ignored = {directory / "config.json", *sources}
    copies: list[Path] = []
    for path in _files(directory):
        if path in ignored:
            continue
        data = _contents(path)
        if _has_password(data) or any(secret in data for secret in secrets):
            copies.append(path)
    return sorted(copies)


def _files(directory: Path) -> Iterator[Path]:
    seen = 0
    for where, _, names in os.walk(directory):
        for name in names:
            seen += 1
            if seen > MAX_FILES_SEARCHED:
                return
            yield Path(where, name)


def _contents(path: Path) -> bytes:
    try:
        return _read(path, os.O_NOFOLLOW) or b""
    except (OSError, ConfigError):
        return b""


def _read(path: Path, flags: int = 0) -> bytes | None:
    """Returns what is in a regular file, None if it is not there; never waits for anybody, never reads without end."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | flags)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ConfigError(f"{path}: not a file")
        with os.fdopen(fd, "rb", closefd=False) as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    finally:
        os.close(fd)
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_CONFIG_BYTES >> 20} MiB, which no configuration is")
    return data


def _read_previous(password: Path) -> bytes:
    if password.is_symlink():
        raise ConfigError(
            f"{password}: a link; no password is moved through it",
            hint="Remove the link, or put the password by hand into the file that it leads to.",
        )
    return _read(password, os.O_NOFOLLOW) or b""


def _has_password(data: bytes) -> bool:
    # UTF-16, as some editors write it, is ASCII with NULs between.
    return any(match[1] not in _NOT_A_PASSWORD for match in _PASSWORD_LIKE.finditer(data.replace(b"\0", b"")))


def _parse(data: bytes) -> tuple[str, list[_Member]]:
    """Returns the text without a byte order mark, which JSON has none of, and the members of the object that it is.

    Raises:
        ValueError: not UTF-8, not JSON.
        IndexError: JSON, but no object.
        RecursionError: JSON, but too deep.
    """
    text = data.removeprefix(_BOM).decode()
    document = json.loads(text, parse_int=float)
    return text, _members(text if isinstance(document, dict) else "")


def _members(text: str) -> list[_Member]:
    """Returns the members of the object that `text`, which is JSON, consists of."""
    decoder = json.JSONDecoder(parse_int=float)

    def after_space(at: int) -> int:
        match = _SPACE.match(text, at)
        return match.end() if match else at

    members: list[_Member] = []
    at = after_space(after_space(0) + 1)
    while text[at] != "}":
        key, after_key = decoder.raw_decode(text, at)
        value, end = decoder.raw_decode(text, after_space(after_space(after_key) + 1))
        members.append(_Member(key, value, at, end))
        at = after_space(end)
        if text[at] == ",":
            at = after_space(at + 1)
    return members


def _without_member(text: str, members: list[_Member], removed: _Member) -> tuple[str, list[_Member]]:
    """Cuts a member out with its comma and line; the members before it stay where they are."""
    number = members.index(removed)
    if number + 1 < len(members):
        begin, end = removed.begin, members[number + 1].begin
    else:
        begin, end = (members[number - 1].end if number else removed.begin), removed.end
    cut = text[:begin] + text[end:]
    return cut, _members(cut)


def _misplaced(value: object, path: str = "") -> Iterator[str]:
    """Yields where a password stands that no program of ours looks for; the top's own is not among them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            where = f"{path}{key}"
            if str(key).casefold() in _PASSWORD_KEYS and where != _KEY and inner not in (None, ""):
                yield ascii(where)
            yield from _misplaced(inner, f"{where}.")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _misplaced(inner, f"{path}{number}.")


def _require_protected_directory(directory: Path) -> None:
    """Whoever may write a directory decides what a name in it means."""
    entry = directory.stat()
    if entry.st_uid not in {0, os.geteuid()} or entry.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"{directory}: others may write there; the password is not moved",
            hint=f"chown root {directory} && chmod go-w {directory}",
        )
