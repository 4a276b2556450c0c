"""What is wrong with a decoded configuration, line by line; no line shows what may be a secret in the wrong place."""

import difflib
import json
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from ibkr_tools.config_values import Meant

_SECRET_LIKE = re.compile(r"pass|pwd|secret|totp|token|command|username")
"""Keys whose values are not shown: they are secrets, name their files, or are where people paste them."""

_A_TYPO = re.compile(r"[a-z_$]+")
"""A wrong key may be a password at the wrong place: it is named only if it looks like a key, and almost is one."""

_LONGEST = 80


def find_problems(
    value: object,
    kind: type[msgspec.Struct],
    path: str = "",
    *,
    texts: tuple[str, ...] = (),
    meant: Mapping[str, Meant],
    refused: Mapping[str, Callable[[Any], str]] = MappingProxyType({}),
    source: str = "",
) -> Iterator[str]:
    """Yields one line per problem: where it is, what was expected, and what was found if that may be shown.

    Args:
        value: the decoded section.
        kind: what it should be; sections are structs in structs.
        path: of the section, with a dot at its end.
        texts: keys that may be there besides, as texts.
        meant: what each regular expression of the types means in words, and what was meant by another text.
        refused: by path, what says why a value of the right kind cannot work, or returns an empty text.
        source: the document, to tell in which line a wrong key is.
    """
    if not isinstance(value, Mapping):
        yield f"{path.removesuffix('.') or 'the file'}: expected an object"
        return
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    known = [*fields, *texts]
    yield from (_unknown(str(key), known, path, source) for key in value if key not in known)
    for name, field in fields.items():
        if name not in value:
            if field.required:
                yield f"{path}{name}: missing"
            continue
        section = hints[name]
        if isinstance(section, type) and issubclass(section, msgspec.Struct):
            yield from find_problems(
                value[name], section, f"{path}{name}.", meant=meant, refused=refused, source=source
            )
            continue
        try:
            msgspec.convert(value[name], hints[name], strict=True)
        except msgspec.ValidationError as error:
            is_shown = not _SECRET_LIKE.search(name)
            yield f"{path}{name}{_expectation(error, value[name], hints[name], meant, is_shown=is_shown)}"
            continue
        if (why := refused.get(f"{path}{name}")) and (said := why(value[name])):
            yield f"{path}{name}: {said}"
    yield from (f"{key}: expected a text" for key in texts if not isinstance(value.get(key, ""), str))


def _unknown(key: str, known: list[str], path: str, source: str) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    if close and _A_TYPO.fullmatch(key):
        return f"{path}{key}: unknown key{hint}"
    line = _line_of_key(source, key)
    where = path.removesuffix(".") or "the file"
    return f"{where}: a key that is not known{f' (line {line})' if line else ''}{hint}"


def _line_of_key(source: str, key: str) -> int | None:
    """Returns in which line of a JSON document the key first stands; None if nobody knows."""
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"(\s*:)?', source, re.DOTALL):
        if found[1] is not None and json.loads(found[0][: -len(found[1])], strict=False) == key:
            return source.count("\n", 0, found.start()) + 1
    return None


def _choices(kind: Any) -> list[str]:
    if typing.get_origin(kind) is Literal:
        return list(typing.get_args(kind))
    return [choice for part in typing.get_args(kind) for choice in _choices(part)]


def _expectation(
    error: msgspec.ValidationError, value: object, kind: Any, meant: Mapping[str, Meant], *, is_shown: bool
) -> str:
    text = re.sub(r" - at `.*`$", "", str(error))
    where = re.search(r"at `\$(.*)`$", str(error))
    advice = ""
    found = _within(value, where[1] if where else "")
    if "matching regex" in text:
        words, advise = next(words for pattern, words in meant.items() if repr(pattern)[1:-1] in text)
        text = f"Expected {words}"
        advice = advise(found) if isinstance(found, str) else ""
    if text.startswith("Invalid enum value"):
        text = f"Expected one of {', '.join(_choices(kind))}"
    can_be_shown = is_shown and isinstance(found, str | int | float | bool | None) and not _with_login(found)
    shown = f", got {found!r}"[:_LONGEST] if can_be_shown else ""
    more = f"; {advice}" if advice else ""
    return f"{where.group(1) if where else ''}: {text}{'' if 'got' in text else shown}{more}"


def _within(value: object, where: str) -> object:
    """Returns the element of a list that msgspec's path names, such as `[0]`; of anything else the whole."""
    number = re.fullmatch(r"\[([0-9]+)\]", where)
    return value[int(number[1])] if number and isinstance(value, list | tuple) else value


def _with_login(value: object) -> bool:
    """Says whether a text is an address with a user's name in it, and perhaps a password."""
    return isinstance(value, str) and re.search(r"//[^/]*@", value) is not None


def with_place(data: bytes, message: str) -> str:
    """Turns msgspec's byte offset into line and column, as editors count them."""
    match = re.search(r"\(byte (\d+)\)", message)
    if not match:
        return message
    before = data[: int(match.group(1))]
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return message.replace(match.group(0), f"(line {line}, column {column})")
