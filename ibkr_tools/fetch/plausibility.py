"""Plausibility of the answers about one account: which of them contradicts the others. No I/O.

IBKR's servers answer emptily while they have not loaded an account yet, and such an answer looks like one of an account
that is empty. What one answer leaves out another one shows: balances without positions, positions without balances.
An account that has nothing says so in all of its answers, and is believed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ibkr_tools.fetch.plan import ApiCall
from ibkr_tools.fetch.position_values import (
    PositionValues,
    describe_missing_value,
    parse_ledger_values,
    parse_row_values,
)
from ibkr_tools.number_format import parse_number

BALANCE_KINDS = ("summary", "ledger", "allocation")
POSITIONS_KIND = "positions"
_BASE_ROW = "BASE"

_KIND_BY_RESOURCE = {"summary": "summary", "ledger": "ledger", "allocation": "allocation"} | dict.fromkeys(
    ("positions", "positions2"), POSITIONS_KIND
)

_SUMMARY_VALUE_KEYS = ("netliquidation", "grosspositionvalue", "totalcashvalue")
"""Keys of a summary of which one is not zero where an account has anything."""

_NOISE_LIMIT = Decimal("0.01")
"""Less is the noise of IBKR's arithmetic, not money."""

_POSITION_VALUE_KEYS = (
    "stockmarketvalue",
    "corporatebondsmarketvalue",
    "stockoptionmarketvalue",
    "futureoptionmarketvalue",
    "warrantsmarketvalue",
    "issueroptionsmarketvalue",
    "tbondsmarketvalue",
    "tbillsmarketvalue",
    "cryptocurrencyvalue",
    "funds",
    "commoditymarketvalue",
    "futuremarketvalue",
)
"""Amounts of a ledger that are the value of positions; cash in a money market fund need not be one."""

_LEDGER_VALUE_KEYS = ("cashbalance", "netliquidationvalue", *_POSITION_VALUE_KEYS)
"""Amounts of a ledger of which one is not zero where an account has anything."""

_ADVISOR_TOTAL = re.compile(r"F[0-9]+A")
"""IBKR's number for all accounts of an advisor together: what it lists is of those."""


class Evidence(msgspec.Struct, frozen=True):
    """What the answers of one resource say about one account.

    `has_content`: there is anything in them. `has_value`: an amount that is not zero. `has_position_value`: the value
    of a position is among them. `is_complete`: nothing that belongs there is missing. `other_accounts`: the accounts
    that they are about instead. `row_count` is how many rows there are, `has_open_position`: one of them is not closed;
    `is_filtered`: a parameter has left some out. `position_values` is what is owned by currency, where the answers say
    that.
    """

    has_content: bool = False
    has_value: bool = False
    has_position_value: bool = False
    is_complete: bool = True
    other_accounts: tuple[str, ...] = ()
    row_count: int = 0
    has_open_position: bool = False
    is_filtered: bool = False
    position_values: PositionValues | None = None

    def __add__(self, other: "Evidence") -> "Evidence":
        """Returns what two pages of one list say together."""
        return Evidence(
            self.has_content or other.has_content,
            self.has_value or other.has_value,
            self.has_position_value or other.has_position_value,
            self.is_complete and other.is_complete,
            tuple(dict.fromkeys((*self.other_accounts, *other.other_accounts))),
            self.row_count + other.row_count,
            self.has_open_position or other.has_open_position,
            self.is_filtered or other.is_filtered,
            self.position_values + other.position_values
            if self.position_values and other.position_values
            else self.position_values or other.position_values,
        )


class Contradiction(msgspec.Struct, frozen=True):
    """One answer that contradicts the others: of which resource, and what is wrong.

    `is_transient`: waiting can help. `is_certain`: it cannot be true; else the answer is empty, and is believed if the
    next one is empty too.
    """

    kind: str
    description: str
    is_transient: bool = True
    is_certain: bool = True


def evidence_kind(call: ApiCall) -> str | None:
    """Returns which of the four kinds of answers about an account a call brings; None: none of them."""
    return _KIND_BY_RESOURCE.get(call.endpoint.name) if call.account else None


def parse_evidence(call: ApiCall, payload: Any) -> Evidence | None:
    """Returns what one answer (or one page) says about the call's account; None: nothing that could be compared."""
    kind, account = evidence_kind(call), call.account or ""
    is_filtered = bool(call.query.get("model"))
    match kind:
        case "summary":
            evidence = _parse_summary(payload, account)
        case "ledger":
            evidence = _parse_ledger(payload, account)
        case "allocation":
            evidence = _parse_allocation(payload)
        case "positions":
            evidence = _parse_positions(payload, account)
        case _:
            return None
    return msgspec.structs.replace(evidence, is_filtered=is_filtered)


def _amount(value: object) -> float:
    """Returns a number, or a text that is one; 0 for whatever else, and for less than a cent."""
    number = parse_number(value)
    return float(number) if number is not None and abs(number) >= _NOISE_LIMIT else 0.0


def _any_nonzero(entries: Mapping[str, float], keys: Iterable[str]) -> bool:
    """Says whether one of these amounts is not zero; where none of the keys is there, whether any amount is not."""
    present = [key for key in keys if key in entries]
    return any(entries[key] for key in present or entries)


def _object_items(payload: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(payload, Mapping):
        yield from ((str(key), value) for key, value in payload.items() if isinstance(value, Mapping))


def _other_accounts(names: Iterable[object], account: str) -> tuple[str, ...]:
    """Returns the accounts that are another one; `U1234567C` is the segment for futures of `U1234567`."""
    if _ADVISOR_TOTAL.fullmatch(account):
        return ()
    others = [name for name in names if isinstance(name, str) and name]
    return tuple(dict.fromkeys(name for name in others if not re.fullmatch(f"{re.escape(account)}[A-Z]?", name)))


def _parse_summary(payload: Any, account: str) -> Evidence:
    entries = dict(_object_items(payload))
    amounts = {key: _amount(entry.get("amount")) for key, entry in entries.items()}
    code = entries.get("accountcode", {}).get("value")
    return Evidence(
        has_content=any(
            entry.get("amount") is not None or entry.get("value") is not None for entry in entries.values()
        ),
        has_value=_any_nonzero(amounts, _SUMMARY_VALUE_KEYS),
        has_position_value=bool(amounts.get("grosspositionvalue")),
        other_accounts=_other_accounts([code], account),
    )


def _parse_ledger(payload: Any, account: str) -> Evidence:
    rows = dict(_object_items(payload))
    amounts = {
        name: {key: _amount(value) for key, value in row.items() if key in _LEDGER_VALUE_KEYS}
        for name, row in rows.items()
    }
    has_value = any(any(row.values()) for row in amounts.values())
    return Evidence(
        has_content=any(rows.values()),
        has_value=has_value,
        has_position_value=any(row.get(key) for row in amounts.values() for key in _POSITION_VALUE_KEYS),
        is_complete=any(amounts.get(_BASE_ROW, {}).values())
        if has_value
        else bool(rows.get(_BASE_ROW)) or not any(rows.values()),
        position_values=parse_ledger_values(rows),
        other_accounts=_other_accounts([row.get("acctcode") for row in rows.values()], account),
    )


def _parse_allocation(payload: Any) -> Evidence:
    sides = [side for _, table in _object_items(payload) for _, side in _object_items(table)]
    values = [_amount(value) for side in sides for value in side.values()]
    return Evidence(has_content=any(sides), has_value=any(values))


def _parse_positions(payload: Any, account: str) -> Evidence:
    rows = [row for row in payload if isinstance(row, Mapping) and row] if isinstance(payload, list) else []
    has_value = any(_amount(_position_value(row)) for row in rows)
    return Evidence(
        has_content=bool(rows),
        has_value=has_value,
        has_position_value=has_value,
        other_accounts=_other_accounts([row.get("acctId") for row in rows], account),
        row_count=len(rows),
        has_open_position=any(map(_is_open_position, rows)),
        position_values=parse_row_values(rows),
    )


def _position_value(row: Mapping[str, Any]) -> object:
    """Returns what a position is worth; how much is held, if IBKR does not say."""
    value = row.get("mktValue", row.get("marketValue"))
    return row.get("position") if value is None else value


def _is_open_position(row: Mapping[str, Any]) -> bool:
    """Says whether a row is of an open position: a quantity or a value is not zero, even if it is no number."""
    amounts = [row.get(key) for key in ("position", "mktValue", "marketValue")]
    return any(amount is not None and parse_number(amount) != 0 for amount in amounts)


def find_contradictions(evidence_by_kind: Mapping[str, Evidence]) -> list[Contradiction]:
    """Returns what cannot be true of one account.

    Args:
        evidence_by_kind: what its answers say, by kind: `summary`, `ledger`, `allocation`, `positions`.
    """
    contradictions = [
        Contradiction(kind, f"is about {', '.join(evidence.other_accounts)}", is_transient=False)
        for kind, evidence in evidence_by_kind.items()
        if evidence.other_accounts
    ]
    of_account = {kind: evidence for kind, evidence in evidence_by_kind.items() if not evidence.other_accounts}
    with_value = [kind for kind, evidence in of_account.items() if evidence.has_value]
    with_positions = [kind for kind, evidence in of_account.items() if evidence.has_position_value]
    for kind, evidence in of_account.items():
        others = with_positions if kind in {"allocation", POSITIONS_KIND} else with_value
        others = [other for other in others if other != kind]
        if kind == POSITIONS_KIND:
            if not evidence.row_count and not evidence.is_filtered and others:
                contradictions.append(
                    Contradiction(kind, f"has no rows, but its {_subject(others)} values of positions")
                )
            elif evidence.row_count and not evidence.has_open_position and not evidence.is_filtered and others:
                contradictions.append(
                    Contradiction(kind, f"has nothing but zeros, but its {_subject(others)} values of positions")
                )
            elif not evidence.is_filtered and (missing := _missing_value(evidence, of_account.get("ledger"))):
                contradictions.append(Contradiction(kind, f"has {missing} that its ledger has in them"))
        elif not evidence.is_complete:
            contradictions.append(Contradiction(kind, "has nothing under BASE"))
        elif not evidence.has_value and others and not evidence.is_filtered:
            how = "has nothing but zeros" if evidence.has_content else "says nothing"
            contradictions.append(Contradiction(kind, f"{how}, but its {_subject(others)} amounts"))
    balances = [evidence for kind, evidence in of_account.items() if kind in BALANCE_KINDS]
    if not contradictions and balances and not any(evidence.has_content for evidence in of_account.values()):
        contradictions += [
            Contradiction(kind, "says nothing, as all about it", is_certain=False)
            for kind in of_account
            if kind in BALANCE_KINDS
        ]
    return contradictions


def _missing_value(positions: Evidence, ledger: Evidence | None) -> str:
    if positions.position_values is None or ledger is None or ledger.position_values is None:
        return ""
    return describe_missing_value(positions.position_values, ledger.position_values)


def _subject(kinds: list[str]) -> str:
    return f"{' and '.join(kinds)} {'has' if len(kinds) == 1 and kinds[0] != POSITIONS_KIND else 'have'}"


def corroborating_resource(evidence_by_kind: Mapping[str, Evidence]) -> str | None:
    """Returns which other resource has to be read before an empty answer is believed; None: what came is enough.

    An empty list of positions alone may be one that is not loaded; so may blank balances.
    """
    empty = [
        kind
        for kind, evidence in evidence_by_kind.items()
        if not evidence.has_value and not evidence.row_count and not evidence.is_filtered
    ]
    if not empty or any(evidence.has_value or evidence.other_accounts for evidence in evidence_by_kind.values()):
        return None
    if not evidence_by_kind.keys() & {"ledger", "summary"}:
        return "ledger"
    return (
        POSITIONS_KIND
        if POSITIONS_KIND not in evidence_by_kind and any(not evidence_by_kind[kind].has_value for kind in empty)
        else None
    )
