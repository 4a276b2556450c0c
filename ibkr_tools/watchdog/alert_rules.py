"""The rules for alerts: which are active, and which topics are resolved, by the state of the watchdog. Pure.

An alert is published once and is resolved when its cause is: what comes and goes on the way publishes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ibkr_tools.alert_outbox import ACCOUNTS_TOPIC
from ibkr_tools.status import FetchSection, LoginSection, SessionState
from ibkr_tools.watchdog import brokerage_session
from ibkr_tools.watchdog.state import State

PERSON_NEEDED = "person"
OUTAGE = "outage"
BROKERAGE_MISSING = "brokerage"
MANY_LOGINS = "logins"
MISSING_ACCOUNTS = ACCOUNTS_TOPIC
MISSING_PARTS = "parts"
FETCH_TOPICS = frozenset({MISSING_ACCOUNTS, MISSING_PARTS})
"""Topics that are published again when another account, or another part, is missing."""

ALERT_TOPICS = (PERSON_NEEDED, OUTAGE, BROKERAGE_MISSING, MANY_LOGINS, MISSING_ACCOUNTS, MISSING_PARTS)

RESOLVED_TEXTS = {
    PERSON_NEEDED: "somebody was needed; the session is up",
    OUTAGE: "there was no session; it is up",
    BROKERAGE_MISSING: "the brokerage tier was missing; it is there",
    MANY_LOGINS: "there were many logins; they are fewer",
    MISSING_ACCOUNTS: "an account could not be fetched; all can",
    MISSING_PARTS: "a part of the snapshot was missing; it came",
}


@dataclass(frozen=True)
class Alert:
    """One of ALERT_TOPICS; `what` happened, what the tool does `next`, and what the person must do, None if nothing."""

    topic: str
    what: str
    next: str
    todo: str | None = None


def active_alerts(
    state: State,
    now_s: float,
    *,
    outage_s: float,
    login: LoginSection | None,
    now: datetime,
    fetch: FetchSection | None = None,
) -> Iterator[Alert]:
    """Yields the alerts whose cause is there now.

    Args:
        state: the state machine's.
        now_s: the state machine's clock.
        outage_s: how long an outage lasts before it is an alert, in seconds.
        login: the report of the last login.
        now: the time (aware).
        fetch: the report of the last fetch.
    """
    # A login that merely failed may have advice too, such as starting a gateway that is about to start; nobody is
    # alerted for that before it is an outage.
    is_broken = login is not None and login.state == "broken"
    if state.todo and not state.has_session and (state.is_locked_out or is_broken):
        then = "nothing logs in until you have acted; a session that you open yourself is noticed within a minute"
        if not state.is_locked_out:
            then = "it is tried again now and then, which will hardly help"
        yield Alert(PERSON_NEEDED, state.why, then, state.todo)
    since_s = state.outage_since_s
    if since_s is not None and not state.paused and now_s - since_s >= outage_s:
        minutes = int((now_s - since_s) // 60)
        yield Alert(OUTAGE, f"no session for {minutes} minutes ({state.phase.value}: {state.why})", state.next)
    brokerage = state.brokerage
    if state.has_session and brokerage.contested:
        then = f"it is left alone for {state.policy.quiet_s / 60:.0f} minutes, then asked for again"
        yield Alert(BROKERAGE_MISSING, brokerage_session.CONTESTED_REASON, then, brokerage_session.CONTESTED_TODO)
    elif state.has_session and brokerage.exhausted:
        every_min = brokerage_session.EXHAUSTED_RETRY_S / 60
        then = f"it is asked for every {every_min:.0f} minutes; the portfolio tier works meanwhile"
        yield Alert(BROKERAGE_MISSING, "the brokerage tier does not come up", then, brokerage_session.MISSING_TODO)
    if login is not None and _is_login_rate_limited(login, now):
        what = f"{login.logins_24h} successful logins within 24 hours, more than a session should need"
        then = f"unattended logins are an hour apart until {login.logins_limited_until:%H:%M} UTC"
        todo = "See in the journal why the session is lost so often; if that is normal, raise login.logins_a_day"
        yield Alert(MANY_LOGINS, what, then, todo)
    if fetch is not None:
        yield from _fetch_alerts(fetch)


def _fetch_alerts(fetch: FetchSection) -> Iterator[Alert]:
    if fetch.missing_accounts:
        names = ", ".join(fetch.missing_accounts)
        what = f"{names} cannot be fetched: {next(iter(fetch.missing_accounts.values()))}"
        then = "nothing is saved until you have acted"
        if fetch.state == "succeeded":
            then = "the other accounts are fetched and saved without"
        todo = f"If {names} was closed, or moved to another IBKR company, name the others in fetch.accounts"
        yield Alert(MISSING_ACCOUNTS, what, then, todo)
    if fetch.missing:
        names = ", ".join(fetch.missing)
        what = f"IBKR does not give {names}: {next(iter(fetch.missing.values()))}"
        then = "everything else is fetched and saved; it is asked for again by every fetch"
        yield Alert(MISSING_PARTS, what, then, f"If it stays so, take {names} out of fetch.resources")


def resolved_topics(
    state: State, *, login: LoginSection | None, now: datetime, fetch: FetchSection | None = None
) -> Iterator[str]:
    """Yields the topics whose cause is not there any more."""
    if state.has_session:
        yield PERSON_NEEDED
        yield OUTAGE
    is_tier_fine = not (state.brokerage.contested or state.brokerage.exhausted)
    if state.phase is SessionState.UP and is_tier_fine:
        yield BROKERAGE_MISSING
    if state.has_session and (login is None or not _is_login_rate_limited(login, now)):
        yield MANY_LOGINS
    if fetch is not None and fetch.state == "succeeded":
        if not fetch.missing_accounts:
            yield MISSING_ACCOUNTS
        if not fetch.missing:
            yield MISSING_PARTS


def _is_login_rate_limited(login: LoginSection, now: datetime) -> bool:
    return login.logins_limited_until is not None and login.logins_limited_until > now
