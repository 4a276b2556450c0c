"""Whether an answer is final: empty first answers, fields that come later, contracts not loaded yet. No I/O."""

from collections.abc import Generator, Mapping
from typing import Any

from ibkr_tools.errors import DataError
from ibkr_tools.fetch.pagination import count_rows_without_details, describe_non_objects
from ibkr_tools.fetch.plan import ApiCall
from ibkr_tools.portal.api_response import ApiResponse
from ibkr_tools.portal.endpoints import ACCOUNTS, READS, Endpoint, Scope

MARKET_SNAPSHOT_DELAYS_S = (0.5, 1.0, 2.0, 3.0)
"""The delay before each repeat of a market data snapshot, in seconds: the first call only opens the stream."""

CONTRACT_DETAILS_DELAYS_S = (0.0, 0.5, 1.0, 2.0, 4.0)
"""The delay before each repeat of a page of positions, in seconds: a contract not loaded yet has 21 fields of 48."""

_MAX_FRUITLESS_REPEATS = 3
"""How many repeats in a row may bring no more details: older builds never have more."""

LIST_OR_OBJECT = frozenset({"positions_by_conid", "secdef_info"})
"""A list in one of IBKR's sources, an object in another."""

MARKET_SNAPSHOT, HISTORY, POSITIONS = READS["snapshot"], READS["history"], READS["positions"]

Repeats = Generator[float, ApiResponse, ApiResponse]
"""Yields the delay in seconds before each repeat of a read, is sent its answer, and returns the answer that counts."""


def is_empty(payload: object) -> bool:
    """Says whether an answer says nothing: `[]`, `{}`, `{"orders":[],"snapshot":false}`, `{"upnl":{}}`."""
    if isinstance(payload, Mapping):
        return all(value in ({}, [], None) or value is False for value in payload.values())
    return payload in (None, [], "")


def needs_second_read(call: ApiCall, payload: object) -> bool:
    """Says whether an answer is an empty first one, which is not believed."""
    page = call.query.get("page", call.path_parameters.get("page", "0"))
    may_be_cold = call.endpoint.needs_warm_up and call.endpoint != MARKET_SNAPSHOT and page == "0"
    return may_be_cold and is_empty(payload)


def requires_body(endpoint: Endpoint) -> bool:
    """Says whether a good answer of an endpoint always has a body: what is about an account, and their list."""
    return endpoint.scope is Scope.ACCOUNT or endpoint == ACCOUNTS


def count_present_fields(payload: object, wanted: list[str]) -> int:
    """Counts the wanted fields that a market data snapshot has, over all its rows."""
    rows = payload if isinstance(payload, list) else []
    return sum(1 for row in rows if isinstance(row, Mapping) for name in wanted if name in row)


class Completeness:
    """Decides, for one fetch, how often a read is repeated for what its answer lacks; threads share it."""

    def __init__(self) -> None:
        self._has_no_more_details = False

    def repeats(self, call: ApiCall, answer: ApiResponse) -> Repeats:
        """Decides about one answer; see `Repeats`."""
        if call.endpoint == MARKET_SNAPSHOT:
            return (yield from self._until_fields_present(answer, call.query))
        if call.endpoint == POSITIONS:
            return (yield from self._until_detailed(answer))
        return answer

    def _until_detailed(self, answer: ApiResponse) -> Repeats:
        """Repeats until all rows have their contract's details, or no more come."""
        incomplete, fruitless = count_rows_without_details(answer.payload), 0
        for delay_s in CONTRACT_DETAILS_DELAYS_S:
            if not incomplete or self._has_no_more_details or fruitless >= _MAX_FRUITLESS_REPEATS:
                break
            again = yield delay_s
            still_incomplete = count_rows_without_details(again.payload)
            complete = len(again.payload) - still_incomplete if isinstance(again.payload, list) else 0
            if complete > len(answer.payload) - incomplete:
                answer, incomplete, fruitless = again, still_incomplete, 0
            else:
                fruitless += 1
        # What the first page does not get, the others need not be asked for as often.
        self._has_no_more_details |= fruitless >= _MAX_FRUITLESS_REPEATS
        return answer

    @staticmethod
    def _until_fields_present(answer: ApiResponse, query: Mapping[str, str]) -> Repeats:
        """Repeats until all fields are there, or no more come: some never do, such as without a subscription."""
        wanted, conids = query.get("fields", "").split(","), query.get("conids", "").split(",")
        present = 0
        for delay_s in MARKET_SNAPSHOT_DELAYS_S:
            before, present = present, count_present_fields(answer.payload, wanted)
            if present >= len(wanted) * len(conids) or 0 < present == before:
                break
            answer = yield delay_s
        return answer


def require_shape(call: ApiCall, payload: Any) -> str | None:
    """Checks the outermost shape; what is unexpected but can be kept is said in one line.

    Some endpoints answer nothing at times (204), and of some nobody has a recording.

    Raises:
        DataError: no list or object where an account's data would be.
    """
    expected = list if call.endpoint.records_path == "" else dict
    if isinstance(payload, expected) or (isinstance(payload, list | dict) and call.endpoint.name in LIST_OR_OBJECT):
        return describe_non_objects(call, payload)
    message = f"{call}: expected {'a list' if expected is list else 'an object'}, got {type(payload).__name__}"
    if requires_body(call.endpoint):
        raise DataError(message)
    return message
