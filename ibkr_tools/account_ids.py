r"""IBKR's account numbers and their aliases: what can be one, and what somebody meant who typed another text. Pure.

Numbers are not of one shape: U1234567, DU1234567 and DUM1234567 (paper), F1234567, DFO123456 and F1234567A (advisors).
So whatever has capital letters and digits is taken, and only what could be a path, or is a known mistake, is refused.
"""

import re
from collections.abc import Mapping

from ibkr_tools.errors import UsageError
from ibkr_tools.terminal_escape import INVISIBLE_CHARACTERS

_NUMBER_BODY = r"(?=[A-Z_\-]*[0-9])(?!D?U[OI]|[A-Z0-9_\-]*[0-9][OI])[A-Z][A-Z0-9_\-]{1,31}"
"""O and I stand for 0 and 1 behind a digit, and behind the U; DFO123456 is a number."""

_MISTYPED_NUMBER = r"(?=(?:[^0-9]*[0-9]){4})[A-Za-z]{0,3}[0-9][0-9OILoil ]{4,}[A-Za-z]?$"
"""A number with a mistake in it, which no alias looks like."""

_ALIAS_CHARACTER = rf"[^/\\{INVISIBLE_CHARACTERS}]"

NUMBER_PATTERN = rf"^{_NUMBER_BODY}$(?!\n)"
"""Python's `$` also matches before a last line end, editors' does not: the look-ahead makes both strict."""

_ALIAS = rf"(?![ \xa0])(?!.*\.\.)(?![Aa][Ll][Ll]$)(?!{_MISTYPED_NUMBER}){_ALIAS_CHARACTER}{{1,100}}(?<![ \xa0])"
NAME_PATTERN = rf"^(?:{_NUMBER_BODY}|{_ALIAS})$(?!\n)"
"""A number, or an alias: free text that a person has given an account on IBKR's website."""

NUMBER_IN_TEXT = re.compile(r"\b(?=[A-Z0-9_\-]*[0-9]{3})[A-Z][A-Z0-9_\-]+\b")
"""What may be a number within other text."""

EXAMPLE_NUMBER = "U1234567"

_LETTERS_FOR_DIGITS = str.maketrans("OIL", "011")


def is_number(text: str) -> bool:
    """Says whether `text` can be an account number."""
    return re.search(NUMBER_PATTERN, text) is not None


def is_name(text: str) -> bool:
    """Says whether `text` can be an account number or an alias."""
    return re.search(NAME_PATTERN, text) is not None


def require_name(text: str, where: str) -> str:
    """Returns `text`, an account number or an alias that a person has typed.

    Raises:
        UsageError: it can be neither; the message says what was probably meant, and names `where` it was given.
    """
    if is_name(text):
        return text
    raise UsageError(f"{where} {text!r}: neither an account number nor an alias", hint=_sentence(explain_name(text)))


def require_number(text: str, where: str) -> str:
    """Returns `text`, an account number that a person has typed.

    Raises:
        UsageError: it is none; see `require_name`.
    """
    if is_number(text):
        return text
    raise UsageError(f"{where} {text!r}: not an account number", hint=_sentence(explain_number(text)))


def require_numbers(names: Mapping[str, str]) -> None:
    """Returns if what a raw path and its parameters say about accounts are account numbers.

    Raises:
        UsageError: see `require_number`.
    """
    if "account" in names:
        require_number(names["account"], "account")
    for number in filter(None, names.get("acctIds", "").split(",")):
        require_number(number, "acctIds")


def explain_number(text: str, username: str = "") -> str:
    """Returns what is wrong with a text that is no number, and what was meant; `username`: the IBKR user's."""
    if username and text.strip().casefold() == username.strip().casefold():
        return f"that is the user name; an account number looks like {EXAMPLE_NUMBER}"
    if explanation := _explain_either(text, "account takes one number; leave fetch.accounts empty for all accounts"):
        return explanation
    return f"an alias or a user name is none; give the account's number, such as {EXAMPLE_NUMBER}"


def explain_name(text: str) -> str:
    """Returns what is wrong with a text that is neither number nor alias, and what was probably meant."""
    return _explain_either(text, "name no account for all accounts (fetch.accounts: [])") or "too long"


def _explain_either(text: str, explanation_of_all: str) -> str:
    if not text.strip():
        return "there is nothing in it"
    if hidden := re.search(f"[{INVISIBLE_CHARACTERS}]", text.strip()):
        return f"character {text.index(hidden[0]) + 1} cannot be seen (U+{ord(hidden[0]):04X})"
    if match := re.search(r"[/\\]|\.\.", text):
        return f"{match[0]!r} cannot be in it"
    bare = text.strip()
    if bare.casefold() == "all":
        return explanation_of_all
    likely = _likely_number(bare)
    if bare != text:
        return f"there are blanks around it; did you mean {likely or bare!r}?"
    return f"did you mean {likely!r}?" if likely else ""


def _likely_number(text: str) -> str | None:
    """Returns the number that was probably meant; None where nobody can say."""
    capital = re.sub(r"\s", "", text).upper()
    match = re.fullmatch(r"([A-Z]{0,3}?)((?:[0-9]|(?<=U)[OI])[0-9OIL]{3,})([A-Z]?)", capital)
    if not match:
        return None
    if is_number(capital) and not re.search(r"[0-9]L", capital):
        return capital
    letters, digits, suffix = match.groups()
    likely = f"{letters or 'U'}{digits.translate(_LETTERS_FOR_DIGITS)}{suffix}"
    return likely if is_number(likely) else None


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('?') else '.'}"
