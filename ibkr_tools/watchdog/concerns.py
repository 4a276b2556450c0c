"""What a person should hear of: from the machine's state and the login's words to a few messages. Pure.

A concern is told once and is over when its cause is: what comes and goes on the way is not news.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ibkr_tools.messages import ACCOUNTS_TOPIC
from ibkr_tools.status import FetchSection, LoginSection, SessionState
from ibkr_tools.watchdog import brokerage
from ibkr_tools.watchdog.state import State

PERSON = "person"
OUTAGE = "outage"
BROKERAGE = "brokerage"
LOGINS = "logins"
ACCOUNTS = ACCOUNTS_TOPIC
PARTS = "parts"
OF_FETCH = frozenset({ACCOUNTS, PARTS})
"""Topics that another account, or another part, makes news again."""

TOPICS = (PERSON, OUTAGE, BROKERAGE, LOGINS, ACCOUNTS, PARTS)

OVER = {
    PERSON: "somebody was needed; the session is up",
    OUTAGE: "there was no session; it is up",
    BROKERAGE: "the brokerage tier was missing; it is there",
    LOGINS: "there were many logins; they are fewer",
    ACCOUNTS: "an account could not be fetched; all can",
    PARTS: "a part of the snapshot was missing; it came",
}


@dataclass(frozen=True)
class Concern:
    """One of TOPICS; `what` happened, what the tool does `next`, and what the person must do, None if nothing."""

    topic: str
    what: str
    next: str
    todo: str | None = None


def open_ones(
    state: State,
    now_s: float,
    *,
    outage_s: float,
    login: LoginSection | None,
    now: datetime,
    fetch: FetchSection | None = None,
) -> Iterator[Concern]:
    """Yields what gives cause for a message.

    Args:
        state: the machine's.
        now_s: its clock.
        outage_s: how long no session may be there unsaid, in seconds.
        login: what the last login said.
        now: the time (aware).
        fetch: what the last fetch said.
    """
    # A login that merely failed may have advice too, such as starting a gateway that is about to start; nobody is
    # disturbed for that before it is an outage.
    is_broken = login is not None and login.state == "broken"
    if state.todo and not state.has_session and (state.is_locked_out or is_broken):
        then = "nothing logs in until you have acted; a session that you open yourself is noticed within a minute"
        if not state.is_locked_out:
            then = "it is tried again now and then, which will hardly help"
        yield Concern(PERSON, state.why, then, state.todo)
    since_s = state.without_since_s
    if since_s is not None and not state.paused and now_s - since_s >= outage_s:
        minutes = int((now_s - since_s) // 60)
        yield Concern(OUTAGE, f"no session for {minutes} minutes ({state.phase.value}: {state.why})", state.next)
    handshake = state.handshake
    if state.has_session and handshake.contested:
        then = f"it is left alone for {state.policy.quiet_s / 60:.0f} minutes, then asked for again"
        yield Concern(BROKERAGE, brokerage.TAKEN_BACK, then, brokerage.CONTESTED_TODO)
    elif state.has_session and handshake.exhausted:
        then = f"it is asked for every {brokerage.CALM_S / 60:.0f} minutes; the portfolio tier works meanwhile"
        yield Concern(BROKERAGE, "the brokerage tier does not come up", then, brokerage.MISSING_TODO)
    if login is not None and _are_many(login, now):
        what = f"{login.logins_24h} successful logins within 24 hours, more than a session should need"
        then = f"unattended logins are an hour apart until {login.logins_limited_until:%H:%M} UTC"
        todo = "See in the journal why the session is lost so often; if that is normal, raise login.logins_a_day"
        yield Concern(LOGINS, what, then, todo)
    if fetch is not None:
        yield from _of_fetch(fetch)


def _of_fetch(fetch: FetchSection) -> Iterator[Concern]:
    if fetch.missing_accounts:
        names = ", ".join(fetch.missing_accounts)
        what = f"{names} cannot be fetched: {next(iter(fetch.missing_accounts.values()))}"
        then = "nothing is saved until you have acted"
        if fetch.state == "succeeded":
            then = "the other accounts are fetched and saved without"
        todo = f"If {names} was closed, or moved to another IBKR company, name the others in fetch.accounts"
        yield Concern(ACCOUNTS, what, then, todo)
    if fetch.missing:
        names = ", ".join(fetch.missing)
        what = f"IBKR does not give {names}: {next(iter(fetch.missing.values()))}"
        then = "everything else is fetched and saved; it is asked for again by every fetch"
        yield Concern(PARTS, what, then, f"If it stays so, take {names} out of fetch.resources")


def settled(
    state: State, *, login: LoginSection | None, now: datetime, fetch: FetchSection | None = None
) -> Iterator[str]:
    """Yields the topics whose cause is gone."""
    if state.has_session:
        yield PERSON
        yield OUTAGE
    calm = not (state.handshake.contested or state.handshake.exhausted)
    if state.phase is SessionState.UP and calm:
        yield BROKERAGE
    if state.has_session and (login is None or not _are_many(login, now)):
        yield LOGINS
    if fetch is not None and fetch.state == "succeeded":
        if not fetch.missing_accounts:
            yield ACCOUNTS
        if not fetch.missing:
            yield PARTS


def _are_many(login: LoginSection, now: datetime) -> bool:
    return login.logins_limited_until is not None and login.logins_limited_until > now
