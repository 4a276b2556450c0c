"""Which values of IBKR are numbers, exact sums of them, and how numbers and texts are formatted for people. Pure.

Every format and command formats here. What is no number is in no sum, and is shown as it came.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Context, Decimal, InvalidOperation

import msgspec

from ibkr_tools.terminal_escape import replace_unprintable

__all__ = [
    "HUNDRED",
    "ZERO",
    "decode_exact",
    "display_width",
    "exact_product",
    "exact_sum",
    "format_amount",
    "format_figure",
    "format_percent",
    "format_price",
    "format_quantity",
    "format_unparsed",
    "parse_number",
    "ratio",
    "round_half_even",
    "single_line",
    "truncate",
    "unescape_entities",
    "wrap_text",
]

ZERO, HUNDRED = Decimal(0), Decimal(100)

SENTINELS_FROM = Decimal("1e18")
"""IBKR's sentinels for "not known": the largest number of a double, of a long and the like. No account has so much."""

SENTINELS_BELOW = Decimal("1e-40")
"""The smallest numbers of a double and of a float are sentinels too; what differences of doubles leave is larger."""

INTEGER_SENTINELS = frozenset({Decimal(2**31 - 1), Decimal(-(2**31 - 1)), Decimal(-(2**31))})
"""The largest and the smallest number of an int; as an amount of money nobody has exactly that."""

MAX_NUMBER_LENGTH = 400
"""In characters; a longer text is no number."""

CENT_PRICES_FROM = 10
"""From here on prices are formatted to the cent; smaller ones have more than two decimals."""

MAX_UNPARSED_WIDTH = 24
"""How much is shown of a value that stands in the place of a number and is none, in columns of the terminal."""

EXACT_CONTEXT = Context(prec=600, Emax=10**6, Emin=-(10**6))
"""Sums and products of what is a number here lose no digit."""

_NUMBER = r"[+-]?(?:[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,4})?"
"""Of a text: digits, thousands separated by commas or not, a point, an exponent."""

_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def decode_exact(raw: bytes) -> object:
    """Returns what JSON says; numbers with a point or an exponent keep all their digits, as Decimals.

    Raises:
        msgspec.DecodeError: it is no JSON.
    """
    return _DECODER.decode(raw)


def parse_number(value: object) -> Decimal | None:
    """Returns the number that a value of IBKR is, exactly; None for what is none.

    Numbers are ints, decimals, exponents and texts of them, also with separators of thousands (`1,234.5`). None are
    sentinels (from 10^18 on, infinities, NaN, the ends of an int), and any other text: `N/A`, `12,34`, `C198.45`,
    `5 %`, `2,345 EUR`. There is no negative zero.
    """
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        if len(text) > MAX_NUMBER_LENGTH or not re.fullmatch(_NUMBER, text):
            return None
        value = text.replace(",", "")
    elif not isinstance(value, int | float | Decimal):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or number in INTEGER_SENTINELS:
        return None
    size = abs(number)
    if not size:
        return ZERO
    return number if SENTINELS_BELOW <= size < SENTINELS_FROM else None


def exact_sum(numbers: Iterable[Decimal | None]) -> Decimal:
    """Returns the sum of what there is, exactly."""
    added = ZERO
    for number in numbers:
        if number is not None:
            added = EXACT_CONTEXT.add(added, number)
    return added


def exact_product(number: Decimal | None, other: Decimal | None) -> Decimal | None:
    """Returns the exact product; None where either number is not known."""
    return None if number is None or other is None else EXACT_CONTEXT.multiply(number, other)


def ratio(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """Returns `part` as a ratio of `whole`, to 28 digits; None where that has no meaning."""
    return part / whole if part is not None and whole else None


def round_half_even(number: Decimal, places: int = 2) -> Decimal:
    """Returns a number rounded to so many decimals, half to even; never a negative zero."""
    rounded = number.quantize(Decimal(1).scaleb(-places), context=EXACT_CONTEXT)
    return rounded or abs(rounded)


def format_amount(number: Decimal | None, places: int = 2) -> str:
    """Returns 1,234.50; nothing for None."""
    return "" if number is None else f"{round_half_even(number, places):,.{places}f}"


def format_quantity(number: Decimal | None) -> str:
    """Returns a quantity with all its digits up to eight after the point, and no zeros after them."""
    text = format_amount(number, 8)
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_price(number: Decimal | None) -> str:
    """Returns a price to the cent; a small one with as many decimals as it needs, up to four, below one up to six."""
    if number is None or abs(number) >= CENT_PRICES_FROM:
        return format_amount(number)
    text = format_amount(number, 4 if abs(number) >= 1 else 6).rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"


def format_percent(number: Decimal | None, *, signed: bool = False, places: int = 1) -> str:
    """Returns 12.3 % for 0.123; nothing for None."""
    if number is None:
        return ""
    rounded = round_half_even(EXACT_CONTEXT.multiply(number, HUNDRED), places)
    return f"{rounded:{'+' if signed else ''},.{places}f} %"


def format_figure(value: object, write: Callable[[Decimal], str] = format_amount) -> str:
    """Returns what stands in the place of a number: a number as `write` formats it, anything else as it came."""
    number = parse_number(value)
    return format_unparsed(value) if number is None else write(number)


def format_unparsed(value: object) -> str:
    """Returns what is no number as a text on one line, at bearable width; nothing for null."""
    return "" if value is None else truncate(single_line(_text(value)), MAX_UNPARSED_WIDTH)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return msgspec.json.encode(value, enc_hook=str).decode()
    # As IBKR spells it.
    return str(value).replace("E+", "E") if isinstance(value, Decimal) else str(value)


def single_line(value: object) -> str:
    """Returns a value as a text on one line, entities decoded, without what could move the cursor."""
    if value is None:
        return ""
    text = unescape_entities(_text(value))
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    return " ".join(replace_unprintable(text).split())


def unescape_entities(text: str) -> str:
    """Returns a text of IBKR with its HTML entities decoded: `AT&T` for `AT&amp;T`. What is no entity stays."""
    if "&" not in text:
        return text
    from html import unescape

    return re.sub(_ENTITY, lambda match: unescape(match[0]), text)


def truncate(text: str, width: int) -> str:
    """Returns a text truncated to so many columns of a terminal; an ellipsis says that there is more."""
    if display_width(text) <= width:
        return text
    return f"{text[: _letters_within(text, width - 1)].rstrip()}…"


def _letters_within(text: str, width: int) -> int:
    """Returns how many of the first letters of a text so many columns of a terminal have room for."""
    for number, letter in enumerate(text):
        width -= display_width(letter)
        if width < 0:
            return number
    return len(text)


def wrap_text(text: str, width: int, *, first: str = "", indent: str = "  ") -> list[str]:
    """Returns a text in lines of so many columns of a terminal, broken between words; a longer word is broken anywhere.

    `first` and `indent`: what the first line and each other one begin with. The standard library counts letters.
    """
    lines, is_begun = [first], False
    for word in re.findall(r"\s*\S+", text):
        if is_begun and display_width(lines[-1] + word) > width:
            lines.append(indent)
            is_begun = False
        rest = word if is_begun or len(lines) == 1 else word.lstrip()
        while (size := _letters_within(rest, width - display_width(lines[-1]))) < len(rest):
            lines[-1] += rest[: max(size, 1)]
            lines.append(indent)
            rest = rest[max(size, 1) :]
        lines[-1] += rest
        is_begun = True
    return lines


def display_width(text: str) -> int:
    """Returns how many columns of a terminal a text takes; some letters take two, and combining marks none."""
    return len(text) if text.isascii() else sum(map(_columns_of_letter, text))


def _columns_of_letter(letter: str) -> int:
    import unicodedata

    if unicodedata.category(letter) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1
