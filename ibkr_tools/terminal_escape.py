"""Escapes the control characters of foreign texts for a terminal: cursor movements, changes of direction. Pure."""

import codecs
import re
from collections.abc import Iterable, Iterator

__all__ = ["INVISIBLE_CHARACTERS", "escape_control_characters", "escape_for_terminal", "replace_unprintable"]

INVISIBLE_CHARACTERS = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff"
    r"\uffa0\ufff9-\uffff"
)
"""Control characters and others without a picture, as a part of a regular expression's class, in Python and in JSON."""

_CONTROL_CHARACTERS = (
    # C0 but tab and line feed, DEL, C1; what turns the direction of a text; what other programs take as a new line.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    # Bytes of a name that are no text.
    "\ud800-\udfff]"
)


def escape_control_characters(text: str) -> str:
    r"""Returns a text with its control characters as JSON writes them (`\u001b`); tabs and line feeds stay."""
    return text if text.isascii() and text.isprintable() else re.sub(_CONTROL_CHARACTERS, _escape, text)


def replace_unprintable(text: str) -> str:
    """Returns a text as one line: every character that is not printable, line feeds too, becomes a blank."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def escape_for_terminal(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yields UTF-8 in pieces as it may go to a terminal; a CR LF is a line feed there."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pending = ""
    for piece in pieces:
        text = pending + decoder.decode(piece)
        pending = "\r" if text.endswith("\r") else ""
        yield escape_control_characters(text.removesuffix("\r").replace("\r\n", "\n")).encode()
    yield escape_control_characters(pending + decoder.decode(b"", final=True)).encode()
