"""Ten years of three accounts with fifty positions: how long the history takes to be made anew, and how large it is.

The statements are made up: one a month, and one a day for the last weeks, each with positions and their lots, trades,
bookings, values and rates. They are put into an archive as `flex import` does.
"""

import json
import random
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

from bench.figures import Report
from bench.processes import environment, spent, timed
from ibkr_tools.flex.statement_archive import StatementArchive
from ibkr_tools.flex.statement_xml import Statement
from tests.support.flex_statements import Sections, document, head, statement

YEARS, POSITIONS = 10, 50
ACCOUNTS = ("U1000001", "U1000002", "U1000003")
LAST = date(2026, 10, 30)

TRADES_A_MONTH, DIVIDENDS_A_MONTH = 20, 15
CURRENCIES = ("USD", "GBP", "CHF", "JPY", "CAD", "AUD", "SEK", "NOK", "HKD", "DKK")
"""Those of the rates; the accounts hold the first three."""

DAILY_DAYS, WINDOW_DAYS = 30, 30
"""The last so many days have a statement each, of so many days."""

REBUILD_S, REBUILD_MB, DATABASE_MB, VALUES_S = 10.0, 150.0, 30.0, 0.5


def write_archive(directory: Path, years: int = YEARS, daily_days: int = DAILY_DAYS) -> int:
    """Fills an archive; returns how many statements it has."""
    archive = StatementArchive(directory)
    count = 0
    for number, account in enumerate(ACCOUNTS):
        rng = random.Random(number)
        for first, last in _spans(years, daily_days):
            made = datetime.combine(last + timedelta(days=1), time(6, 30))
            xml = document(
                statement(
                    _sections(rng, account, first, last),
                    head(
                        accountId=account,
                        fromDate=f"{first:%Y%m%d}",
                        toDate=f"{last:%Y%m%d}",
                        whenGenerated=f"{made:%Y%m%d;%H%M%S}",
                    ),
                )
            )
            archive.keep(xml, [Statement(account, first, last, made)])
            count += 1
    return count


def _spans(years: int, daily_days: int) -> Iterator[tuple[date, date]]:
    first = LAST.replace(year=LAST.year - years, day=1)
    while first <= LAST:
        following = (first + timedelta(days=32)).replace(day=1)
        yield first, min(following - timedelta(days=1), LAST)
        first = following
    for ago in range(daily_days):
        last = LAST - timedelta(days=ago)
        if last.weekday() < 5:
            yield last - timedelta(days=WINDOW_DAYS), last


def _sections(rng: random.Random, account: str, first: date, last: date) -> Sections:
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    business = [day for day in days if day.weekday() < 5]
    per_month = len(business) / 21
    return {
        "AccountInformation": [("AccountInformation", {"accountId": account, "currency": "EUR"})],
        "EquitySummaryInBase": [
            (
                "EquitySummaryByReportDateInBase",
                {"reportDate": f"{day:%Y%m%d}", "cash": _amount(rng), "stock": _amount(rng), "total": _amount(rng)},
            )
            for day in business
        ],
        "OpenPositions": [
            ("OpenPosition", _position(rng, number, last) | {"levelOfDetail": level})
            for number in range(POSITIONS)
            for level in ("SUMMARY", "LOT", "LOT")
        ],
        "Trades": [("Trade", _trade(rng, day)) for day in rng.choices(business, k=round(TRADES_A_MONTH * per_month))],
        "CashTransactions": [
            ("CashTransaction", _booking(rng, day))
            for day in rng.choices(business, k=round(DIVIDENDS_A_MONTH * per_month))
        ],
        "ConversionRates": [
            (
                "ConversionRate",
                {"reportDate": f"{day:%Y%m%d}", "fromCurrency": currency, "toCurrency": "EUR", "rate": "0.91234"},
            )
            for day in business
            for currency in CURRENCIES
        ],
    }


def _amount(rng: random.Random) -> str:
    return f"{rng.uniform(1, 100_000):.9f}"


def _instrument(number: int) -> dict[str, str]:
    return {
        "acctAlias": "",
        "model": "",
        "currency": CURRENCIES[number % 3],
        "fxRateToBase": "0.91234",
        "assetCategory": "STK",
        "subCategory": "COMMON",
        "symbol": f"SYM{number}",
        "description": f"A COMPANY WITH A NAME {number}",
        "conid": f"{1_000_000 + number}",
        "securityID": f"US{number:010}",
        "securityIDType": "ISIN",
        "isin": f"US{number:010}",
        "figi": f"BBG{number:09}",
        "listingExchange": "NASDAQ",
        "issuerCountryCode": "US",
        "multiplier": "1",
        "strike": "",
        "expiry": "",
        "putCall": "",
    }


def _position(rng: random.Random, number: int, day: date) -> dict[str, str]:
    return _instrument(number) | {
        "reportDate": f"{day:%Y%m%d}",
        "position": f"{rng.randrange(1, 1000)}",
        "markPrice": f"{rng.uniform(1, 1000):.4f}",
        "positionValue": _amount(rng),
        "openPrice": f"{rng.uniform(1, 1000):.8f}",
        "costBasisPrice": f"{rng.uniform(1, 1000):.8f}",
        "costBasisMoney": _amount(rng),
        "percentOfNAV": "1.23",
        "fifoPnlUnrealized": _amount(rng),
        "side": "Long",
        "openDateTime": "20200102;093000",
        "holdingPeriodDateTime": "20200102;093000",
    }


def _trade(rng: random.Random, day: date) -> dict[str, str]:
    money = _amount(rng)
    return _instrument(rng.randrange(POSITIONS)) | {
        "transactionType": "ExchTrade",
        "reportDate": f"{day:%Y%m%d}",
        "tradeDate": f"{day:%Y%m%d}",
        "dateTime": f"{day:%Y%m%d};103000",
        "settleDateTarget": f"{day:%Y%m%d}",
        "buySell": "BUY",
        "quantity": f"{rng.randrange(1, 100)}",
        "tradePrice": f"{rng.uniform(1, 1000):.4f}",
        "tradeMoney": money,
        "proceeds": f"-{money}",
        "taxes": "0",
        "ibCommission": "-1.05",
        "ibCommissionCurrency": "USD",
        "netCash": f"-{money}",
        "fifoPnlRealized": "0",
        "tradeID": f"{rng.randrange(10**9)}",
        "transactionID": f"{rng.randrange(10**10)}",
        "levelOfDetail": "EXECUTION",
    }


def _booking(rng: random.Random, day: date) -> dict[str, str]:
    return _instrument(rng.randrange(POSITIONS)) | {
        "type": "Dividends",
        "amount": _amount(rng),
        "reportDate": f"{day:%Y%m%d}",
        "settleDate": f"{day:%Y%m%d}",
        "dateTime": f"{day:%Y%m%d};202000",
        "transactionID": f"{rng.randrange(10**10)}",
        "levelOfDetail": "DETAIL",
    }


def measure(report: Report, rounds: int) -> None:
    """Adds the figures to a report."""
    from bench.figures import Figure

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps({"username": "readonly1", "account": ACCOUNTS[0]}))
        (folder / "config.json").chmod(0o600)
        write_archive(folder / "state" / "statements")
        program = [sys.executable, "-m", "ibkr_tools", "--config", str(folder / "config.json")]
        program += ["--runtime-dir", str(folder / "run"), "--state-dir", str(folder / "state")]
        rebuilt = [spent([*program, "history", "rebuild"], environment()) for _ in range(rounds)]
        shown = [timed([*program, "history", "values", "--period", "2025"], environment()) for _ in range(3 * rounds)]
        size = (folder / "state" / "history" / "history.sqlite").stat().st_size
    for title, unit, samples, target in (
        ("history rebuild: time", "s", [item.seconds for item in rebuilt], REBUILD_S),
        ("history rebuild: memory", "MB", [item.peak_mb for item in rebuilt], REBUILD_MB),
        ("history database: size", "MB", [size / 1_000_000], DATABASE_MB),
        ("history values: time", "s", shown, VALUES_S),
    ):
        report.figures.append(Figure(name=title, unit=unit, samples=tuple(samples), target=target))  # type: ignore[arg-type]
