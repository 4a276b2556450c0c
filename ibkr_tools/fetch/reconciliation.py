"""How a net liquidation value is composed, and by how much what is listed differs from it. Pure.

IBKR's ledgers add up as cash + market values + dividends + interest; the profit and loss of futures is in the cash
(IBKR's user guide, and ledgers that people have published).
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from ibkr_tools.cells import ZERO, total
from ibkr_tools.fetch.balances import Cash

__all__ = ["Reconciliation", "reconcile"]

FUTURES_APART = "what futures have made today, which this cash is without"
NOTHING_KNOWN = "nothing in the snapshot says of what"

CENT = Decimal("0.01")
OTHER_FIGURES = 5
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
    base: str, ledgers: Sequence[Cash], positions: Decimal, net_liquidation: Decimal | None, *, rows: int, without: str
) -> Reconciliation:
    """Returns the composition of all accounts with one base currency.

    Args:
        base: the currency.
        ledgers: of each of the accounts.
        positions: what they count together.
        net_liquidation: of the accounts together.
        rows: how many rows of positions there are, each of which may be off by a rounding.
        without: says which positions have no value.
    """

    def summed(numbers: Sequence[Decimal | None]) -> Decimal | None:
        return None if None in numbers else total(numbers)

    cash = summed([one.cash for one in ledgers])
    dividends, interest = summed([one.dividends for one in ledgers]), summed([one.interest for one in ledgers])
    futures, held = summed([one.futures_pnl for one in ledgers]), summed([one.held for one in ledgers])
    forex = summed([one.forex_cash for one in ledgers])
    whole = summed([cash, positions, dividends, interest])
    difference = None if whole is None or net_liquidation is None else net_liquidation - whole
    most = CENT * (rows + OTHER_FIGURES * len(ledgers))
    is_rounding = difference is not None and abs(difference) <= most
    explanation = ""
    if difference is not None and not is_rounding:
        known = _Known(dividends=dividends, interest=interest, futures=futures, forex=forex, held=held)
        explanation = _explanation(difference, most, positions, known) or without or NOTHING_KNOWN
    return Reconciliation(
        base=base,
        cash=cash,
        positions=positions,
        dividends=dividends,
        interest=interest,
        futures_pnl=futures,
        total=whole,
        net_liquidation=net_liquidation,
        is_futures_pnl_apart=explanation == FUTURES_APART,
        difference=difference,
        is_rounding=is_rounding,
        explanation=explanation,
    )


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a difference may consist of."""

    dividends: Decimal | None
    interest: Decimal | None
    futures: Decimal | None
    forex: Decimal | None
    held: Decimal | None


def _explanation(difference: Decimal, most: Decimal, positions: Decimal, known: _Known) -> str:
    """Returns what is as large as the difference; nothing if nothing is."""

    def is_it(number: Decimal | None) -> bool:
        return bool(number) and abs(difference - (number or ZERO)) <= most

    if is_it(known.futures):
        return FUTURES_APART
    if is_it(known.forex):
        return "the cash of the forex segment, which this cash is without"
    dividends, interest = known.dividends, known.interest
    accruals = None if dividends is None or interest is None else dividends + interest
    for what, number in (("interest", interest), ("dividends", dividends), ("interest and dividends", accruals)):
        if is_it(None if number is None else -number):
            return f"the {what}, which this net liquidation value is without"
    if known.held is not None and is_it(known.held - positions):
        return "the ledger has another value for the positions: of another moment, or of more of them"
    return ""
