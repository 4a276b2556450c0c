"""JSON as IBKR writes it: numbers with zeros and exponents that a re-encoding would lose. Nothing here knows HTTP."""

from decimal import Decimal
from typing import Any, Self

import msgspec

__all__ = ["FormattedFloat", "encode", "fixed", "scientific"]


class FormattedFloat(float):
    """A number that is written the way it was spelled; everywhere else it is a float."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Return the number that `text` (JSON) spells."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def fixed(value: float, digits: int = 2) -> FormattedFloat:
    """Return `value` with exactly so many digits behind the point, as 1.10."""
    return FormattedFloat(f"{value:.{digits}f}")


def scientific(value: float) -> FormattedFloat:
    """Return `value` with an exponent, as 2.02E3."""
    return FormattedFloat(f"{Decimal(repr(value)):E}".replace("E+", "E"))


def encode(data: Any) -> bytes:
    """Return compact JSON."""
    return _ENCODER.encode(data)


def _write(value: Any) -> msgspec.Raw:
    if isinstance(value, FormattedFloat):
        return msgspec.Raw(value.text.encode())
    msg = f"{type(value).__name__} is not JSON"
    raise TypeError(msg)


_ENCODER = msgspec.json.Encoder(enc_hook=_write)
