"""Secrets in texts of the page and the browser: redacted where a text enters, in whatever spelling it may stand there.

What comes out is on one line and without control characters, so that one log record stays one. What is decided by a
text is decided by `unredacted`; everything else sees and shows the redacted one.
"""

import functools
import html.entities
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, Self

from ibkr_tools.config.secrets import Secret

REDACTION_MARK = "…"

MAX_TEXT_LENGTH = 20_000
"""Characters of one text of the page, at most: the scripts cut what is longer, far behind all that is ever shown."""

SHORT_SECRET_LENGTH = 4
"""A secret of fewer letters is redacted only where it stands alone: within words it would leave nothing readable."""

_SPACES = r"\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_UNSEEN = (
    r"\u0000-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
)
"""Control characters, and such as are not seen: they are dropped, and may stand between any two letters."""
_ALONE = r"\ud800-\udfff"
"""Halves of a character, which no file takes. JavaScript's texts are made of them, so there they are none."""

# Signs as an address, HTML, or a text of JSON, JavaScript or Python has them; one in the other, any number of times.
_PERCENT = "%(?:25)*"
_AMPERSAND = rf"(?:&|{_PERCENT}26|\\u0026)(?:amp(?:;|{_PERCENT}3b))*"
_HASH, _SEMICOLON = f"(?:#|{_PERCENT}23)", f"(?:;|{_PERCENT}3b)?"
_BACKSLASH = rf"(?:\\(?:u005c|x5c)?|{_PERCENT}5c|&(?:amp;)*(?:#0*92|#x0*5c|bsol);)"
_UNSEEN_NAMES = "&(?:amp;)*(?:shy|zwj|zwnj|zerowidthspace|lrm|rlm|#173|#820[3-7]|#x200[b-f]|#xad);"

_HEX = "(?:00)?(?:09|0[a-d]|1[c-f]|20|85|a0)|1680|20(?:0[0-9a]|28|29|2f|5f)|3000"
_DECIMAL = "9|1[0-3]|2[89]|3[0-2]|133|160|5760|819[2-9]|820[0-2]|823[239]|8287|12288"
_OCTETS = rf"""09|0[a-d]|1[c-f]|20|c2{_PERCENT}85|c2{_PERCENT}a0|a0|e1{_PERCENT}9a{_PERCENT}80
    |e2{_PERCENT}(?:80{_PERCENT}(?:8[0-9a]|a[89f])|81{_PERCENT}9f)|e3{_PERCENT}80{_PERCENT}80"""
_BLANKS = "|".join(
    [
        f"{_AMPERSAND}(?:nbsp|nonbreakingspace|tab|newline|ensp|emsp|thinsp){_SEMICOLON}",
        f"{_AMPERSAND}{_HASH}(?:0*(?:{_DECIMAL})|x0*(?:9|[a-d]|{_HEX})){_SEMICOLON}",
        f"{_PERCENT}(?:{''.join(_OCTETS.split())}|u(?:{_HEX}))",
        r"\+",
        f"{_BACKSLASH}QUOTED(?:[nrtfv]|(?:u|x)(?:{_HEX}))",
    ]
)
"""How else white space is written."""

_MAX_SPELLING_LENGTH = 60
"""Characters that one letter of a secret may take, spelled as no page does."""


class RedactedText(str):
    """A text in which something was redacted; `unredacted` gives what stood there."""

    __slots__ = ("written",)

    written: Secret

    def __new__(cls, shown: str, written: Secret) -> Self:
        """Makes one that is and shows `shown`."""
        redacted = super().__new__(cls, shown)
        redacted.written = written
        return redacted


def unredacted(text: str) -> str:
    """Returns what stood there before it was redacted: to decide by, never to show."""
    return text.written.reveal() if isinstance(text, RedactedText) else text


def truncated(text: str, most: int) -> str:
    """Returns at most so many characters of the beginning."""
    if isinstance(text, RedactedText):
        return RedactedText(text[:most], Secret(unredacted(text)[:most]))
    return text[:most]


def one_line(text: str) -> str:
    """Returns the text on one line, every run of white space as one blank, without what is not seen."""
    if isinstance(text, RedactedText):
        return RedactedText(one_line(str(text)), Secret(one_line(unredacted(text))))
    return " ".join(re.sub(f"[{_UNSEEN}{_ALONE}\U000e0000-\U000e007f]", "", re.sub(f"[{_SPACES}]+", " ", text)).split())


class Redactor:
    """Redacts `secrets`, and what is added to them later, in any case and any spelling."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        self._patterns: list[re.Pattern[str]] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Redacts `secret` from now on; an empty one, or one that is known, changes nothing."""
        if secret in self._secrets or not (pattern := _pattern(secret)):
            return
        self._secrets.append(secret)
        self._patterns.append(re.compile(pattern, re.IGNORECASE))

    def patterns_for_scripts(self) -> list[str]:
        """Returns the same as regular expressions of JavaScript, to be used with the flags `gi`."""
        return [_pattern(secret, javascript=True) for secret in self._secrets]

    def __call__(self, text: str, *, is_cut: bool = False) -> str:
        """Returns `text` with every secret redacted.

        `is_cut`: more followed, so that a secret may have begun at its end; nothing of that end is returned.
        """
        end = len(text)
        if is_cut:
            end -= _MAX_SPELLING_LENGTH * max(map(len, self._secrets), default=0)
        shown, done = [], 0
        for start, stop in self._places(text):
            if start >= end:
                break
            if start >= done:
                shown += [text[done:start], REDACTION_MARK]
            done = max(done, stop)
        shown.append(text[done : max(done, end)])
        return "".join(shown)

    def redact_line(self, text: str, *, is_cut: bool = False) -> str:
        """Returns `text` redacted and on one line; `unredacted` still tells what stood there, on one line too."""
        shown = self(text, is_cut=is_cut)
        return one_line(text) if shown == text else RedactedText(one_line(shown), Secret(one_line(text)))

    def redact_json(self, value: Any, longest: int) -> Any:
        """Returns a JSON value with every text in it as `redact_line` gives it; names of objects are ours and stay.

        A text of `longest` characters is taken for one that was cut.
        """
        if isinstance(value, str):
            return self.redact_line(value, is_cut=len(value) >= longest)
        if isinstance(value, list):
            return [self.redact_json(element, longest) for element in value]
        if isinstance(value, dict):
            return {name: self.redact_json(element, longest) for name, element in value.items()}
        return value

    def _places(self, text: str) -> list[tuple[int, int]]:
        """Returns where secrets stand, in order; they may overlap."""
        return sorted(place for pattern in self._patterns for place in _all_matches(pattern, text))


def _all_matches(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """Yields every match, also those that overlap the one before."""
    match = pattern.search(text)
    while match:
        yield match.span()
        match = pattern.search(text, match.start() + 1)


def _pattern(secret: str, *, javascript: bool = False) -> str:
    """Returns the regular expression of every spelling; empty if there is nothing in `secret` to be seen.

    A backslash may be doubled or dropped by whoever quotes a text, white space may be any other, or none.
    """
    visible = one_line(secret)
    if not visible:
        return ""
    # What is left without backslashes must not be in every text.
    is_loose = len(visible.replace("\\", "").replace(" ", "")) >= SHORT_SECRET_LENGTH
    quoting = f"|{_BACKSLASH}" if is_loose else ""
    unseen = f"[{_UNSEEN if javascript else _UNSEEN + _ALONE}]|{_UNSEEN_NAMES}{quoting}"
    # Backslashes that quote others: elsewhere in the pattern, or here.
    blanks = _BLANKS.replace("QUOTED", "" if is_loose else "{1,4}")
    then = "" if is_loose else f"{_BACKSLASH}{{0,4}}"
    between, blank = f"(?:{unseen})*{then}", f"(?:[{_SPACES}]|{blanks}|{unseen})*{then}"

    def spell(word: str) -> str:
        letters = _clusters(word.replace("\\", "") if is_loose else word)
        return between.join(_letter(letter, javascript=javascript) for letter in letters)

    words = visible.split()
    body = blank.join(spelled for word in words if (spelled := spell(word)))
    # Blanks and backslashes at its ends need not be there, such as when a page has trimmed it.
    core = visible.replace("\\", " ").strip() if is_loose else visible
    body = blank * (not secret.startswith(core[0])) + body + blank * (not secret.endswith(core[-1]))
    body = f"{_BACKSLASH}{{0,8}}{body}"
    if len(visible) >= SHORT_SECRET_LENGTH:
        return body
    edge = r"\w" if visible.isalnum() else r"\S"
    return f"(?<!{edge})(?:{body})(?!{edge})"


def _clusters(word: str) -> list[str]:
    """Returns the letters of `word`, each with the marks that are combined with it; backslashes in a row are one."""
    clusters: list[str] = []
    for character in word:
        if clusters and (unicodedata.combining(character) or character == "\\" == clusters[-1][-1]):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def _letter(letter: str, *, javascript: bool) -> str:
    """Returns every spelling of one letter, composed or not, small or not.

    No text is two of them: else a long secret that almost stands there would take for ever to be looked for.
    """
    if letter.startswith("\\"):
        return f"{_BACKSLASH}{{{len(letter)},}}"
    cases = {letter, letter.lower(), letter.upper(), letter.casefold()}
    forms = cases | {unicodedata.normalize(form, case) for case in cases for form in ("NFC", "NFD")}
    composed = {form for form in forms if len(form) == 1}
    ways = [_character(composed, javascript=javascript)] if composed else []
    # The search itself ignores cases: the small ones will do.
    ways += [
        "".join(_character({character, character.upper()[:1]}, javascript=javascript) for character in form)
        for form in sorted({form.lower() for form in forms - composed})
    ]
    return f"(?:{'|'.join(ways)})"


def _character(cases: set[str], *, javascript: bool) -> str:
    """Returns every spelling of one character, given as its cases."""
    codes = [ord(case) for case in sorted(cases)]
    octets = [_PERCENT.join(f"{octet:02x}" for octet in case.encode()) for case in sorted(cases)]
    units = [[f"{int.from_bytes(pair, 'big'):04x}" for pair in _pairs(case)] for case in sorted(cases)]
    short = [f"{code:02x}" for code in codes if code < 0x100]  # noqa: PLR2004  # as a page of before UTF-8 writes it
    names = sorted({name for case in cases for name in _names().get(case, ())}, key=len, reverse=True)
    decimal, hexadecimal = (_any(f"{code:{kind}}" for code in codes) for kind in ("d", "x"))
    in_address = _any([*octets, *short, *(f"u{f'{_PERCENT}u'.join(unit)}" for unit in units)])
    in_html = "|".join([f"{_HASH}(?:0*{decimal}|x0*{hexadecimal})", *names])
    in_script = "|".join(
        [
            *(f"u{f'{_BACKSLASH}+u'.join(unit)}" for unit in units),
            *(f"u{code:08x}" for code in codes),
            rf"u\{{0*{hexadecimal}\}}",
            *(f"x{code}" for code in short),
        ]
    )
    # By itself last: what the others begin with can be the character.
    itself = _any(_literal(case.lower()[:1], javascript=javascript) for case in sorted(cases))
    return f"(?:{_AMPERSAND}(?:{in_html}){_SEMICOLON}|{_BACKSLASH}(?:{in_script})|{_PERCENT}{in_address}|{itself})"


def _any(ways: Iterable[str]) -> str:
    return f"(?:{'|'.join(dict.fromkeys(ways))})"


def _literal(character: str, *, javascript: bool) -> str:
    """Returns one character as both dialects of regular expressions read it."""
    if ord(character) < 0x10000:  # noqa: PLR2004  # the first plane of Unicode
        return f"\\u{ord(character):04x}"
    if not javascript:
        return f"\\U{ord(character):08x}"
    return "".join(f"\\u{int.from_bytes(pair, 'big'):04x}" for pair in _pairs(character))


def _pairs(character: str) -> list[bytes]:
    """Returns what JavaScript's texts are made of."""
    data = character.encode("utf-16-be")
    return [data[at : at + 2] for at in range(0, len(data), 2)]


@functools.cache
def _names() -> dict[str, list[str]]:
    """Returns what HTML calls each character, in small letters and without the semicolon."""
    names: dict[str, set[str]] = {}
    for name, text in html.entities.html5.items():
        names.setdefault(text, set()).add(name.removesuffix(";").lower())
    return {text: sorted(spellings, key=len, reverse=True) for text, spellings in names.items()}
