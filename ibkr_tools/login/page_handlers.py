"""What is done in a state of the page that means the same before and after the password."""

import json
from datetime import timedelta
from http import HTTPStatus

from ibkr_tools.errors import LoginFailed
from ibkr_tools.login import page_scripts, page_states
from ibkr_tools.login.error_messages import MAX_STATED_WAIT, classify_error, parse_stated_wait
from ibkr_tools.login.login_page import FORM, LoginPage, LoginStopped, Timer
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_states import PageSnapshot, PageState
from ibkr_tools.login.redaction import unredacted
from ibkr_tools.retry_after import parse_retry_after
from ibkr_tools.status import utc_now

PROMO_RETRY = timedelta(seconds=3)
"""How long an advert may take to go away after the click, before it is clicked again."""

NOT_THE_GATEWAY = ("ERR_SSL_", "ERR_CERT_", "ERR_INVALID_HTTP_RESPONSE", "ERR_UNSAFE_PORT")
"""How Chromium names an answer that is never the gateway's: HTTP instead of HTTPS, another key."""

CONNECTION_CUT = ("ERR_CONNECTION_CLOSED", "ERR_CONNECTION_RESET")
"""How Chromium names what another program does with a greeting in TLS; and, for a moment, Java while it ends."""

FINAL_STATES = frozenset({PageState.TOO_MANY, PageState.BLOCKED, PageState.SERVER_ERROR})
"""Answers instead of a page, that do not become a page by themselves."""


def dismiss_overlay(page: LoginPage, state: PageState) -> bool:
    """Removes what lies on top of the page; says whether there was something."""
    if state is PageState.CONSENT:
        page.execute(page_scripts.HIDE_CONSENT, page.selectors["consent"])
        page.on_step("A consent layer was hidden")
        return True
    if state is PageState.PROMO and page.promo_timer.is_expired:
        page.click("promo")
        page.on_step("An advert was skipped")
        page.promo_timer = Timer(PROMO_RETRY)
        return True
    return state is PageState.PROMO


def end_if_person_needed(page: LoginPage, snapshot: PageSnapshot, state: PageState) -> LoginStopped | None:
    """Says how a login ends at what only a person can go on from; None if this is nothing of the kind."""
    if state is PageState.SECOND_FACTOR:
        return LoginStopped(Outcome.SECOND_FACTOR, f"IBKR asks for {snapshot.second_factor}")
    if state is PageState.RESTRICTED:
        return LoginStopped(Outcome.RESTRICTED, "IBKR wants to verify who this is, by e-mail")
    if state is PageState.TASKS:
        return LoginStopped(Outcome.TASKS, "IBKR wants this user to confirm data or change the password")
    if state is PageState.DENIED:
        return LoginStopped(Outcome.DENIED, "the gateway answers Access Denied to this machine (127.0.0.1)")
    return end_for_error(page, snapshot) if state is PageState.ERROR and page.submitted else None


def stop_if_person_needed(page: LoginPage, snapshot: PageSnapshot, state: PageState) -> None:
    """Raises what `end_if_person_needed` returns."""
    if stopped := end_if_person_needed(page, snapshot, state):
        raise stopped


def end_for_stall(page: LoginPage, snapshot: PageSnapshot, state: PageState) -> LoginStopped:
    """Says how a login ends that got stuck in this state."""
    if snapshot.bulletin:
        return LoginStopped(
            Outcome.MAINTENANCE,
            f"IBKR says {snapshot.bulletin[:200]!r}",
            wait=parse_stated_wait(unredacted(snapshot.bulletin)),
        )
    if state is PageState.ERROR:
        return end_for_error(page, snapshot)
    if state is PageState.UNREACHABLE:
        return _end_for_unreachable(snapshot)
    if HTTPStatus.TOO_MANY_REQUESTS in (snapshot.status, snapshot.exchange):
        return LoginStopped(
            Outcome.TOLD_TO_WAIT, "IBKR answers 429, too many requests", wait=_retry_after(page, snapshot)
        )
    if snapshot.is_exchange_broken:
        word = "breaks off" if snapshot.exchange < 0 else f"answers {snapshot.exchange}"
        return LoginStopped(Outcome.SERVER_ERROR, f"IBKR {word} when the page talks to it about the login")
    if snapshot.missing and state in (PageState.BLANK, PageState.UNKNOWN, PageState.LOADING, PageState.UNSTYLED, *FORM):
        return LoginStopped(
            Outcome.BLANK_PAGE, f"the login page is not whole: {snapshot.missing} of its parts did not come"
        )
    return _end_for_stalled_state(page, snapshot, state)


def _end_for_stalled_state(page: LoginPage, snapshot: PageSnapshot, state: PageState) -> LoginStopped:
    if state in FORM and snapshot.is_complete:
        return LoginStopped(Outcome.UNREACHABLE, "IBKR does not answer what the form asks it")
    if state is PageState.PENDING:
        return LoginStopped(Outcome.UNREACHABLE, "no answer: the gateway does not reach IBKR, or hangs")
    if state is PageState.LOADING or state in FORM:
        return LoginStopped(Outcome.STILL_LOADING, "IBKR's page kept saying that it is busy")
    if state in (PageState.BLANK, PageState.UNSTYLED):
        return LoginStopped(
            Outcome.BLANK_PAGE, f"the login page stayed {'blank' if state is PageState.BLANK else state}"
        )
    if state is PageState.MAINTENANCE:
        return LoginStopped(Outcome.MAINTENANCE, f"IBKR says {snapshot.text[:200]!r}")
    if state is PageState.BLOCKED:
        return LoginStopped(Outcome.BLOCKED, f"IBKR's network refuses this machine's address: {snapshot.text[:200]!r}")
    if state is PageState.SERVER_ERROR:
        return LoginStopped(Outcome.SERVER_ERROR, f"IBKR answers {snapshot.status} instead of its page")
    when = "after the password there was" if page.submitted else "where the login form should be there was"
    return LoginStopped(Outcome.UNKNOWN_PAGE, f"{when} {state}")


def _end_for_unreachable(snapshot: PageSnapshot) -> LoginStopped:
    if snapshot.net_error.startswith(NOT_THE_GATEWAY + CONNECTION_CUT):
        why = f"what answers on the gateway's port is not the gateway ({snapshot.net_error})"
        return LoginStopped(Outcome.NOT_THE_GATEWAY, why)
    if snapshot.net_error == "ERR_CONNECTION_REFUSED":
        return LoginStopped(Outcome.UNREACHABLE, f"nothing listens on the gateway's port ({snapshot.net_error})")
    if snapshot.net_error == "ERR_EMPTY_RESPONSE":
        return LoginStopped(Outcome.UNREACHABLE, f"the gateway hangs up without an answer ({snapshot.net_error})")
    return LoginStopped(
        Outcome.UNREACHABLE, f"the browser could not open the gateway's login page ({snapshot.net_error})"
    )


def _retry_after(page: LoginPage, snapshot: PageSnapshot) -> timedelta | None:
    path = snapshot.unredacted_path if snapshot.status == HTTPStatus.TOO_MANY_REQUESTS else page_states.AUTHENTICATOR
    try:
        header = unredacted(page.browser.last_header(path, "retry-after") or "")
    except LoginFailed:
        return None
    wait = parse_retry_after(header, utc_now())
    return None if wait is None else min(wait, MAX_STATED_WAIT)


def end_for_error(page: LoginPage, snapshot: PageSnapshot) -> LoginStopped:
    """Says how a login ends that the page shows an error to."""
    outcome = classify_error(unredacted(snapshot.error), after_code=page.code_submitted)
    message = f"IBKR says {snapshot.error[:200]!r}"
    if outcome in (Outcome.REFUSED, Outcome.UNKNOWN_ERROR) and page.submitted and _is_locked_at_ibkr(page):
        return LoginStopped(Outcome.LOCKED, f"{message}, and that the number of failed logins is exhausted")
    if outcome is Outcome.UNKNOWN_ERROR and snapshot.bulletin:
        return LoginStopped(Outcome.MAINTENANCE, f"IBKR says {snapshot.bulletin[:120]!r}, and {snapshot.error[:120]!r}")
    return LoginStopped(outcome, message, wait=parse_stated_wait(unredacted(snapshot.error)))


def _is_locked_at_ibkr(page: LoginPage) -> bool:
    try:
        answer = json.loads(unredacted(page.browser.last_answer(page_states.AUTHENTICATOR) or "{}"))
    except (LoginFailed, json.JSONDecodeError):
        return False
    return isinstance(answer, dict) and str(answer.get("reached_max_login", "")).lower() == "true"
