"""Sums over payloads of unknown shape, which name the values that are no numbers. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ibkr_tools.errors import DataError
from ibkr_tools.number_format import exact_sum, parse_number

__all__ = ["PartialSums", "require_object"]


def require_object(value: Any, what: str) -> dict[str, Any]:
    """Returns a JSON object.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, dict):
        raise DataError(f"{what}: expected an object, got {_kind(value)}", hint="`-f json` prints it as it is.")
    return value


def _kind(value: Any) -> str:
    kinds: Mapping[type, str] = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


class PartialSums:
    """Adds values up, and records those that are no numbers."""

    def __init__(self) -> None:
        self._non_numbers: dict[str, dict[str, None]] = {}

    def add(self, title: str, values: Iterable[tuple[str, Any]]) -> Decimal:
        """Returns the sum of the values that are numbers.

        Args:
            title: what is summed.
            values: whose value it is, and the value; null and missing count as nothing.
        """
        numbers = []
        for whose, value in values:
            number = parse_number(value)
            if number is None and value is not None:
                self._non_numbers.setdefault(title, {})[whose] = None
            numbers.append(number)
        return exact_sum(numbers)

    def remarks(self) -> list[str]:
        """Returns a line for each sum that is without something."""
        return [f"{title}: the sum is without {', '.join(whose)}" for title, whose in self._non_numbers.items()]
