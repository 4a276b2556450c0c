"""Assembly: what the servers know, and the application that serves it. Who listens where is `server`'s business."""

import asyncio
from collections.abc import Iterable
from string import ascii_letters

from aiohttp import web

from ibkr_tools.simulator import (
    advisor_routes,
    analyst_routes,
    brokerage_routes,
    contract_routes,
    control,
    flex_routes,
    forecast_routes,
    fyi_routes,
    gateway_routes,
    listed_reads,
    lists_routes,
    market_routes,
    personal_routes,
    portfolio_routes,
    refused_mutations,
    session_routes,
    sso,
)
from ibkr_tools.simulator.catalogue import catalogue
from ibkr_tools.simulator.clock import Clock
from ibkr_tools.simulator.context import CONTEXT, Context
from ibkr_tools.simulator.faulty_responses import deviate
from ibkr_tools.simulator.flex_service import FlexService
from ibkr_tools.simulator.lived_account import life_source, lived_accounts
from ibkr_tools.simulator.middleware import (
    check_access,
    chunk_answers,
    date_answers,
    inject_faults,
    keep_hours,
    note_requests,
    pace,
)
from ibkr_tools.simulator.options import SimulatorOptions
from ibkr_tools.simulator.password_authentication import PasswordAuthenticator
from ibkr_tools.simulator.simulated_accounts import Account, held_by_all
from ibkr_tools.simulator.simulated_sessions import World
from ibkr_tools.simulator.websocket import HUB, Hub, serve_socket

__all__ = ["make_application", "make_context", "make_control", "pass_time"]

WITH_DATA = (
    *session_routes.ROUTES,
    *portfolio_routes.ROUTES,
    *analyst_routes.ROUTES,
    *brokerage_routes.ROUTES,
    *market_routes.ROUTES,
    *contract_routes.ROUTES,
    *lists_routes.ROUTES,
    *fyi_routes.ROUTES,
    *advisor_routes.ROUTES,
    *forecast_routes.ROUTES,
    *personal_routes.ROUTES,
)
"""Calls below `/v1/api` that have data or effects: method, path, handler."""

FAMILIES = (*WITH_DATA, *listed_reads.generic_routes(WITH_DATA))
"""Every call below `/v1/api` but the socket."""

INIT = "/iserver/auth/ssodh/init"


def make_context(options: SimulatorOptions, clock: Clock | None = None) -> Context:
    """Return the memory of a fresh simulator; its time is the machine's, as fast as `options` say, or `clock`'s."""
    clock = clock or Clock(options.speed)
    world = World(options, clock)
    # The numbers of paper accounts begin with a D, as DU1234567.
    live, paper = (
        [Account(letter + number, seed=options.seed, count=options.positions, index=index, paper=bool(letter))
         for index, number in enumerate(options.accounts)]
        for letter in ("", "D")
    )  # fmt: skip
    lived = None
    if options.years:
        lived = life_source(options, clock.now())
        live = lived_accounts(options, lived, clock.now())
    catalogue(options.seed).grow(held_by_all(len(options.accounts), options.positions))
    master = "F" + options.accounts[0].lstrip(ascii_letters)
    advised = [Account(master, seed=options.seed, count=0, index=len(options.accounts), master=master)]
    advised += [Account(number, seed=options.seed, count=options.positions, index=index, master=master)
                for index, number in enumerate(options.accounts)]  # fmt: skip
    accounts = [account.account_id for account in live]
    flex = FlexService(accounts) if lived is None else FlexService(accounts, lived.statement_of)
    context = Context(world, PasswordAuthenticator(world.users, clock), live, paper, advised, flex)

    def fails() -> bool:
        closed = world.schedule.at(world.now()) is not None
        fault = context.faults.find("POST", f"/v1/api{INIT}", INIT)
        return closed or world.behaviour.init != "works" or (fault is not None and fault.kind != "slow")

    world.handshake_fails = fails
    return context


def make_application(context: Context) -> web.Application:
    """Return the servers (or, with TLS, the gateway) as an application."""
    app = web.Application(
        middlewares=[note_requests, chunk_answers, inject_faults, keep_hours, pace, check_access, deviate]
    )
    app[CONTEXT] = context
    app[HUB] = Hub(context)
    app.on_response_prepare.append(date_answers)
    _add(app, sso.ROUTES)
    _add(app, flex_routes.ROUTES)
    for prefix in ("/v1/api", "/v1/portal"):
        served = (*FAMILIES, ("GET", "/ws", serve_socket), *refused_mutations.ROUTES, *session_routes.UNKNOWN)
        _add(app, [(method, prefix + path, handler) for method, path, handler in served])
    if context.world.options.is_gateway:
        _add(app, gateway_routes.ROUTES)
        app.router.add_route("*", "/{rest:.*}", gateway_routes.elsewhere)
    return app


def make_control(context: Context) -> web.Application:
    """Return the control port as an application."""
    app = web.Application(middlewares=[control.answer_errors])
    app[CONTEXT] = context
    _add(app, control.ROUTES)
    return app


def _add(app: web.Application, routes: Iterable[tuple[str, str, control.Handler]]) -> None:
    for method, path, handler in routes:
        app.router.add_route(method, path, handler)


async def pass_time(context: Context, hub: Hub, longest_s: float = 0.5) -> None:
    """Let sessions age, a few times per simulated ten seconds, and hearts beat when they are due; for ever.

    Looks at least every `longest_s` real seconds.
    """
    clock = context.world.clock
    while True:
        context.age()
        await hub.beat()
        pause_s = min(4 * longest_s, hub.next_beat_at() - clock.now())
        await asyncio.sleep(min(longest_s, max(0.01, clock.real(pause_s))))
