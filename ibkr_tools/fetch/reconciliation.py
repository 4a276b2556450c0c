"""How a net liquidation value is composed, and by how much what is listed differs from it. Pure.

IBKR's ledgers add up as cash + market values + dividends + interest; the profit and loss of futures is in the cash
(IBKR's user guide, and ledgers that people have published).
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from ibkr_tools.fetch.balances import Cash
from ibkr_tools.number_format import ZERO, exact_sum

__all__ = ["Reconciliation", "reconcile"]

FUTURES_PNL_NOT_IN_CASH = "what futures have made today, which this cash is without"
NO_EXPLANATION = "nothing in the snapshot says of what"

ROUNDING_UNIT = Decimal("0.01")
OTHER_ROUNDED_FIGURES = 5
"""What is rounded to the cent besides the rows: cash, dividends, interest, and the net liquidation value itself."""


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """The composition for one base currency; None is what is not known.

    Attributes:
        base: the currency of all figures.
        cash: all cash; what futures have made today is in it.
        positions: what the positions count.
        dividends: announced and not paid yet.
        interest: accrued and not paid yet.
        futures_pnl: what futures have made today; in `cash`.
        total: the sum of cash, positions, dividends and interest.
        net_liquidation: IBKR's figure.
        is_futures_pnl_apart: whether `cash` is without `futures_pnl` after all, as the difference shows.
        difference: `net_liquidation` less `total`.
        is_rounding: whether that is no more than what rounding to cents leaves.
        explanation: what is known of a difference; empty where there is none.
    """

    base: str
    cash: Decimal | None
    positions: Decimal
    dividends: Decimal | None
    interest: Decimal | None
    futures_pnl: Decimal | None
    total: Decimal | None
    net_liquidation: Decimal | None
    is_futures_pnl_apart: bool
    difference: Decimal | None
    is_rounding: bool
    explanation: str


def reconcile(
    base: str,
    ledgers: Sequence[Cash],
    positions: Decimal,
    net_liquidation: Decimal | None,
    *,
    rows: int,
    missing_note: str,
) -> Reconciliation:
    """Returns the composition of all accounts with one base currency.

    Args:
        base: the currency.
        ledgers: of each of the accounts.
        positions: what they count together.
        net_liquidation: of the accounts together.
        rows: how many rows of positions there are, each of which may be off by a rounding.
        missing_note: says which positions have no value.
    """

    def sum_if_known(numbers: Sequence[Decimal | None]) -> Decimal | None:
        return None if None in numbers else exact_sum(numbers)

    cash = sum_if_known([ledger.cash for ledger in ledgers])
    dividends, interest = (
        sum_if_known([ledger.dividends for ledger in ledgers]),
        sum_if_known([ledger.interest for ledger in ledgers]),
    )
    futures_pnl, position_value = (
        sum_if_known([ledger.futures_pnl for ledger in ledgers]),
        sum_if_known([ledger.position_value for ledger in ledgers]),
    )
    forex_cash = sum_if_known([ledger.forex_cash for ledger in ledgers])
    composed = sum_if_known([cash, positions, dividends, interest])
    difference = None if composed is None or net_liquidation is None else net_liquidation - composed
    rounding_limit = ROUNDING_UNIT * (rows + OTHER_ROUNDED_FIGURES * len(ledgers))
    is_rounding = difference is not None and abs(difference) <= rounding_limit
    explanation = ""
    if difference is not None and not is_rounding:
        known = _KnownAmounts(
            dividends=dividends, interest=interest, futures=futures_pnl, forex=forex_cash, position_value=position_value
        )
        explanation = _explanation(difference, rounding_limit, positions, known) or missing_note or NO_EXPLANATION
    return Reconciliation(
        base=base,
        cash=cash,
        positions=positions,
        dividends=dividends,
        interest=interest,
        futures_pnl=futures_pnl,
        total=composed,
        net_liquidation=net_liquidation,
        is_futures_pnl_apart=explanation == FUTURES_PNL_NOT_IN_CASH,
        difference=difference,
        is_rounding=is_rounding,
        explanation=explanation,
    )


class _KnownAmounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a difference may consist of."""

    dividends: Decimal | None
    interest: Decimal | None
    futures: Decimal | None
    forex: Decimal | None
    position_value: Decimal | None


def _explanation(difference: Decimal, rounding_limit: Decimal, positions: Decimal, known: _KnownAmounts) -> str:
    """Returns what is as large as the difference; nothing if nothing is."""

    def is_difference(number: Decimal | None) -> bool:
        return bool(number) and abs(difference - (number or ZERO)) <= rounding_limit

    if is_difference(known.futures):
        return FUTURES_PNL_NOT_IN_CASH
    if is_difference(known.forex):
        return "the cash of the forex segment, which this cash is without"
    dividends, interest = known.dividends, known.interest
    accruals = None if dividends is None or interest is None else dividends + interest
    for kind, number in (("interest", interest), ("dividends", dividends), ("interest and dividends", accruals)):
        if is_difference(None if number is None else -number):
            return f"the {kind}, which this net liquidation value is without"
    if known.position_value is not None and is_difference(known.position_value - positions):
        return "the ledger has another value for the positions: of another moment, or of more of them"
    return ""
