"""Text as roff, in the macros of man(7). Pure."""

import re

__all__ = ["bold", "definition", "example", "heading", "inline", "paragraph", "title"]

_SPECIAL = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}
_NAMED = {"…": "...", "→": "\\(->", "–": "\\(en", "×": "\\(mu", "≥": "\\(>=", "≤": "\\(<="}  # noqa: RUF001

_ASCII_END = 128


def escape(text: str) -> str:
    """Returns a text of which roff takes no letter for a command, on one line."""
    escaped = "".join(
        _SPECIAL.get(letter)
        or _NAMED.get(letter)
        or (letter if ord(letter) < _ASCII_END else f"\\[u{ord(letter):04X}]")
        for letter in " ".join(text.split())
    )
    return f"\\&{escaped}" if escaped[:1] == "." else escaped


def inline(text: str) -> str:
    """Returns a text in which what stands between backquotes is bold."""
    return "".join(
        f"\\fB{escape_kept(part)}\\fR" if number % 2 else escape_kept(part)
        for number, part in enumerate(text.split("`"))
    ).strip()


def escape_kept(text: str) -> str:
    """Returns an escaped text with the blanks at its ends as one blank each."""
    before, after = text[:1].isspace(), len(text) > 1 and text[-1:].isspace()
    return f"{' ' * before}{escape(text)}{' ' * after}"


def bold(text: str) -> str:
    """Returns a text in bold."""
    return f"\\fB{escape(text)}\\fR"


def title(name: str, section: int, source: str, manual: str) -> str:
    """Returns the first line of a page."""
    whose = '.\\" Part of ibkr-tools/ibkr-tools.\n'
    return f'{whose}.TH "{name.upper()}" "{section}" "" "{escape(source)}" "{escape(manual)}"\n'


def heading(text: str, *, level: int = 1) -> str:
    """Returns a heading; level 2 is one within a section."""
    return f'.S{"H" if level == 1 else "S"} "{escape(text.upper() if level == 1 else text)}"\n'


def paragraph(text: str) -> str:
    """Returns a paragraph; a blank line in the text begins the next one."""
    return "".join(f".PP\n{inline(part)}\n" for part in re.split(r"\n\s*\n", text.strip()))


def definition(term: str, text: str) -> str:
    """Returns a term, written in roff already, and under it what it means."""
    return f".TP\n{term}\n{inline(text) or chr(92) + '&'}\n"


def example(line: str) -> str:
    """Returns a line as a person types it."""
    return f".PP\n.RS 4\n.nf\n{escape(line)}\n.fi\n.RE\n"
