"""Moves a secret that waits in config.json into the file beside it that only its owner reads, and finds copies of it.

The configuration is for the group, a secret is not. Everything else in the file stays as it was typed, byte by byte.
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
from ibkr_tools.config.secret_writer import require_protected_directory, write_secret
from ibkr_tools.errors import ConfigError, OutputError

MAX_CONFIG_BYTES = 1 << 20
"""More than any configuration has."""

MAX_FILES_SEARCHED = 1000
"""How many files are looked at for copies."""

_PASSWORD_LIKE = re.compile(
    rb"""["']?\b(?:password|passwd|passphrase|pwd)\b["']?\s*[:=]\s*("(?:[^"\\\n]|\\.)*"|[^\s,}]+)""", re.IGNORECASE
)
"""A password as people type it, in JSON or in what was meant to be JSON; `password_file` is none."""

_TOKEN_LIKE = re.compile(rb"""["']?\btoken\b["']?\s*[:=]\s*("?[0-9]{10,}"?)""", re.IGNORECASE)
"""A token of IBKR's; those of others, such as a program for alerts has, have letters."""

_NOT_A_PASSWORD = frozenset({b"null", b'""', b"''", f'"{example.EXAMPLE_PASSWORD}"'.encode()})

_SPACE = re.compile(r"[ \t\r\n]*")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class AdoptedSecret:
    """One of the two secrets that people put into the configuration.

    `section` is where its `key` stands, an empty text for the top. `other_names`: keys that people take for it.
    `pattern` finds it in what is no JSON.
    """

    what: str
    section: str
    key: str
    other_names: frozenset[str]
    pattern: re.Pattern[bytes]

    @property
    def place(self) -> str:
        """Its place in the configuration, such as `flex.token`."""
        return f"{self.section}.{self.key}" if self.section else self.key


PASSWORD = AdoptedSecret(
    "password", "", "password", frozenset({"password", "passwd", "passphrase", "pwd"}), _PASSWORD_LIKE
)
TOKEN = AdoptedSecret("token", "flex", "token", frozenset({"token", "flex_token", "flextoken"}), _TOKEN_LIKE)


@dataclass(frozen=True)
class _Member:
    """One `"key": value` of an object; `begin`, `value_begin` and `end` are where it stands in the text."""

    key: str
    value: Any
    begin: int
    value_begin: int
    end: int


def adopt_password(config: Path, password: Path) -> str | None:
    """Moves `"password"` from the file `config` to the file `password`; see `adopt`."""
    return adopt(PASSWORD, config, password)


def adopt(secret: AdoptedSecret, config: Path, file: Path) -> str | None:
    """Moves a secret from the file `config` to `file`, which then has nothing else in it.

    The new file is complete on disk before the old one loses it; both are replaced in one step, and `config` keeps its
    owner and mode. A secret that is in `file` already is replaced: the one that was typed last counts.

    Returns:
        What was done, in one line without the secret; None if there was nothing to move, or only the example's.

    Raises:
        ConfigError: there is a secret, and it cannot be moved: not JSON, twice there, not a text, not what a person
            types, in the wrong place, a link in the way, a directory that others may write.
        OutputError: a file cannot be read or written.
    """
    try:
        return _adopt(secret, config, file)
    except OSError as error:
        raise OutputError(f"{error.filename or config}: {error.strerror}") from error


def _adopt(secret: AdoptedSecret, config: Path, file: Path) -> str | None:
    data = _read(config)
    if data is None:
        return None
    try:
        text = _parse(data)
        members = _own_members(text, secret)
    except (ValueError, IndexError, RecursionError):
        if not _has_secret(data, secret):
            return None
        raise ConfigError(
            f"{config}: not a JSON object; the {secret.what} in it is not moved",
            hint="`ibkr-tools config check` says where it is wrong. Correct it, then run this again.",
        ) from None
    is_there = any(member.value not in (None, "", example.EXAMPLE_PASSWORD) for member in members)
    misplaced = list(_misplaced(json.loads(text, parse_int=float), secret))
    if config.is_symlink() and (is_there or misplaced):
        raise ConfigError(
            f"{config}: a link; the {secret.what} in the file that it leads to is not moved",
            hint=f"Put the file itself there, or move the {secret.what} to {file} by hand.",
        )
    summary = _move(secret, config, file, text) if is_there else None
    if misplaced:
        where = "at the top" if not secret.section else f'in "{secret.section}"'
        raise ConfigError(
            f'{config}: a {secret.what} under {", ".join(misplaced)} is not moved; its place is "{secret.key}" {where}',
            hint="Correct the file, then run this again.",
        )
    return summary


def _move(secret: AdoptedSecret, config: Path, file: Path, text: str) -> str:
    members = _own_members(text, secret)
    values = {member.value if isinstance(member.value, str) else None for member in members}
    if len(values) != 1:
        raise ConfigError(
            f'{config}: "{secret.place}" stands there {len(members)} times; none is moved',
            hint="Keep the one that counts.",
        )
    (value,) = values
    if value is None:
        raise ConfigError(
            f'{config}: "{secret.place}" is not a text and cannot be moved', hint='Put it in quotes: "…".'
        )
    try:
        secret_text.require_typable(value)
    except secret_text.UntypableText as error:
        raise ConfigError(
            f'{config}: "{secret.place}" is not what a person typed and cannot be moved: {error}',
            hint="Type it anew, then run this again.",
        ) from None
    require_protected_directory(config.parent, secret.what)
    owner = config.lstat()
    previous = write_secret(secret.what, file, value)
    with files.atomic_writer(config, mode=stat.S_IMODE(owner.st_mode)) as stream:
        stream.write(_without_secret(text, secret).encode())
        os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
    files.sync_directory(config.parent)
    more = "; it replaces the one that was there" if previous not in ("", value) else ""
    return f"the {secret.what} was moved from {config.name} to {file}, which only its owner can read{more}"


def find_copies(directory: Path, *sources: Path, secret: AdoptedSecret = PASSWORD) -> list[Path]:
    """Returns the files below `directory` with a secret in them, such as an editor's copies of the configuration.

    A copy has the key, or the very text that is in one of the files `sources`; those are not among the answers, nor is
    config.json. Links are not followed, and what is not a file is not opened.
    """
    texts = [text for path in sources if len(text := _contents(path).strip()) >= 6]  # noqa: PLR2004  # not by chance
    ignored = {directory / "config.json", *sources}
    copies: list[Path] = []
    for path in _files(directory):
        if path in ignored:
            continue
        data = _contents(path)
        if _has_secret(data, secret) or any(text in data for text in texts):
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


def _has_secret(data: bytes, secret: AdoptedSecret) -> bool:
    # UTF-16, as some editors write it, is ASCII with NULs between.
    return any(match[1] not in _NOT_A_PASSWORD for match in secret.pattern.finditer(data.replace(b"\0", b"")))


def _parse(data: bytes) -> str:
    """Returns the text of an object, without a byte order mark, which JSON has none of.

    Raises:
        ValueError: not UTF-8, not JSON.
        IndexError: JSON, but no object.
        RecursionError: JSON, but too deep.
    """
    text = data.removeprefix(_BOM).decode()
    _members(text if isinstance(json.loads(text, parse_int=float), dict) else "")
    return text


def _objects(text: str, secret: AdoptedSecret) -> list[list[_Member]]:
    """Returns the members of each object that the secret may stand in: a section may be there twice."""
    top = _members(text)
    if not secret.section:
        return [top]
    return [
        _members(text, member.value_begin)
        for member in top
        if member.key == secret.section and isinstance(member.value, dict)
    ]


def _own_members(text: str, secret: AdoptedSecret) -> list[_Member]:
    """Returns the members that are the secret."""
    return [member for members in _objects(text, secret) for member in members if member.key == secret.key]


def _without_secret(text: str, secret: AdoptedSecret) -> str:
    while found := [
        (members, member) for members in _objects(text, secret) for member in members if member.key == secret.key
    ]:
        text = _without_member(text, *found[-1])
    return text


def _members(text: str, begin: int = 0) -> list[_Member]:
    """Returns the members of the object that begins there, in `text`, which is JSON."""
    decoder = json.JSONDecoder(parse_int=float)

    def after_space(at: int) -> int:
        match = _SPACE.match(text, at)
        return match.end() if match else at

    members: list[_Member] = []
    at = after_space(after_space(begin) + 1)
    while text[at] != "}":
        key, after_key = decoder.raw_decode(text, at)
        value_begin = after_space(after_space(after_key) + 1)
        value, end = decoder.raw_decode(text, value_begin)
        members.append(_Member(key, value, at, value_begin, end))
        at = after_space(end)
        if text[at] == ",":
            at = after_space(at + 1)
    return members


def _without_member(text: str, members: list[_Member], removed: _Member) -> str:
    """Cuts a member out of its object, with its comma and line."""
    number = members.index(removed)
    if number + 1 < len(members):
        begin, end = removed.begin, members[number + 1].begin
    else:
        begin, end = (members[number - 1].end if number else removed.begin), removed.end
    return text[:begin] + text[end:]


def _misplaced(value: object, secret: AdoptedSecret, path: str = "") -> Iterator[str]:
    """Yields where a secret stands that no program of ours looks for; its own place is not among them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            where = f"{path}{key}"
            if str(key).casefold() in secret.other_names and where != secret.place and inner not in (None, ""):
                yield ascii(where)
            yield from _misplaced(inner, secret, f"{where}.")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _misplaced(inner, secret, f"{path}{number}.")
