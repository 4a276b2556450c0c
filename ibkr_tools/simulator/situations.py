"""The situations a client must survive, by name: what to order for each. The page's own are settings of the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["SITUATIONS", "Situation"]

VALIDATE = "/sso/validate"
INIT = "/iserver/auth/ssodh/init"


@dataclass(frozen=True, slots=True)
class Situation:
    """One situation: a sentence about it, and the orders of the control port that bring it about."""

    about: str
    orders: tuple[tuple[str, Mapping[str, Any]], ...]


def _fault(path: str, kind: str, **details: Any) -> tuple[str, Mapping[str, Any]]:
    return "/fault", {"path": path, "kind": kind, **details}


def _behaviour(about: str, **settings: Any) -> Situation:
    return Situation(about, (("/behaviour", settings),))


def _faulty(about: str, path: str, kind: str, **details: Any) -> Situation:
    return Situation(about, (_fault(path, kind, **details),))


def _closed(about: str, kind: str, bulletin: str) -> Situation:
    return Situation(about, (("/maintenance", {"kind": kind, "bulletin": bulletin}),))


SITUATIONS: Mapping[str, Situation] = {
    "tickle-older": _behaviour(
        "`/tickle` of older builds: `iserver.tickle`, no `hmds`, no `serverInfo`", tickle="older"
    ),
    "tickle-no-iserver": _behaviour("`/tickle` without `iserver`", tickle="no-iserver"),
    "tickle-iserver-error": _behaviour("`/tickle` with `iserver.error`", tickle="iserver-error"),
    "tickle-no-auth-status": _behaviour("`/tickle` whose `iserver` has no `authStatus`", tickle="no-auth-status"),
    "tickle-no-session": _faulty(
        "`/tickle` says 200 and `no session`", "/tickle", "json", body={"error": "no session"}
    ),
    "tickle-failed": _faulty(
        "`/tickle` says 200 and `failed to process request`",
        "/tickle",
        "json",
        body={"error": "failed to process request"},
    ),
    "status-without-competing": _behaviour("statuses lack `competing`", competing=False),
    "not-connected": _behaviour("no link to the brokerage: `connected` is false", connected=False),
    "no-session-error": _behaviour("without a session: 200 and `no session` instead of 401", no_session="error"),
    "no-session-redirect": _behaviour("without a session: 302 to the login page instead of 401", no_session="302"),
    "validate-401": _faulty("`/sso/validate` denies the session", VALIDATE, "status", status=401),
    "validate-500": _faulty("`/sso/validate` breaks", VALIDATE, "status", status=500),
    "validate-slow": _faulty("`/sso/validate` takes 5 s", VALIDATE, "slow", delay_s=5.0),
    "validate-never": _faulty("`/sso/validate` never answers", VALIDATE, "hang"),
    "validate-0": _faulty("`/sso/validate` answers 0", VALIDATE, "json", body=0),
    "init-503": _faulty("`ssodh/init` gets a 503; the usual way is for an hour", INIT, "status", status=503),
    "init-410": _faulty("`ssodh/init` gets a 410, as after `/logout`", INIT, "status", status=410),
    "init-wait": _behaviour('`ssodh/init` answers `{"wait":true}`', init="wait"),
    "init-no-token": _behaviour("`ssodh/init` gets a 500, `failed to generate sso dh token`", init="no-token"),
    "init-status": _behaviour("`ssodh/init` answers a bare status, `authenticated:false`", init="status"),
    "reader-without-sts": _behaviour("a read-only user's socket has `system` frames alone", read_only_socket="system"),
    "reader-silent": _behaviour("a read-only user's socket is silent", read_only_socket="silent"),
    "reader-waiting": _behaviour("a read-only user's socket is told `waiting for session`", read_only_socket="waiting"),
    "stolen": Situation("another program competes for the brokerage tier", (("/compete", {}),)),
    "taken": Situation(
        "another program took the brokerage tier; within 30 s the jar logs the whole session out",
        (("/compete", {"authenticated": False}),),
    ),
    "maintenance-500": _closed("maintenance: calls get a 500", "500", "System maintenance is under way."),
    "maintenance-503": _closed("maintenance: a 503 after 10 s", "503", "System maintenance is under way."),
    "maintenance-hang": _closed("maintenance: calls hang", "hang", "System maintenance is under way."),
    "unreachable": _closed("no way to IBKR: calls and the page hang, sockets are silent", "hang", ""),
    "gateway-hung": _faulty("the gateway accepts and never answers, not even `/`", "*", "hang"),
    "penalty": Situation("everybody gets a 429 for 15 minutes", (("/penalty", {}),)),
    "clock-skew": _behaviour("IBKR's clock is 40 s ahead", clock_skew_s=40.0),
    "access-denied": _behaviour("the gateway admits nobody: 404 `Access Denied`", access_denied=True),
}
