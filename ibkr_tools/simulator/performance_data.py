"""PortfolioAnalyst's view of the simulated accounts: values and returns by day, and transactions.

Days are working days, the last one is yesterday; its value is what the account is worth.
Source: docs/reference/analyst-answers.md.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, pairwise
from operator import mul
from typing import Any

from ibkr_tools.simulator.instruments import RATES
from ibkr_tools.simulator.json_encoding import fixed
from ibkr_tools.simulator.simulated_accounts import Account, Row

__all__ = ["PERIODS", "all_periods", "performance", "transactions"]

PERIODS = ("1D", "7D", "MTD", "1M", "YTD", "1Y")


def performance(accounts: Sequence[Account], period: str, now: float) -> Row:
    """Return the answer of `/pa/performance` for one of PERIODS; several accounts are taken as one."""
    days, values, growth = _history(accounts, period, now)
    names = [account.account_id for account in accounts]
    common = {"id": ",".join(names), "idType": "acctid", "start": _day(days[1]), "end": _day(days[-1]),
              "baseCurrency": accounts[0].base}  # fmt: skip
    months = sorted({_day(day)[:6] for day in days[1:]})
    shown = [_day(day) for day in days[1:]]
    return {
        "currencyType": "base", "pm": "TWR", "nd": len(shown), "rc": 0, "id": "getPerformanceData", "included": names,
        "cps": {"freq": "D", "dates": shown, "data": [{**common, "returns": _cumulative(growth)}]},
        "tpps": {"freq": "M", "dates": months, "data": [{**common, "returns": _by_month(days, growth, months)}]},
        "nav": {"freq": "D", "dates": shown, "data": [
            {**common, "startNAV": {"date": _day(days[0]), "val": values[0]}, "navs": values[1:]}]},
    }  # fmt: skip


def all_periods(accounts: Sequence[Account], now: float) -> Row:
    """Return the answer of `/pa/allperiods`: every account is a key of its own."""
    names = [account.account_id for account in accounts]
    answer: Row = {"currencyType": "base", "pm": "TWR", "rc": 0, "nd": len(_days("1Y", now)) - 1,
                   "id": "getPerformanceAllPeriods", "view": names, "included": names}  # fmt: skip
    for account in accounts:
        part: Row = {}
        for period in PERIODS:
            days, values, growth = _history([account], period, now)
            part[period] = {
                "freq": "D", "startNAV": {"date": _day(days[0]), "val": values[0]},
                "dates": [_day(day) for day in days[1:]], "nav": values[1:], "cps": _cumulative(growth),
            }  # fmt: skip
        end = _days("1D", now)[-1]
        answer[account.account_id] = {
            **part, "baseCurrency": account.base, "start": _day(_days("1Y", now)[1]), "end": _day(end),
            "periods": list(PERIODS), "lastSuccessfulUpdate": f"{end.isoformat()} 22:40:19",
        }  # fmt: skip
    return answer


def transactions(accounts: Sequence[Account], conid: int, days: int, currency: str, now: float) -> Row:
    """Return the answer of `/pa/transactions` for one contract over the last `days` days, in `currency`."""
    until = datetime.fromtimestamp(now, UTC)
    since = until - timedelta(days=days)
    found = [row for account in accounts
             for day, row in _transactions(account, conid, currency, until.date()) if day >= since.date()]  # fmt: skip
    profits = [(row, round(float(row["amt"]) * 0.1, 2)) for row in found if row["type"] == "Sell"]
    return {
        "rc": 0, "nd": days + 1, "id": "getTransactions", "currency": currency, "from": int(since.timestamp() * 1000),
        "to": int(now * 1000), "includesRealTime": True,
        "rpnl": {"data": [{"date": row["rawDate"], "cur": row["cur"], "fxRate": row["fxRate"], "side": "L",
                           "acctid": row["acctid"], "amt": f"{amount:.2f}", "conid": str(conid)}
                          for row, amount in profits],
                 "amt": f"{sum(amount for _, amount in profits):.2f}"},
        "transactions": found,
    }  # fmt: skip


def _transactions(account: Account, conid: int, currency: str, today: date) -> list[tuple[date, Row]]:
    """Return what happened with one holding in the last half year, newest first, with its day."""
    item = account.by_conid.get(conid)
    if item is None:
        return []
    rng = account.rng(f"transactions:{conid}")
    rate = RATES[item.currency] / RATES.get(currency, 1.0)
    found = []
    for ago in sorted(rng.sample(range(1, 180), 6)):
        kind = rng.choice(("Buy", "Sell", "Buy", "Dividend"))
        quantity = 0 if kind == "Dividend" else rng.randrange(1, 20) * (1 if kind == "Buy" else -1)
        price = item.price * rng.uniform(0.9, 1.1)
        amount = item.price * 0.02 if kind == "Dividend" else -quantity * price * (item.multiplier or 1.0)
        day = today - timedelta(days=ago)
        found.append((day, {
            "date": f"{day:%a %b %d} 00:00:00 {'EDT' if 3 < day.month < 11 else 'EST'} {day.year}",
            "rawDate": _day(day), "cur": item.currency, "fxRate": 1 if rate == 1 else round(rate, 6),
            "pr": fixed(price), "qty": quantity, "acctid": account.account_id, "amt": fixed(amount), "conid": conid,
            "type": kind, "desc": item.name,
        }))  # fmt: skip
    return found


def _history(accounts: Sequence[Account], period: str, now: float) -> tuple[list[date], list[float], list[float]]:
    """Return the days of a period, the one before it first, the value at the end of each, and how each one's grew.

    What comes in is there from the beginning of its day, and what leaves until its end.
    """
    days = _days(period, now)
    values = [round(sum(one), 2) for one in zip(*(account.past_values(days) for account in accounts), strict=True)]
    flows = [tuple(map(sum, zip(*one, strict=True)))
             for one in zip(*(account.past_flows(days) for account in accounts), strict=True)]  # fmt: skip
    growth = [(after - left) / (before + came) if before + came else 1.0
              for (before, after), (came, left) in zip(pairwise(values), flows[1:], strict=True)]  # fmt: skip
    return days, values, growth


def _days(period: str, now: float) -> list[date]:
    """Return the working days of a period that ends yesterday, and the one before them."""
    today = datetime.fromtimestamp(now, UTC).date()
    last = _before(today)
    first = {
        "1D": last, "7D": last - timedelta(days=6), "MTD": last.replace(day=1), "1M": last - timedelta(days=30),
        "YTD": last.replace(month=1, day=1), "1Y": last - timedelta(days=364),
    }[period]  # fmt: skip
    days = [last]
    while days[-1] >= first:
        days.append(_before(days[-1]))
    return days[::-1]


def _before(day: date) -> date:
    """Return the working day before."""
    return day - timedelta(days={0: 3, 6: 2}.get(day.weekday(), 1))


def _day(day: date) -> str:
    return f"{day:%Y%m%d}"


def _cumulative(growth: Sequence[float]) -> list[float]:
    return [round(grown - 1, 6) for grown in accumulate(growth, mul)]


def _by_month(days: Sequence[date], growth: Sequence[float], months: Sequence[str]) -> list[float]:
    by_month: dict[str, Any] = dict.fromkeys(months, 1.0)
    for day, grown in zip(days[1:], growth, strict=True):
        by_month[_day(day)[:6]] *= grown
    return [round(by_month[month] - 1, 6) for month in months]
