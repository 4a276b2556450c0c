"""`python -m ibkr_tools.simulator.account_life FOLDER`: writes years of Flex statements, and the right figures.

FOLDER gets a file for each calendar year as IBKR makes it on 5 January after it, one for all years as the last day
knows them, and `known.json` with what the ledger has: values by day, flows, positions and returns.
"""

import argparse
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec

from ibkr_tools.simulator.account_life import known_values
from ibkr_tools.simulator.account_life.life import AccountLife, LifeOptions
from ibkr_tools.simulator.account_life.statement_writer import write_statements


def main() -> None:
    """Reads the options and writes the files."""
    parser = argparse.ArgumentParser(prog="python -m ibkr_tools.simulator.account_life")
    parser.add_argument("folder", type=Path, help="where to write; it may exist")
    parser.add_argument("--account", action="append", metavar="ID", help="may be repeated")
    parser.add_argument("--base", default="EUR", help="the base currency")
    parser.add_argument("--former-number", default="", metavar="ID", help="the first account had this number before")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes another life")
    parser.add_argument("--positions", type=int, default=20, help="how many there are, about")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date(2023, 1, 2), metavar="DAY")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=date(2025, 12, 31), metavar="DAY")
    given = parser.parse_args()
    options = LifeOptions(
        seed=given.seed,
        accounts=tuple(given.account or ("U1234567",)),
        first_day=given.first,
        last_day=given.last,
        bases=(given.base,),
        positions=given.positions,
        former_number=given.former_number,
    )
    _write(AccountLife(options), given.folder)


def _write(life: AccountLife, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    first, last = life.first_day, life.last_day
    written = {f"{first}_{last}.xml": (first, last, _made_after(last))}
    for year in range(first.year, last.year + 1):
        end = min(date(year, 12, 31), last)
        written[f"{year}.xml"] = (max(date(year, 1, 1), first), end, _made_after(end))
    for name, (from_day, to_day, generated_at) in written.items():
        (folder / name).write_bytes(write_statements(life, life.accounts, from_day, to_day, generated_at))
    known = {account: _known(life, account, _made_after(last)) for account in life.accounts}
    encoded = msgspec.json.Encoder(decimal_format="number").encode(known)
    (folder / "known.json").write_bytes(msgspec.json.format(encoded, indent=2))


def _made_after(day: date) -> datetime:
    """Returns a morning some days after, when the statement of a day is there."""
    return datetime.combine(day + timedelta(days=5), datetime.min.time().replace(hour=6, minute=30))


def _known(life: AccountLife, account: str, at: datetime) -> dict[str, object]:
    ledger = life.books(account, at)
    first, last = ledger.closes[0].day, ledger.closes[-1].day
    held = known_values.positions(ledger, last)
    return {
        "base": life.base(account),
        "values": {f"{day}": value for day, value in known_values.values(ledger).items()},
        "flows": [[f"{flow.day}", flow.amount] for flow in known_values.flows(ledger)],
        "positions": {str(conid): quantity for conid, quantity in held.items()},
        "cash": dict(known_values.cash(ledger, last)),
        "time_weighted_return": known_values.time_weighted_return(ledger, first, last),
        "money_weighted_rate": known_values.money_weighted_rate(ledger, first, last),
    }


if __name__ == "__main__":
    main()
