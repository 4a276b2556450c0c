"""Tables of the history: amounts to the cent, and the columns that a terminal has room for."""

from decimal import Decimal

from ibkr_tools.history.summary import Cell
from ibkr_tools.number_format import display_width
from ibkr_tools.views.history_table import format_base_currencies, format_history


def position(account: str = "U1234567", **more: Cell) -> dict[str, Cell]:
    """Returns a row of `history positions`."""
    row: dict[str, Cell] = {
        "day": "2026-11-27",
        "account": account,
        "symbol": "ALRO11270115C00244000",
        "quantity": Decimal("-1.5000"),
        "price": Decimal("8.4765"),
        "currency": "CHF",
        "value": Decimal("-65238.2129371"),
        "in_base": Decimal("-71337.9858"),
        "cost": Decimal("57855.45"),
        "unrealized": Decimal(7),
        "asset_class": "OPT",
        "conid": "706025614",
        "model": "",
    }
    return row | more


def test_amounts_are_to_the_cent_and_say_their_currency() -> None:
    """A quantity has the decimals that it needs, a small price four."""
    head, _, line, note = format_history([position()], base_currencies="EUR").splitlines()
    assert "model" not in head, "a column with nothing in it is left out"
    assert line.split() == [
        "2026-11-27", "U1234567", "ALRO11270115C00244000", "-1.5", "8.4765", "CHF", "-65,238.21", "-71,337.99",
        "57,855.45", "7.00", "OPT", "706025614",
    ]  # fmt: skip
    assert note == "1 row; base currency EUR; 12 of 13 columns, --format csv has all"


def test_a_narrow_terminal_shows_what_counts() -> None:
    """What a position is worth stays, its conid goes; so does the account, unless there are several."""
    for width in (80, 100, 120):
        lines = format_history([position()], base_currencies="EUR", width=width).splitlines()
        assert max(map(display_width, lines)) <= width
        assert all(title in lines[0] for title in ("Symbol", "Quantity", "Value", "In base"))
        # Both counts are of what is shown.
        assert f"{len(lines[1].split())} of 13 columns" in lines[-1]
    assert "Account" not in format_history([position()], width=80).split()
    assert "Account" in format_history([position(), position("U7654321")], width=80).split()


def test_nothing_is_no_table() -> None:
    assert format_history([], base_currencies="EUR", width=80) == "0 rows"


def test_both_sides_of_a_check() -> None:
    rows: list[dict[str, Cell]] = [
        {"what": "VWRL", "statement": Decimal("10.2500"), "snapshot": Decimal(10)},
        {"what": "net asset value", "statement": Decimal("2408.50123"), "snapshot": Decimal(2410)},
    ]
    lines = format_history(rows).splitlines()
    assert lines[2].split() == ["VWRL", "10.25", "10"]
    assert lines[3].split()[-2:] == ["2,408.50", "2,410"]


def test_base_currencies_of_several_accounts() -> None:
    assert format_base_currencies([("U1", "EUR"), ("U2", "EUR")]) == "EUR"
    assert format_base_currencies([("U1", "EUR"), ("U2", "USD")]) == "EUR (U1), USD (U2)"
    assert format_base_currencies([]) == ""
