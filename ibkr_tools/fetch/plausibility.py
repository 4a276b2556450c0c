"""What cannot be true: given what came for one account, which of its answers contradicts the others. No I/O.

IBKR's servers answer emptily while they have not loaded an account yet, and such an answer looks like one of an account
that is empty. What one answer leaves out another one shows: balances without positions, positions without balances.
An account that has nothing says so in all of its answers, and is believed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ibkr_tools.cells import parse_number
from ibkr_tools.fetch.calls import Call
from ibkr_tools.fetch.position_values import PositionValues, lost, values_of_ledger, values_of_rows

BALANCES = ("summary", "ledger", "allocation")
POSITIONS = "positions"
_BASE = "BASE"

_KIND = {"summary": "summary", "ledger": "ledger", "allocation": "allocation"} | dict.fromkeys(
    ("positions", "positions2"), POSITIONS
)

_WORTH = ("netliquidation", "grosspositionvalue", "totalcashvalue")
"""Keys of a summary of which one is not zero where an account has anything."""

_CENT = Decimal("0.01")
"""Less is the noise of IBKR's arithmetic, not money."""

_HELD = (
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

_OWNED = ("cashbalance", "netliquidationvalue", *_HELD)
"""Amounts of a ledger of which one is not zero where an account has anything."""

_ALL_OF_AN_ADVISOR = re.compile(r"F[0-9]+A")
"""IBKR's number for all accounts of an advisor together: what it lists is of those."""


class Evidence(msgspec.Struct, frozen=True):
    """What the answers of one resource say about one account.

    `speaks`: there is anything in them. `worth`: an amount that is not zero. `holds`: the value of a position is among
    them. `whole`: nothing that belongs there is missing. `strangers`: the accounts that they are about instead. `rows`
    is how many rows there are, `held`: one of them is not closed; `filtered`: a parameter has left some out. `values`
    is what is owned by currency, where the answers say that.
    """

    speaks: bool = False
    worth: bool = False
    holds: bool = False
    whole: bool = True
    strangers: tuple[str, ...] = ()
    rows: int = 0
    held: bool = False
    filtered: bool = False
    values: PositionValues | None = None

    def __add__(self, other: "Evidence") -> "Evidence":
        """Returns what two pages of one list say together."""
        return Evidence(
            self.speaks or other.speaks,
            self.worth or other.worth,
            self.holds or other.holds,
            self.whole and other.whole,
            tuple(dict.fromkeys((*self.strangers, *other.strangers))),
            self.rows + other.rows,
            self.held or other.held,
            self.filtered or other.filtered,
            self.values + other.values if self.values and other.values else self.values or other.values,
        )


class Contradiction(msgspec.Struct, frozen=True):
    """One answer that contradicts the others: of which resource, what is wrong, whether waiting can help.

    `certain`: it cannot be true; else it says nothing at all, and is believed if it still does when asked again.
    """

    kind: str
    what: str
    passes: bool = True
    certain: bool = True


def kind_of(call: Call) -> str | None:
    """Returns which of the four kinds of answers about an account a call brings; None: none of them."""
    return _KIND.get(call.endpoint.name) if call.account else None


def evidence_of(call: Call, payload: Any) -> Evidence | None:
    """Returns what one answer (or one page) says about the call's account; None: nothing that could be compared."""
    kind, account = kind_of(call), call.account or ""
    filtered = bool(call.query.get("model"))
    match kind:
        case "summary":
            found = _of_summary(payload, account)
        case "ledger":
            found = _of_ledger(payload, account)
        case "allocation":
            found = _of_allocation(payload)
        case "positions":
            found = _of_positions(payload, account)
        case _:
            return None
    return msgspec.structs.replace(found, filtered=filtered)


def _amount(value: object) -> float:
    """Returns a number, or a text that is one; 0 for whatever else, and for less than a cent."""
    number = parse_number(value)
    return float(number) if number is not None and abs(number) >= _CENT else 0.0


def _any_of(entries: Mapping[str, float], telling: Iterable[str]) -> bool:
    """Says whether one of the telling amounts is not zero; where none of them is there, any amount tells."""
    named = [key for key in telling if key in entries]
    return any(entries[key] for key in named or entries)


def _objects(payload: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(payload, Mapping):
        yield from ((str(key), value) for key, value in payload.items() if isinstance(value, Mapping))


def _strangers(names: Iterable[object], account: str) -> tuple[str, ...]:
    """Returns the accounts that are another one; `U1234567C` is the segment for futures of `U1234567`."""
    if _ALL_OF_AN_ADVISOR.fullmatch(account):
        return ()
    others = [name for name in names if isinstance(name, str) and name]
    return tuple(dict.fromkeys(one for one in others if not re.fullmatch(f"{re.escape(account)}[A-Z]?", one)))


def _of_summary(payload: Any, account: str) -> Evidence:
    entries = dict(_objects(payload))
    amounts = {key: _amount(entry.get("amount")) for key, entry in entries.items()}
    code = entries.get("accountcode", {}).get("value")
    return Evidence(
        speaks=any(entry.get("amount") is not None or entry.get("value") is not None for entry in entries.values()),
        worth=_any_of(amounts, _WORTH),
        holds=bool(amounts.get("grosspositionvalue")),
        strangers=_strangers([code], account),
    )


def _of_ledger(payload: Any, account: str) -> Evidence:
    rows = dict(_objects(payload))
    amounts = {name: {key: _amount(value) for key, value in row.items() if key in _OWNED} for name, row in rows.items()}
    has_worth = any(any(row.values()) for row in amounts.values())
    return Evidence(
        speaks=any(rows.values()),
        worth=has_worth,
        holds=any(row.get(key) for row in amounts.values() for key in _HELD),
        whole=any(amounts.get(_BASE, {}).values()) if has_worth else bool(rows.get(_BASE)) or not any(rows.values()),
        values=values_of_ledger(rows),
        strangers=_strangers([row.get("acctcode") for row in rows.values()], account),
    )


def _of_allocation(payload: Any) -> Evidence:
    sides = [side for _, table in _objects(payload) for _, side in _objects(table)]
    values = [_amount(value) for side in sides for value in side.values()]
    return Evidence(speaks=any(sides), worth=any(values))


def _of_positions(payload: Any, account: str) -> Evidence:
    rows = [row for row in payload if isinstance(row, Mapping) and row] if isinstance(payload, list) else []
    worth = any(_amount(_value_of(row)) for row in rows)
    return Evidence(
        speaks=bool(rows),
        worth=worth,
        holds=worth,
        strangers=_strangers([row.get("acctId") for row in rows], account),
        rows=len(rows),
        held=any(map(_is_held, rows)),
        values=values_of_rows(rows),
    )


def _value_of(row: Mapping[str, Any]) -> object:
    """Returns what a position is worth; how much is held, if IBKR does not say."""
    value = row.get("mktValue", row.get("marketValue"))
    return row.get("position") if value is None else value


def _is_held(row: Mapping[str, Any]) -> bool:
    """Says whether a row tells of anything held: a quantity or a value that is not nothing, be it no number."""
    told = [row.get(key) for key in ("position", "mktValue", "marketValue")]
    return any(one is not None and parse_number(one) != 0 for one in told)


def contradictions(found: Mapping[str, Evidence]) -> list[Contradiction]:
    """Returns what cannot be true of one account.

    Args:
        found: what its answers say, by kind: `summary`, `ledger`, `allocation`, `positions`.
    """
    wrong = [
        Contradiction(kind, f"is about {', '.join(one.strangers)}", passes=False)
        for kind, one in found.items()
        if one.strangers
    ]
    own = {kind: one for kind, one in found.items() if not one.strangers}
    worth = [kind for kind, one in own.items() if one.worth]
    holds = [kind for kind, one in own.items() if one.holds]
    for kind, one in own.items():
        others = holds if kind in {"allocation", POSITIONS} else worth
        others = [other for other in others if other != kind]
        if kind == POSITIONS:
            if not one.rows and not one.filtered and others:
                wrong.append(Contradiction(kind, f"has no rows, but its {_all(others)} values of positions"))
            elif one.rows and not one.held and not one.filtered and others:
                wrong.append(Contradiction(kind, f"has nothing but zeros, but its {_all(others)} values of positions"))
            elif not one.filtered and (missing := _lost(one, own.get("ledger"))):
                wrong.append(Contradiction(kind, f"has {missing} that its ledger has in them"))
        elif not one.whole:
            wrong.append(Contradiction(kind, "has nothing under BASE"))
        elif not one.worth and others and not one.filtered:
            how = "has nothing but zeros" if one.speaks else "says nothing"
            wrong.append(Contradiction(kind, f"{how}, but its {_all(others)} amounts"))
    balances = [one for kind, one in own.items() if kind in BALANCES]
    if not wrong and balances and not any(one.speaks for one in own.values()):
        wrong += [
            Contradiction(kind, "says nothing, as all about it", certain=False) for kind in own if kind in BALANCES
        ]
    return wrong


def _lost(positions: Evidence, ledger: Evidence | None) -> str:
    if positions.values is None or ledger is None or ledger.values is None:
        return ""
    return lost(positions.values, ledger.values)


def _all(kinds: list[str]) -> str:
    return f"{' and '.join(kinds)} {'has' if len(kinds) == 1 and kinds[0] != POSITIONS else 'have'}"


def witness_for(found: Mapping[str, Evidence]) -> str | None:
    """Returns which other resource has to be asked before silence is believed; None: what came is enough.

    An empty list of positions alone may be one that is not loaded; so may blank balances.
    """
    silent = [kind for kind, one in found.items() if not one.worth and not one.rows and not one.filtered]
    if not silent or any(one.worth or one.strangers for one in found.values()):
        return None
    if not found.keys() & {"ledger", "summary"}:
        return "ledger"
    return POSITIONS if POSITIONS not in found and any(not found[kind].worth for kind in silent) else None
