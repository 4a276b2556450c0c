"""A benchmark: prices by day that the user has, in a CSV file."""

import csv
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from pathlib import Path

from ibkr_tools import files
from ibkr_tools.errors import DataError, UsageError
from ibkr_tools.number_format import parse_number

MAX_PRICE_AGE_DAYS = 7
"""How old the newest price may be for a day; markets have holidays of their own."""

MAX_BENCHMARK_BYTES = 10_000_000
"""In bytes; a hundred years of days are one megabyte."""


@dataclass(frozen=True)
class Benchmark:
    """Prices by day, in the order of the days."""

    days: list[date]
    prices: list[Decimal]

    def return_between(self, first: date, last: date) -> Decimal | None:
        """Returns the change of the price between two days as a ratio; None where a price is missing."""
        begin, end = self._price_on(first), self._price_on(last)
        if begin is None or end is None:
            return None
        with localcontext() as context:
            context.prec = 50
            return end / begin - 1

    def _price_on(self, day: date) -> Decimal | None:
        """Returns the price at the end of a day: the newest one that is not too old."""
        at = bisect_right(self.days, day) - 1
        return self.prices[at] if at >= 0 and (day - self.days[at]).days <= MAX_PRICE_AGE_DAYS else None


def read_benchmark(path: Path) -> Benchmark:
    """Returns the prices in a CSV file with the columns `day` (2026-01-31) and `close`; others are ignored.

    A first line that names no columns is one of prices already: then these two come first.

    Raises:
        UsageError: the file cannot be read.
        DataError: it is no such file; the message names the line.
    """
    try:
        text = files.read_user_file(path, MAX_BENCHMARK_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8") from None
    return parse_benchmark(text.splitlines(), str(path))


def parse_benchmark(lines: Iterable[str], where: str) -> Benchmark:
    """Returns the prices of lines of CSV; see `read_benchmark`."""
    prices: dict[date, Decimal] = {}
    day_at, price_at = 0, 1
    for number, cells in enumerate(csv.reader(lines), start=1):
        names = [cell.strip().lower() for cell in cells]
        if number == 1 and "close" in names:
            if "day" not in names and "date" not in names:
                raise DataError(f"{where}: no column `day`", hint="The first line names the columns: day,close")
            day_at, price_at = names.index("day" if "day" in names else "date"), names.index("close")
            continue
        if not any(names):
            continue
        if len(cells) <= max(day_at, price_at):
            raise DataError(f"{where}, line {number}: expected a day and a price")
        try:
            day = date.fromisoformat(cells[day_at].strip())
        except ValueError:
            raise DataError(f"{where}, line {number}: {cells[day_at]!r} is no day such as 2026-01-31") from None
        price = parse_number(cells[price_at].strip())
        if price is None or price <= 0:
            raise DataError(f"{where}, line {number}: {cells[price_at]!r} is no price")
        if prices.setdefault(day, price) != price:
            raise DataError(f"{where}, line {number}: a second price of {day}")
    if not prices:
        raise DataError(f"{where}: no prices in it")
    days = sorted(prices)
    return Benchmark(days, [prices[day] for day in days])
