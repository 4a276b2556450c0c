"""Syntax check of `login.selectors` without a browser: what is plainly no CSS. Pure.

Chromium itself reads every one before a login begins, and has the last word: a selector that nothing here objects to
may still be none. Nothing is objected to here that Chromium takes.
"""

import re
import warnings

_OTHER_SYNTAXES = (
    (re.compile(r"^\s*(?:\.{0,2}/|\(+\s*\.?/|xpath=)"), "an XPath, and CSS is needed"),
    (re.compile(r":(?:contains|has-text|text|eq|gt|lt|visible|hidden|first|last|button|input)(?![\w-])"), "jQuery's"),
    (re.compile(r">>|^\s*(?:css|id|name|class)="), "another program's way of writing, and CSS is needed"),
)
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\.)*(?:"|$)|'(?:[^'\\\n]|\\.)*(?:'|$))|(?P<comment>/\*.*?(?:\*/|$))|(?P<escape>\\[^\n])""",
    re.DOTALL,
)
_OPENING_BRACKETS = {")": "(", "]": "["}

_ATTRIBUTE = re.compile(
    r"""(?:\*?\|)?(?!\d)[^\s"=~^$*!?@]+\s*(?:[~|^$*]?=\s*(?:"|(?!-?\d)[\w\-\x80-\U0010ffff]+)\s*[A-Za-z]?\s*)?"""
)
"""What stands between [ and ], with a sign in the place of a quoted text."""

_CSS_ERRORS = (
    (re.compile(r"[>+~]\s*[>+~]"), "two combinators stand side by side"),
    (re.compile(r"(?:^|[\s>+~,])-?\d"), "a name begins with a digit"),
    (re.compile(r"[.#]-?\d"), "a name begins with a digit; a \\3 and a blank before it, as in #\\31 23, would help"),
    (re.compile(r'"'), "a quoted text belongs between [ and ]"),
    (re.compile(r"(?<![\w\-\x80-\U0010ffff])\("), "a ( belongs behind a pseudo-class such as :not"),
)

TEXT_PREFIX = "text:"
"""What begins a selector that is a regular expression for what a button says."""


def find_selector_error(selector: str) -> str | None:
    """Returns why Chromium refuses a selector of `login.selectors`; None if nothing plainly speaks against it."""
    if selector.startswith(TEXT_PREFIX):
        return _find_pattern_error(selector[len(TEXT_PREFIX) :])
    bare = _TOKEN.sub(lambda token: " " if token["comment"] else '"' if token["text"] else "x", selector)
    if not bare.strip():
        return "there is nothing in it"
    for pattern, whose in _OTHER_SYNTAXES:
        if match := pattern.search(bare):
            return f"{match[0].strip()} is {whose}" if whose == "jQuery's" else whose
    return _find_css_error(bare)


def _find_css_error(bare: str) -> str | None:
    outside, error = _outside_brackets(bare)
    if error:
        return error
    parts = [part.strip() for part in outside.split(",")]
    if not all(parts):
        return "a comma has nothing on one of its sides"
    if any(part[0] in ">+~" or part[-1] in ">+~.#:" for part in parts):
        return "something is missing before or after one of its signs"
    return next((words for pattern, words in _CSS_ERRORS if pattern.search(outside)), None)


def _outside_brackets(bare: str) -> tuple[str, str | None]:
    """Returns what stands outside all brackets, and what is wrong with those; CSS closes at the end what is open."""
    opened: list[int] = []
    outside = ""
    for place, sign in enumerate(bare):
        if sign in _OPENING_BRACKETS:
            if not opened or bare[opened[-1]] != _OPENING_BRACKETS[sign]:
                return outside, f"a {sign} closes nothing"
            begin = opened.pop()
            if sign == "]" and not _ATTRIBUTE.fullmatch(bare[begin + 1 : place].strip()):
                return outside, "what stands between [ and ] is neither NAME nor NAME=VALUE"
        if not opened:
            if sign in "{}@;!$%?=^":
                return outside, f"a {sign} has no place in it"
            outside += sign
        if sign in "([":
            opened.append(place)
    is_empty = bool(opened) and bare[opened[-1] :].strip() == "["
    return outside, "there is nothing behind the last [" if is_empty else None


_COMMON_PATTERN_ERRORS = (
    "missing )",
    "unbalanced parenthesis",
    "nothing to repeat",
    "multiple repeat",
    "min repeat greater",
    "bad escape (end of pattern)",
)
"""What Python says of a regular expression that is none in JavaScript either."""


def _find_pattern_error(pattern: str) -> str | None:
    if not pattern.strip():
        return "there is no regular expression behind it"
    if match := re.search(r"\(\?(?:P|[aiLmsux]+\))", pattern):
        return f"no regular expression of JavaScript: {match[0]}"
    try:
        with warnings.catch_warnings(action="ignore"):
            # Groups with names are written in another way there.
            re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern))
    except re.error as error:
        return f"no regular expression: {error.msg}" if error.msg.startswith(_COMMON_PATTERN_ERRORS) else None
    except (RecursionError, OverflowError):
        pass
    return None
