"""A report of a page that IBKR has changed, which may be published as it is: what was found by which way, and the page.

Of the page it has elements, their names, and what their texts mean; never a text, a value, an address, a comment, a
style or a script. Of names and labels nothing is left that may be of a person: no digits, nothing that looks like a
token, nothing that the page or the browser keeps as data, nothing that the browser's redactor knows.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.resources import files as files_of
from pathlib import Path
from typing import Any

from loguru import logger

from ibkr_tools import files
from ibkr_tools.errors import LoginFailed
from ibkr_tools.login import page_scripts
from ibkr_tools.login.browser_protocol import LoginBrowser
from ibkr_tools.login.redaction import REDACTION_MARK, one_line
from ibkr_tools.page_elements import PageElement

__all__ = ["DESCRIBE_PAGE", "MAX_PAGE_REPORTS", "render_report", "save_page_report", "shape_of"]

DESCRIBE_PAGE = page_scripts.with_helpers(files_of("ibkr_tools.login").joinpath("page_report.js").read_text("utf-8"))
"""Argument: selectors by element. Returns what a report is made of, as JSON, and the number of elements."""

MAX_PAGE_REPORTS = 10

MAX_DESCRIPTION = 2_000_000
"""Characters of what the script says of a page, at most; one that is longer is not reported."""

_SHAPE_DIGITS = 12
_MAX_DIGITS = 3
"""Digits of a name, at most: codes have four and more."""
_MAX_LETTERS = 24
"""Letters of one word of a name, at most."""
_PLAIN_VALUES = frozenset(
    word
    for line in (
        "alert alertdialog application article banner button cell checkbox columnheader combobox",
        "complementary contentinfo dialog document feed figure form generic grid group heading image img link",
        "list listbox listitem log main menu menubar menuitem navigation none note option presentation",
        "progressbar radio radiogroup region row search searchbox separator slider spinbutton status switch",
        "tab table tablist tabpanel text textbox timer toolbar tooltip tree treeitem color date email file",
        "hidden month number password range reset submit tel time url week select-one on off username",
        "current-password new-password one-time-code webauthn section numeric decimal get post dialog true",
        "false mixed page step polite assertive grammar spelling until-found plaintext-only inherit",
    )
    for word in line.split()
)
"""What the attributes that are kept as they are can say."""
_WAYS = ("role", "structure")
_BUILT_IN = frozenset(selector for element in PageElement for selector in element.selectors)


def save_page_report(
    browser: LoginBrowser, selectors: Mapping[str, Sequence[str]], directory: Path, *, now: datetime
) -> Path | None:
    """Returns where the report of the page is that the browser shows now; None if there can be none.

    It is written unless there is one of a page of that shape; the last ten are kept, for the owner's eyes only.
    """
    try:
        text, _ = browser.read_document(DESCRIBE_PAGE, dict(selectors), most=MAX_DESCRIPTION)
        description = json.loads(text)
        path = directory / f"{shape_of(description)}.txt"
        if path.is_file() and not path.is_symlink():
            return path
        files.make_directory(directory, mode=0o700)
        files.write_atomically(path, render_report(description, now=now).encode(errors="replace"), mode=0o600)
        _remove_old(directory)
    except (LoginFailed, ValueError, LookupError, TypeError) as error:
        # A page that is being replaced, or one that is like no page.
        logger.debug("There is no report of the page: {}", type(error).__name__)
        return None
    except OSError as error:
        logger.warning("The report of the page could not be saved: {}", error.strerror)
        return None
    return path


def _remove_old(directory: Path) -> None:
    reports = sorted(directory.glob("*.txt"), key=lambda path: path.lstat().st_mtime)
    for path in reports[:-MAX_PAGE_REPORTS]:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def shape_of(description: Mapping[str, Any]) -> str:
    """Returns a name for the shape of a page: which elements are found by which way, what they are, and within what.

    What the page says, its language, and what stands beside the form make no other shape.
    """
    rows = [
        (row["name"], _way(row["by"]), row["place"], sorted(row["plain"].items()))
        for row in description["rows"]
        if row["name"] != PageElement.ERROR
    ]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()[:_SHAPE_DIGITS]


def render_report(description: Mapping[str, Any], *, now: datetime) -> str:
    """Returns the report as text."""
    data = frozenset(value.casefold() for value in description["data"])
    lines = [
        f"IBKR's login page on {now:%Y-%m-%d}, of the shape {shape_of(description)}",
        "",
        "Found, as what, and by what:",
        *(
            f"  {row['name']}: {_masked_text(row['element'], data)} (by {_way(row['by'])})"
            for row in description["rows"]
        ),
        "",
        "The page; of a text only its length and what it means:",
        *_lines(description["tree"], data, 1),
    ]
    if description["isCut"]:
        lines.append("  and more")
    return "\n".join(line[:400].rstrip() for line in lines) + "\n"


def _way(by: str) -> str:
    if by in _WAYS:
        return by
    # One of the user's own is a word of his.
    return f"the selector {by}" if by in _BUILT_IN else "a selector of login.selectors"


def _lines(node: Mapping[str, Any], data: frozenset[str], level: int) -> Iterator[str]:
    attributes = [
        *(f"{name}={_masked_plain(value)}" if value else name for name, value in node["plain"].items()),
        *(f"{name}={_masked_names(value, data)}" for name, value in node["names"].items()),
        *(f"{name}=({', '.join(words) or REDACTION_MARK})" for name, words in node["words"].items()),
    ]
    text = f"; {node['letters']} letters: {', '.join(node['says']) or REDACTION_MARK}" if node["letters"] else ""
    hidden = "" if node["shown"] else "; not visible"
    yield f"{'  ' * level}{' '.join([_masked_name(node['tag'], data), *attributes])}{text}{hidden}"
    for kind, children in node["parts"]:
        if kind:
            yield f"{'  ' * (level + 1)}{kind}"
        for child in children:
            yield from _lines(child, data, level + 1 + bool(kind))


def _masked_plain(value: str) -> str:
    """Returns the value of an attribute as HTML and ARIA know them; whatever else stands there is masked."""
    is_known = all(word in _PLAIN_VALUES for word in value.lower().split()) or re.fullmatch(r"-?\d{1,3}", value)
    return value if is_known else REDACTION_MARK


def _masked_names(value: str, data: frozenset[str]) -> str:
    return f'"{" ".join(_masked_name(name, data) for name in value.split()[:20])}"'


def _masked_name(name: str, data: frozenset[str]) -> str:
    """Returns a name of words that a person wrote; one that a program made, or a token, is masked."""
    words = re.split(r"[-_:.]+", name)
    is_readable = all(_is_word(word) for word in words) and sum(map(str.isdigit, name)) <= _MAX_DIGITS
    return name if is_readable and not _is_data(name, data) else REDACTION_MARK


def _is_word(word: str) -> bool:
    match = re.fullmatch(r"([A-Za-z]*)\d{0,2}", word)
    return match is not None and len(match[1]) <= _MAX_LETTERS and not _is_scrambled(match[1])


def _is_scrambled(letters: str) -> bool:
    """Whether small and capital letters change as in no name: neither fooBarBaz nor FOO."""
    humps = re.findall(r"[A-Z]+", letters)
    return len(humps) > 1 + len(letters) // 5 or (any(len(hump) > 1 for hump in humps) and not letters.isupper())


def _masked_text(text: str, data: frozenset[str]) -> str:
    """Returns a label without digits and tokens."""
    words = [
        REDACTION_MARK if re.search(r"\d", word) or _is_token(word) or _is_data(word, data) else word
        for word in one_line(text).split()
    ]
    return " ".join(words)


def _is_token(word: str) -> bool:
    return any(len(part) > _MAX_LETTERS + 6 or _is_scrambled(part) for part in re.findall(r"[A-Za-z_]{6,}", word))


def _is_data(text: str, data: frozenset[str]) -> bool:
    folded = text.casefold()
    return any(value in folded or (len(folded) >= 6 and folded in value) for value in data)  # noqa: PLR2004
