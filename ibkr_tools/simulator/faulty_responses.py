"""Answers that are not what they should be, by account and resource: empty, of another account, errors; and chance."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from ibkr_tools.simulator.context import Context, context_of, empty, reply, short_path
from ibkr_tools.simulator.request_parsing import BAD_ACCOUNT
from ibkr_tools.simulator.settings import BehaviourSettings
from ibkr_tools.simulator.simulated_sessions import Session

__all__ = ["deviate"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ABOUT_ACCOUNT = re.compile(
    r"/portfolio2?/(?P<account>[^/]+)/(?P<name>summary|ledger|allocation|positions|meta|position|combo)(?:/(?P<page>\d+))?"
)
_NO_READS = ("/ws", "/tickle", "/sso/", "/ssodh/", "/iserver/auth", "/iserver/reauthenticate", "/logout")
_LISTS = frozenset({"positions", "accounts"})


@web.middleware
async def deviate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer otherwise than the servers would, where that is set."""
    context = context_of(request)
    path = short_path(request.path)
    session = context.world.find(request.cookies.get("XYZAB"))
    if path == request.path or session is None:
        return await handler(request)
    behaviour = context.world.behaviour
    if path == "/portfolio/accounts":
        return await _accounts(request, handler, behaviour, session)
    found = _ABOUT_ACCOUNT.match(path)
    if found is None:
        return await handler(request)
    account, name, page = found["account"], found["name"], found["page"]
    if account in behaviour.failing_accounts:
        status = behaviour.failing_accounts[account]
        return reply({"error": "account is not available"}) if status == 200 else _refusal(status)
    if name == "positions" and page is not None and int(page) in behaviour.page_gaps:
        return reply([])
    response = await handler(request)
    if name in behaviour.foreign and isinstance(response, web.Response) and isinstance(response.body, bytes):
        return reply(response.body.replace(f'"{account}"'.encode(), f'"{behaviour.foreign_account}"'.encode()))
    return _emptied(behaviour, session, account, name, response)


def _refusal(status: int) -> web.Response:
    return reply(BAD_ACCOUNT, status) if status == 400 else empty(status)


async def _accounts(
    request: web.Request, handler: Handler, behaviour: BehaviourSettings, session: Session
) -> web.StreamResponse:
    response = await handler(request)
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes) or response.status != 200:
        return response
    rows = msgspec.json.decode(response.body)
    for row in rows:
        row.update({"accountAlias": behaviour.aliases[row["id"]]} if row["id"] in behaviour.aliases else {})
    if behaviour.tiered_accounts and session.user.advisor:
        rows = rows[:1]
    if behaviour.accounts_listed is not None and _is_early(behaviour.accounts_listed_for, session, "accounts"):
        rows = rows[: behaviour.accounts_listed]
    return _emptied(behaviour, session, "", "accounts", reply(rows))


def _emptied(
    behaviour: BehaviourSettings, session: Session, account: str, name: str, response: web.StreamResponse
) -> web.StreamResponse:
    """Return nothing of what the answer says, where that is set."""
    chosen = not account or not behaviour.empty_accounts or account in behaviour.empty_accounts
    if name not in behaviour.empty or not chosen or not _is_early(behaviour.empty_for, session, f"{account} {name}"):
        return response
    match behaviour.empty_as:
        case "bare":
            return reply([] if name in _LISTS else {})
        case "null":
            return reply(None)
        case "no-content":
            return empty(204)
        case how:
            body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b"{}"
            return reply(_hollow(msgspec.json.decode(body), None if how == "nulls" else 0.0, sides=how == "hollow"))


def _hollow(value: Any, number: float | None, *, sides: bool) -> Any:
    """Return the same shape without amounts; `sides`: without members where they would be."""
    if isinstance(value, dict):
        inner = {key: _hollow(one, number, sides=sides) for key, one in value.items()}
        return {} if sides and not any(isinstance(one, dict) for one in value.values()) else inner
    if isinstance(value, list):
        return [_hollow(one, number, sides=sides) for one in value]
    return number if isinstance(value, int | float) and not isinstance(value, bool) else value


def _is_early(answers: int | None, session: Session, what: str) -> bool:
    """Say whether this is one of a session's first answers of a kind, None: all are; count it."""
    session.answered[what] += 1
    return answers is None or session.answered[what] <= answers


def random_fault(context: Context, path: str) -> str | int | None:
    """Return which trouble falls on a call by chance, None: none does."""
    faults, read = context.world.behaviour.faults, short_path(path)
    if faults.rate <= 0 or read == path or read.startswith(_NO_READS):
        return None
    dice = context.dice(faults.seed)
    return dice.choice(faults.kinds) if dice.random() < faults.rate else None
