"""PortfolioAnalyst: the `/pa` family of the REST interface, all POST and all reads.

Source: docs/reference/analyst-answers.md.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from ibkr_tools.simulator.context import context_of, reply
from ibkr_tools.simulator.instruments import RATES
from ibkr_tools.simulator.performance_data import PERIODS, all_periods, performance, transactions
from ibkr_tools.simulator.request_parsing import BAD_ACCOUNT, Handler, Route, bad_request, body_of, chosen_accounts
from ibkr_tools.simulator.simulated_accounts import Account

__all__ = ["ROUTES"]

DEFAULT_DAYS = 90
LONGEST_DAYS = 10_000

Analyst = Callable[[list[Account], dict[str, Any], float], web.Response]


def _performance(accounts: list[Account], body: dict[str, Any], now: float) -> web.Response:
    if body.get("period") not in PERIODS:
        return bad_request(f"period must be one of {', '.join(PERIODS)}")
    return reply(performance(accounts, body["period"], now))


def _all_periods(accounts: list[Account], _body: dict[str, Any], now: float) -> web.Response:
    return reply(all_periods(accounts, now))


def _transactions(accounts: list[Account], body: dict[str, Any], now: float) -> web.Response:
    conids, days = body.get("conids"), body.get("days", DEFAULT_DAYS)
    if not isinstance(conids, list) or len(conids) != 1 or not str(conids[0]).isdigit():
        return bad_request("exactly one conid is supported")
    if not str(days).isdigit() or int(days) > LONGEST_DAYS:
        return bad_request("days is not valid")
    currency = body.get("currency", "EUR")
    if currency not in RATES:
        return bad_request("currency is not valid")
    return reply(transactions(accounts, int(conids[0]), int(days), currency, now))


def _analyst(answer: Analyst) -> Handler:
    """Wrap `answer` with the look-up of the accounts, and the time that IBKR takes."""

    async def wrapped(request: web.Request) -> web.StreamResponse:
        world, body = context_of(request).world, await body_of(request)
        if world.behaviour.analyst_ms:
            await asyncio.sleep(world.behaviour.analyst_ms / 1000)
        accounts = chosen_accounts(request, body)
        return answer(accounts, body, world.now()) if accounts else reply(BAD_ACCOUNT, 400)

    return wrapped


ROUTES: list[Route] = [
    ("POST", "/pa/performance", _analyst(_performance)),
    ("POST", "/pa/allperiods", _analyst(_all_periods)),
    ("POST", "/pa/transactions", _analyst(_transactions)),
]
