"""The rules for alerts: whose cause is there, and whose is gone, by the state of the watchdog. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ibkr_tools.alert_outbox import ACCOUNTS_TOPIC
from ibkr_tools.status import FetchSection, LoginSection, SessionState
from ibkr_tools.watchdog.brokerage_session import CONTESTED_REASON, CONTESTED_TODO, EXHAUSTED_RETRY_S, MISSING_TODO
from ibkr_tools.watchdog.state import State

PERSON_NEEDED, OUTAGE, BROKERAGE_MISSING, MANY_LOGINS = "person", "outage", "brokerage", "logins"
PAGE_CHANGED = "login-page"
MISSING_ACCOUNTS, MISSING_PARTS = ACCOUNTS_TOPIC, "parts"
RESOLVED_TEXTS = {
    PERSON_NEEDED: "somebody was needed; the session is up",
    OUTAGE: "there was no session; it is up",
    BROKERAGE_MISSING: "the brokerage tier was missing; it is there",
    MANY_LOGINS: "there were many logins; they are fewer",
    PAGE_CHANGED: "IBKR's login page was one that nobody knew; it is a known one again",
    MISSING_ACCOUNTS: "an account could not be fetched; all can",
    MISSING_PARTS: "a part of the snapshot was missing; it came",
}
"""What is said of each topic once its cause is gone."""


@dataclass(frozen=True)
class Alert:
    """What happened, what the tool does `next`, what the person must do; an alert about another `subject` is news.

    `over`: the cause of an earlier one is gone.
    """

    what: str
    next: str
    todo: str | None = None
    subject: str = ""
    over: bool = False


def resolved(what: str) -> Alert:
    """Returns the end of an alert."""
    return Alert(what, "nothing, all is well", over=True)


def evaluate(
    state: State, now_s: float, now: datetime, outage_s: float, login: LoginSection | None, fetch: FetchSection | None
) -> dict[str, Alert]:
    """Returns the topics with their alerts, or the ends of these; a topic that is left out stays as it is.

    `now_s` and `now` (aware) are the same moment; an outage is an alert after `outage_s` seconds; `login` and `fetch`
    are the last reports.
    """
    over = [PERSON_NEEDED, OUTAGE, MANY_LOGINS] if state.has_session else []
    over += [BROKERAGE_MISSING] if state.phase is SessionState.UP else []
    over += [PAGE_CHANGED] if login is not None and login.state == "succeeded" else []
    over += [MISSING_ACCOUNTS, MISSING_PARTS] if fetch is not None and fetch.state == "succeeded" else []
    ends = {topic: resolved(RESOLVED_TEXTS[topic]) for topic in over}
    active = _brokerage_alert(state) if state.has_session else _outage_alerts(state, now_s, outage_s, login)
    return {**ends, **dict(active), **dict(_login_alert(login, now)), **dict(_fetch_alerts(fetch))}


def _outage_alerts(
    state: State, now_s: float, outage_s: float, login: LoginSection | None
) -> Iterator[tuple[str, Alert]]:
    # A login that merely failed may have advice too, such as starting a gateway that is about to start; nobody is
    # alerted for that before it is an outage.
    if state.todo and (state.is_locked_out or (login is not None and login.state == "broken")):
        then = "nothing logs in until you have acted; a session that you open yourself is noticed within a minute"
        if not state.is_locked_out:
            then = "it is tried again now and then, which will hardly help"
        yield PERSON_NEEDED, Alert(state.why, then, state.todo)
    duration_s = 0.0 if state.outage_since_s is None else now_s - state.outage_since_s
    if duration_s >= outage_s and state.pause is None:
        what = f"no session for {duration_s // 60:.0f} minutes ({state.phase.value}: {state.why})"
        yield OUTAGE, Alert(what, state.schedule.next)


def _brokerage_alert(state: State) -> Iterator[tuple[str, Alert]]:
    if state.brokerage.contested:
        then = f"it is left alone for {state.policy.quiet_s / 60:.0f} minutes, then asked for again"
        yield BROKERAGE_MISSING, Alert(CONTESTED_REASON, then, CONTESTED_TODO)
    elif state.brokerage.exhausted:
        then = f"it is asked for every {EXHAUSTED_RETRY_S / 60:.0f} minutes; the portfolio tier works meanwhile"
        yield BROKERAGE_MISSING, Alert("the brokerage tier does not come up", then, MISSING_TODO)


def _login_alert(login: LoginSection | None, now: datetime) -> Iterator[tuple[str, Alert]]:
    if login is not None and login.logins_limited_until is not None and login.logins_limited_until > now:
        what = f"{login.logins_24h} successful logins within 24 hours, more than a session should need"
        then = f"unattended logins are an hour apart until {login.logins_limited_until:%H:%M} UTC"
        todo = "See in the journal why the session is lost so often; if that is normal, raise login.logins_a_day"
        yield MANY_LOGINS, Alert(what, then, todo)
    if login is not None and login.state == "succeeded" and login.recognised:
        names = ", ".join(sorted(login.recognised))
        what = f"IBKR has changed its login page, and logins still work: no selector found {names}"
        then = "logins go on by what the page says and how it is built"
        report = f", with {' and '.join(login.page_reports)}" if login.page_reports else ""
        yield PAGE_CHANGED, Alert(what, then, f"Please report it{report}: docs/login.md#a-page-that-has-changed")


def _fetch_alerts(fetch: FetchSection | None) -> Iterator[tuple[str, Alert]]:
    if fetch is not None and fetch.missing_accounts:
        names = ", ".join(fetch.missing_accounts)
        what = f"{names} cannot be fetched: {next(iter(fetch.missing_accounts.values()))}"
        then = "nothing is saved until you have acted"
        if fetch.state == "succeeded":
            then = "the other accounts are fetched and saved without"
        todo = f"If {names} was closed, or moved to another IBKR company, name the others in fetch.accounts"
        yield MISSING_ACCOUNTS, Alert(what, then, todo, names)
    if fetch is not None and fetch.missing:
        names = ", ".join(fetch.missing)
        what = f"IBKR does not give {names}: {next(iter(fetch.missing.values()))}"
        then = "everything else is fetched and saved; it is asked for again by every fetch"
        yield MISSING_PARTS, Alert(what, then, f"If it stays so, take {names} out of fetch.resources", names)
