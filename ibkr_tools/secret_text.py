"""Whether a secret is what a person typed: what no person types is named with its place, never the secret. Pure.

A byte order mark, an invisible letter or a control character comes from an editor, a terminal or a web page. Sent
along, it spends one of the few refusals that IBKR allows, and nobody sees why.
"""

import codecs
import re
import unicodedata

_LINE_ENDS = "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"

_FILLERS = "\u115f\u1160\u3164\uffa0\u2800"
"""Letters by their category, and nothing to see."""

_NEVER_TYPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_NAMES = {
    "\0": "a NUL character",
    "\t": "a tab",
    "\n": "a line end",
    "\r": "a carriage return",
    "\x1b": "an escape character, such as terminals get for colours",
    "\x7f": "a delete character",
    "\ufeff": "a byte order mark",
    "\ufffd": "a replacement character, which stands for bytes that were no text",
}

_WIDE = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class UntypableText(ValueError):
    """A secret is not what a person typed; the message says what is wrong and where, and shows nothing of it."""


def decode(data: bytes) -> str:
    """Returns the text of a file that holds one secret, without the one line end after it.

    Raises:
        UntypableText: it is not UTF-8, as files of another encoding are not.
    """
    for mark, name in _WIDE:
        if data.startswith(mark):
            raise UntypableText(f"it is {name}, not UTF-8")
    if len(data) > 1 and _is_wide(data):
        raise UntypableText("it is UTF-16 without a mark, not UTF-8")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UntypableText(f"not a text in UTF-8: byte {error.start + 1} of it is none") from None
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


def _is_wide(data: bytes) -> bool:
    """Says whether every other byte of it is NUL, as those of ASCII in UTF-16 are."""
    return len(data) % 2 == 0 and (not any(data[1::2]) or not any(data[::2])) and any(data)


def require_typable(text: str, *, blanks: bool = False) -> None:
    """Returns if a person can have typed `text`, the secret; `blanks`: those in it do not matter, of whatever kind.

    Raises:
        UntypableText: what is in it that nobody types: the first of it by place and name.
    """
    if text and not text.strip():
        raise UntypableText("there is nothing in it but blanks")
    places = [place for place, letter in enumerate(text) if _is_untypable(letter, blanks=blanks)]
    if not places:
        return
    letter = text[places[0]]
    more = f", and {len(places) - 1} more of the kind" if len(places) > 1 else ""
    if letter in _LINE_ENDS and text.rstrip(_LINE_ENDS) != text[: places[0]]:
        raise UntypableText(f"it has more than one line: {describe(letter)} is character {places[0] + 1} of it")
    raise UntypableText(f"character {places[0] + 1} of it is {describe(letter)}{more}")


def blank_warning(text: str) -> str | None:
    """Returns what is odd about a secret that may be meant so; None if nothing is."""
    ends = [end for end, is_so in (("begins", text[:1] == " "), ("ends", text[-1:] == " ")) if is_so]
    return f"{' and '.join(ends)} with a blank, which belongs to it" if ends else None


def strip_invisible(text: str) -> str:
    """Returns a text without what cannot be seen in it, terminals' colours included; line feeds stay."""
    plain = re.sub(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])", "", text)
    return "".join(letter for letter in plain if letter == "\n" or not _is_untypable(letter, blanks=True))


def first_invisible(text: str) -> str | None:
    """Returns what the first thing in a text is that cannot be seen, with its code; None without any."""
    return next((describe(letter) for letter in text if _is_untypable(letter, blanks=True)), None)


def describe(letter: str) -> str:
    """Returns name and number of a character that nobody types."""
    name = _NAMES.get(letter) or unicodedata.name(letter, "").lower()
    if not name:
        name = "half a character" if unicodedata.category(letter) == "Cs" else "a control character"
    elif letter not in _NAMES:
        name = f"{'an' if name[0] in 'aeio' else 'a'} {name}"
    return f"{name} (U+{ord(letter):04X})"


def _is_untypable(letter: str, *, blanks: bool) -> bool:
    if " " <= letter <= "~":
        return False
    kind = unicodedata.category(letter)
    if blanks and (letter == "\t" or kind == "Zs"):
        return False
    is_none = ord(letter) & 0xFFFE == 0xFFFE or "\ufdd0" <= letter <= "\ufdef" or letter == "\ufffd"  # noqa: PLR2004
    return kind in _NEVER_TYPED or kind == "Zs" or letter in _FILLERS or is_none
