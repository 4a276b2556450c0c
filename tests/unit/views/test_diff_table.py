"""The table of `diff`: sums say their currency, and are of one alone."""

from decimal import Decimal

from ibkr_tools.history.position_diff import Held, compare_positions
from ibkr_tools.views.diff_table import format_diff


def held(account: str, quantity: int) -> Held:
    """Returns a position of a fund at 100."""
    return Held(account, "1", "FUND", "EUR", Decimal(quantity), Decimal(100 * quantity), Decimal(100 * quantity))


def test_values_in_different_currencies_have_no_sum_together() -> None:
    accounts = ("U1", "U2", "U3")
    changes = compare_positions([held(name, 1) for name in accounts], [held(name, 3) for name in accounts])
    lines = format_diff(changes, "then", "now", currencies={"U1": "EUR", "U2": "USD", "U3": "EUR"}).splitlines()
    totals = {line.split()[2]: line.split()[3] for line in lines if line.lstrip().startswith("Sum in")}
    assert totals == {"EUR": "400.00", "USD": "200.00"}


def test_a_currency_that_is_not_known_is_not_named() -> None:
    lines = format_diff(compare_positions([held("U1", 1)], [held("U1", 3)]), "then", "now").splitlines()
    assert any(line.startswith("Sum, base currency") for line in lines)
