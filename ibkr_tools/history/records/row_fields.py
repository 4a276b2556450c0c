"""Values of a statement's rows, and which of its rows count. Pure.

What cannot be read is None here: `flex import` has named it.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache

from ibkr_tools.flex.flex_values import NO_VALUE, FlexValueError, parse_day, parse_decimal, parse_timestamp
from ibkr_tools.flex.statement_xml import Row
from ibkr_tools.number_format import exact_sum

SUMMARY = "SUMMARY"
"""The level of rows that stand for several others, in most sections."""


@lru_cache(maxsize=4096)
def _day(text: str) -> date | None:
    try:
        return parse_day(text)
    except FlexValueError:
        return None


@lru_cache(maxsize=4096)
def _moment(text: str) -> str:
    try:
        moment = parse_timestamp(text)
    except FlexValueError:
        return ""
    return "" if moment is None else moment.isoformat()


@lru_cache(maxsize=4096)
def _number(text: str) -> Decimal | None:
    try:
        return parse_decimal(text)
    except FlexValueError:
        return None


def text_of(row: Row, name: str) -> str:
    """Returns a text; empty where none is given."""
    text = row.attributes.get(name, "")
    return "" if text in NO_VALUE else text


def number_of(row: Row, name: str) -> Decimal | None:
    """Returns a number."""
    text = row.attributes.get(name)
    return _number(text) if text else None


def day_of(row: Row, *names: str) -> date | None:
    """Returns the first of these days that is given."""
    for name in names:
        if (text := row.attributes.get(name)) and (day := _day(text)):
            return day
    return None


def moment_of(row: Row, name: str) -> str:
    """Returns a day with its time (ISO 8601, without a zone: IBKR declares none); empty where none is given."""
    text = row.attributes.get(name)
    return _moment(text) if text else ""


def level_of(row: Row) -> str:
    """Returns the level of detail, in capital letters; empty where the query does not give it."""
    return row.attributes.get("levelOfDetail", "").upper()


def details(rows: Sequence[Row]) -> Sequence[Row]:
    """Returns the rows that count where a query may give everything twice, in detail and in summaries of several.

    The details count where there are any.
    """
    return [row for row in rows if level_of(row) != SUMMARY] or rows


def sum_of(rows: Iterable[Row], names: Sequence[str]) -> Decimal | None:
    """Returns the sum of these attributes; None where none is given."""
    numbers = [number_of(row, name) for row in rows for name in names]
    return exact_sum(numbers) if any(number is not None for number in numbers) else None


def without_totals(rows: Sequence[Row], name: str) -> Sequence[Row]:
    """Returns the rows of one instrument (or currency) that add up to the account's.

    An account with models has a row for each of them and for what is in none; if there is one for all besides, it has
    no model, and what the models have add up to its number `name`.
    """
    whole = [row for row in rows if not row.attributes.get("model")]
    if not whole or len(whole) == len(rows):
        return rows
    parts = [row for row in rows if row.attributes.get("model")]
    return whole if sum_of(whole, (name,)) == sum_of(parts, (name,)) else rows
