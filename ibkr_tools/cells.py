"""What a cell is: which values of IBKR are numbers, and how numbers and texts are written for people. Pure.

Every format and command asks here. What is no number is in no sum, and is shown as it came.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Context, Decimal, InvalidOperation

import msgspec

__all__ = [
    "HUNDRED",
    "ZERO",
    "amount",
    "as_came",
    "columns_of",
    "cut",
    "decode",
    "decoded_entities",
    "figure",
    "multiply",
    "parse_number",
    "percent",
    "plain",
    "price",
    "quantity",
    "rounded",
    "share",
    "total",
]

ZERO, HUNDRED = Decimal(0), Decimal(100)

MARK_FROM = Decimal("1e18")
"""IBKR has marks for "not known": the largest number of a double, of a long and the like. No account has so much."""

NOTHING_BELOW = Decimal("1e-40")
"""The smallest numbers of a double and of a float are marks too; what differences of doubles leave is larger."""

INTEGER_MARKS = frozenset({Decimal(2**31 - 1), Decimal(-(2**31 - 1)), Decimal(-(2**31))})
"""The largest and the smallest number of an int; as an amount of money nobody has exactly that."""

MOST_LETTERS = 400
"""A text that is longer is no number."""

CENTS_FROM = 10
"""Prices below it have more decimals than two."""

WIDEST_AS_CAME = 24
"""Columns of the terminal; how much is shown of what stands in the place of a number and is none."""

EXACT = Context(prec=600, Emax=10**6, Emin=-(10**6))
"""Sums and products of what is a number here lose no digit."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,4})?")
"""Of a text: digits, thousands separated by commas or not, a point, an exponent."""

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def decode(raw: bytes) -> object:
    """Returns what JSON says; numbers with a point or an exponent keep all their digits, as Decimals.

    Raises:
        msgspec.DecodeError: it is no JSON.
    """
    return _DECODER.decode(raw)


def parse_number(value: object) -> Decimal | None:
    """Returns the number that a value of IBKR is, exactly; None for what is none.

    Numbers are ints, decimals, exponents and texts of them, also with separators of thousands (`1,234.5`). None are
    marks (from 10^18 on, infinities, NaN, the ends of an int), and any other text: `N/A`, `12,34`, `C198.45`, `5 %`,
    `2,345 EUR`. There is no negative zero.
    """
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        if len(text) > MOST_LETTERS or not _NUMBER.fullmatch(text):
            return None
        value = text.replace(",", "")
    elif not isinstance(value, int | float | Decimal):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or number in INTEGER_MARKS:
        return None
    size = abs(number)
    if not size:
        return ZERO
    return number if NOTHING_BELOW <= size < MARK_FROM else None


def total(numbers: Iterable[Decimal | None]) -> Decimal:
    """Returns the sum of what there is, exactly."""
    added = ZERO
    for number in numbers:
        if number is not None:
            added = EXACT.add(added, number)
    return added


def multiply(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """Returns the product, exactly; None where either is not known."""
    return None if one is None or other is None else EXACT.multiply(one, other)


def share(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """Returns which part of the whole it is, to 28 digits; None where that has no meaning."""
    return part / whole if part is not None and whole else None


def rounded(number: Decimal, places: int = 2) -> Decimal:
    """Returns a number rounded to so many decimals, half to even; never a negative zero."""
    found = number.quantize(Decimal(1).scaleb(-places), context=EXACT)
    return found or abs(found)


def amount(number: Decimal | None, places: int = 2) -> str:
    """Returns 1,234.50; nothing for None."""
    return "" if number is None else f"{rounded(number, places):,.{places}f}"


def quantity(number: Decimal | None) -> str:
    """Returns a quantity with all its digits up to eight after the point, and no zeros after them."""
    text = amount(number, 8)
    return text.rstrip("0").rstrip(".") if "." in text else text


def price(number: Decimal | None) -> str:
    """Returns a price to the cent; a small one with as many decimals as it needs, up to four, below one up to six."""
    if number is None or abs(number) >= CENTS_FROM:
        return amount(number)
    text = amount(number, 4 if abs(number) >= 1 else 6).rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"


def percent(number: Decimal | None, *, signed: bool = False, places: int = 1) -> str:
    """Returns 12.3 % for 0.123; nothing for None."""
    if number is None:
        return ""
    found = rounded(EXACT.multiply(number, HUNDRED), places)
    return f"{found:{'+' if signed else ''},.{places}f} %"


def figure(value: object, write: Callable[[Decimal], str] = amount) -> str:
    """Returns what stands in the place of a number: a number as `write` has it, anything else as it came."""
    number = parse_number(value)
    return as_came(value) if number is None else write(number)


def as_came(value: object) -> str:
    """Returns what is no number as a text on one line, at bearable width; nothing for null."""
    return "" if value is None else cut(plain(_text(value)), WIDEST_AS_CAME)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return msgspec.json.encode(value, enc_hook=str).decode()
    # As IBKR spells it.
    return str(value).replace("E+", "E") if isinstance(value, Decimal) else str(value)


def plain(value: object) -> str:
    """Returns a value as a text on one line, entities decoded, without what could move the cursor."""
    if value is None:
        return ""
    text = decoded_entities(_text(value))
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())


def decoded_entities(text: str) -> str:
    """Returns a text of IBKR with its HTML entities decoded: `AT&T` for `AT&amp;T`. What is no entity stays."""
    if "&" not in text:
        return text
    from html import unescape

    return _ENTITY.sub(lambda match: unescape(match[0]), text)


def cut(text: str, width: int) -> str:
    """Returns a text that takes no more columns of a terminal; an ellipsis says that there is more."""
    if columns_of(text) <= width:
        return text
    kept, room = "", width - 1
    for letter in text:
        room -= columns_of(letter)
        if room < 0:
            break
        kept += letter
    return f"{kept.rstrip()}…"


def columns_of(text: str) -> int:
    """Returns how many columns of a terminal a text takes; some letters take two, and combining marks none."""
    return len(text) if text.isascii() else sum(map(_columns_of_letter, text))


def _columns_of_letter(letter: str) -> int:
    import unicodedata

    if unicodedata.category(letter) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1
