"""What is wrong with a decoded configuration, line by line; no line shows what may be a secret in the wrong place."""

import difflib
import json
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from ibkr_tools.config.values import PatternHint

_HIDDEN_KEYS = re.compile(r"pass|pwd|secret|totp|token|command|username|query|database")
"""Keys whose values are not shown: they are secrets, name their files, or are where people paste them."""

_KEY_LIKE = re.compile(r"[a-z_$]+")
"""A wrong key may be a password at the wrong place: it is named only if it looks like a key, and almost is one."""

_MAX_SHOWN_CHARACTERS = 80


def find_problems(
    value: object,
    kind: type[msgspec.Struct],
    path: str = "",
    *,
    text_keys: tuple[str, ...] = (),
    pattern_hints: Mapping[str, PatternHint],
    validators: Mapping[str, Callable[[Any], str]] = MappingProxyType({}),
    source: str = "",
) -> Iterator[str]:
    """Yields one line per problem: where it is, what was expected, and what was found if that may be shown.

    Args:
        value: the decoded section.
        kind: what it should be; sections are structs in structs.
        path: of the section, with a dot at its end.
        text_keys: keys that may be there besides, as texts, by path.
        pattern_hints: what each regular expression of the types means in words, and what was meant by another text.
        validators: by path, what says why a value of the right kind cannot work, or returns an empty text.
        source: the document, to tell in which line a wrong key is.
    """
    if not isinstance(value, Mapping):
        yield f"{path.removesuffix('.') or 'the file'}: expected an object"
        return
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    own_text_keys = [key.removeprefix(path) for key in text_keys if key.rpartition(".")[0] == path.removesuffix(".")]
    known_keys = [*fields, *own_text_keys]
    yield from (_unknown(str(key), known_keys, path, source) for key in value if key not in known_keys)
    for name, field in fields.items():
        if name not in value:
            if field.required:
                yield f"{path}{name}: missing"
            continue
        section = hints[name]
        if isinstance(section, type) and issubclass(section, msgspec.Struct):
            yield from find_problems(
                value[name],
                section,
                f"{path}{name}.",
                text_keys=text_keys,
                pattern_hints=pattern_hints,
                validators=validators,
                source=source,
            )
            continue
        try:
            msgspec.convert(value[name], hints[name], strict=True)
        except msgspec.ValidationError as error:
            is_shown = not _HIDDEN_KEYS.search(name)
            yield f"{path}{name}{_expectation(error, value[name], hints[name], pattern_hints, is_shown=is_shown)}"
            continue
        if (validator := validators.get(f"{path}{name}")) and (problem := validator(value[name])):
            yield f"{path}{name}: {problem}"
    yield from (f"{path}{key}: expected a text" for key in own_text_keys if not isinstance(value.get(key, ""), str))


def _unknown(key: str, known_keys: list[str], path: str, source: str) -> str:
    close = difflib.get_close_matches(key, known_keys, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    if close and _KEY_LIKE.fullmatch(key):
        return f"{path}{key}: unknown key{hint}"
    line = _line_of_key(source, key)
    where = path.removesuffix(".") or "the file"
    return f"{where}: a key that is not known{f' (line {line})' if line else ''}{hint}"


def _line_of_key(source: str, key: str) -> int | None:
    """Returns in which line of a JSON document the key first stands; None if nobody knows."""
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"(\s*:)?', source, re.DOTALL):
        if match[1] is not None and json.loads(match[0][: -len(match[1])], strict=False) == key:
            return source.count("\n", 0, match.start()) + 1
    return None


def _choices(kind: Any) -> list[str]:
    if typing.get_origin(kind) is Literal:
        return list(typing.get_args(kind))
    return [choice for part in typing.get_args(kind) for choice in _choices(part)]


def _expectation(
    error: msgspec.ValidationError,
    value: object,
    kind: Any,
    pattern_hints: Mapping[str, PatternHint],
    *,
    is_shown: bool,
) -> str:
    text = re.sub(r" - at `.*`$", "", str(error))
    where = re.search(r"at `\$(.*)`$", str(error))
    advice = ""
    element = _element_of(value, where[1] if where else "")
    if "matching regex" in text:
        words, explain = next(words for pattern, words in pattern_hints.items() if repr(pattern)[1:-1] in text)
        text = f"Expected {words}"
        advice = explain(element) if isinstance(element, str) else ""
    if "RFC3339" in text:
        text = "Expected a day such as 2027-01-31"
    if text.startswith("Invalid enum value"):
        text = f"Expected one of {', '.join(_choices(kind))}"
    can_be_shown = is_shown and isinstance(element, str | int | float | bool | None) and not _has_credentials(element)
    shown = f", got {element!r}"[:_MAX_SHOWN_CHARACTERS] if can_be_shown else ""
    more = f"; {advice}" if advice else ""
    return f"{where.group(1) if where else ''}: {text}{'' if 'got' in text else shown}{more}"


def _element_of(value: object, where: str) -> object:
    """Returns the element of a list that msgspec's path names, such as `[0]`; of anything else the whole."""
    number = re.fullmatch(r"\[([0-9]+)\]", where)
    return value[int(number[1])] if number and isinstance(value, list | tuple) else value


def _has_credentials(value: object) -> bool:
    """Says whether a text is an address with a user's name in it, and perhaps a password."""
    return isinstance(value, str) and re.search(r"//.*@", value) is not None


def with_line_and_column(data: bytes, message: str) -> str:
    """Turns msgspec's byte offset into line and column, as editors count them."""
    match = re.search(r"\(byte (\d+)\)", message)
    if not match:
        return message
    before = data[: int(match.group(1))]
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return message.replace(match.group(0), f"(line {line}, column {column})")
