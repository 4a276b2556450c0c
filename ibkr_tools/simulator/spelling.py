"""JSON as IBKR writes it: numbers with zeros and exponents that a re-encoding would lose. Nothing here knows HTTP."""

from decimal import Decimal
from typing import Any, Self

import msgspec

__all__ = ["Spelled", "encode", "fixed", "scientific"]


class Spelled(float):
    """A number that is written the way it was spelled; everywhere else it is a float."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Return the number that `text` (JSON) spells."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def fixed(value: float, digits: int = 2) -> Spelled:
    """Return `value` with exactly so many digits behind the point, as 1.10."""
    return Spelled(f"{value:.{digits}f}")


def scientific(value: float) -> Spelled:
    """Return `value` with an exponent, as 2.02E3."""
    return Spelled(f"{Decimal(repr(value)):E}".replace("E+", "E"))


def encode(data: Any) -> bytes:
    """Return compact JSON."""
    return _ENCODER.encode(data)


def _write(value: Any) -> msgspec.Raw:
    if isinstance(value, Spelled):
        return msgspec.Raw(value.text.encode())
    msg = f"{type(value).__name__} is not JSON"
    raise TypeError(msg)


_ENCODER = msgspec.json.Encoder(enc_hook=_write)
