"""Answers for the reads of the table of endpoints that the simulator has no data for: one made-up record each."""

import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from ibkr_tools.portal.endpoints import READS, Endpoint, Scope, Tier
from ibkr_tools.simulator.context import context_of, empty, reply, session_of
from ibkr_tools.simulator.request_parsing import BAD_ACCOUNT, Handler, Route, body_of, brokerage, chosen_accounts

__all__ = ["generic_routes", "path_template"]


def generic_routes(served: Iterable[Route]) -> list[Route]:
    """Return a route for each read of the table whose method and path none of `served` has."""
    known = {(method, path_template(path)) for method, path, _ in served}
    return [
        (endpoint.method, endpoint.path, _handler(endpoint))
        for endpoint in READS.values()
        if (endpoint.method, path_template(endpoint.path)) not in known
    ]


def path_template(path: str) -> str:
    """Return a path without the names in its braces, which routes and the table call differently."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def _handler(endpoint: Endpoint) -> Handler:
    """Return what answers a read by the rules of its family: preflight, accounts, tier."""

    async def answer(request: web.Request) -> web.StreamResponse:
        context, session = context_of(request), session_of(request)
        is_portfolio = endpoint.path.startswith("/portfolio")
        if is_portfolio and context.world.behaviour.require_preflight and not session.preflight_done:
            return empty(401)
        if endpoint.scope is Scope.ACCOUNT and context.account(session, request.match_info["account"]) is None:
            return reply(BAD_ACCOUNT, 400)
        if endpoint.scope is Scope.ACCOUNTS and not chosen_accounts(request, await body_of(request)):
            return reply(BAD_ACCOUNT, 400)
        return reply(_answer(endpoint, request))

    return brokerage(answer) if endpoint.tier is Tier.BROKERAGE else answer


def _answer(endpoint: Endpoint, request: web.Request) -> Any:
    """Return an answer of the shape that the table states: one record, on the first page alone."""
    record = {"ID": f"{endpoint.name}-1", "description": endpoint.description}
    if endpoint.records_path is None:
        return record
    page = request.match_info.get("page") or request.query.get("page") or "0"
    is_over = page != "0" or request.query.get("id") == record["ID"]
    answer: Any = [] if is_over else [record]
    for key in reversed([key for key in endpoint.records_path.split(".") if key]):
        answer = {key: answer}
    return answer
