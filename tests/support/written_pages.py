"""Login pages written by hand, as the teams of other sites write them: `tests/browser/pages/*.html`.

A file has many pages, each below a line `<!-- page: NAME -->`; `common.html` stands before every one of them.
"""

import re

from tests.support.checkout import CHECKOUT

__all__ = ["LANGUAGES", "page_in", "read_pages"]

PAGES = CHECKOUT / "tests" / "browser" / "pages"


def read_pages(kind: str) -> dict[str, str]:
    """Returns the documents of one file by their names."""
    common = (PAGES / "common.html").read_text("utf-8")
    parts = re.split(r"^<!-- page: (.+) -->$", (PAGES / f"{kind}.html").read_text("utf-8"), flags=re.MULTILINE)
    return {name: common + body for name, body in zip(parts[1::2], parts[2::2], strict=True)}


_NAMES = ("username", "password", "submit", "next", "forgotten", "show", "register", "other", "error")
_LINES = [line.split("|") for line in (PAGES / "languages.txt").read_text("utf-8").splitlines()]

LANGUAGES = {language: dict(zip(_NAMES, texts, strict=True)) for language, *texts in _LINES}
"""What a page says in each language, by what it is: `languages.txt`. `other` is another way to log in."""


def page_in(language: str, layout: str) -> str:
    """Returns a page in a language; `layout`: `labels`, or `steps` if the password is asked for after the user name."""
    body = (PAGES / "language.html").read_text("utf-8")
    for name, text in {**LANGUAGES[language], "steps": "true" if layout == "steps" else "false"}.items():
        body = body.replace(f"{{{name}}}", text)
    direction = "rtl" if language in ("ar", "he") else "ltr"
    common = (PAGES / "common.html").read_text("utf-8")
    return common.replace('lang="en"', f'lang="{language}" dir="{direction}"') + body
