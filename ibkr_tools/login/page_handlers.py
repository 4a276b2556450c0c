"""What is done in a state of the page, and how a login ends in it, as far as the page says more than its state."""

import json
from datetime import timedelta
from http import HTTPStatus
from typing import assert_never
from urllib.parse import urlsplit

from ibkr_tools.errors import LoginFailed
from ibkr_tools.login import page_scripts
from ibkr_tools.login.error_messages import MAX_STATED_WAIT, classify_error, parse_stated_wait
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_page_object import LoginPageObject
from ibkr_tools.login.login_timers import Timer
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_snapshot import AUTHENTICATOR, PageSnapshot
from ibkr_tools.login.page_state_policy import Reaction
from ibkr_tools.login.page_states import FORM, PageState
from ibkr_tools.login.redaction import unredacted
from ibkr_tools.portal.rate_limit_state import penalty_duration_s

PROMO_RETRY = timedelta(seconds=3)
"""How long an advert may take to go away after the click, before it is clicked again."""

NOT_THE_GATEWAY = ("ERR_SSL_", "ERR_CERT_", "ERR_INVALID_HTTP_RESPONSE", "ERR_UNSAFE_PORT")
"""How Chromium names an answer that is never the gateway's: HTTP instead of HTTPS, another key."""

NO_SUCH_NAME = "ERR_NAME_NOT_RESOLVED"
"""How Chromium names every host but the gateway's: see `chromium_flags.host_rules`."""

CONNECTION_CUT = ("ERR_CONNECTION_CLOSED", "ERR_CONNECTION_RESET")
"""How Chromium names what another program does with a greeting in TLS; and, for a moment, Java while it ends."""


def dismiss_overlay(page: LoginPageObject, state: PageState) -> None:
    """Removes what lies on top of the page, if it is something to hide or to skip."""
    policy = state.policy
    if policy.reaction is Reaction.HIDE:
        page.execute(page_scripts.HIDE_CONSENT, page.selectors_of(policy.elements))
        page.on_step(f"{state.capitalize()} was hidden")
    elif policy.reaction is Reaction.SKIP and page.promo_timer.is_expired:
        page.click(*policy.elements)
        page.on_step(f"{state.capitalize()} was skipped")
        page.promo_timer = Timer(PROMO_RETRY)
        page.promo_clicks += 1


def is_final(snapshot: PageSnapshot, state: PageState) -> bool:
    """Whether this, shown instead of the form, does not become another page by itself."""
    match state.policy.reaction:
        case Reaction.REOPEN:
            return snapshot.net_error.startswith((*NOT_THE_GATEWAY, NO_SUCH_NAME))
        case Reaction.GIVE_UP | Reaction.PERSON:
            return True
        case Reaction.FILL | Reaction.WAIT | Reaction.HIDE | Reaction.SKIP | Reaction.ANSWER | Reaction.READ:
            return False
        case _:
            assert_never(state.policy.reaction)


def end_for_state(page: LoginPageObject, snapshot: PageSnapshot, state: PageState) -> LoginEnd:
    """Says how a login ends in this state."""
    if state.policy.reaction is Reaction.READ:
        return end_for_error(page, snapshot)
    place = "after the password" if page.submitted else "where the login form should be"
    return LoginEnd(outcome=state.policy.outcome, why=state.policy.why.format(snapshot=snapshot, place=place))


def end_for_stall(page: LoginPageObject, snapshot: PageSnapshot, state: PageState) -> LoginEnd:
    """Says how a login ends that got stuck in this state: what the page says of itself comes first."""
    if snapshot.bulletin:
        return LoginEnd(
            outcome=Outcome.MAINTENANCE,
            why=f"IBKR says {snapshot.bulletin[:200]!r}",
            wait=parse_stated_wait(unredacted(snapshot.bulletin)),
        )
    if state.policy.reaction is Reaction.READ:
        return end_for_error(page, snapshot)
    if state.policy.reaction is Reaction.REOPEN:
        return _end_for_unreachable(page, snapshot, state)
    if HTTPStatus.TOO_MANY_REQUESTS in (snapshot.status, snapshot.exchange):
        policy = PageState.TOO_MANY.policy
        return LoginEnd(outcome=policy.outcome, why=policy.why, wait=_wait_after_429(page))
    if snapshot.is_exchange_broken:
        word = "breaks off" if snapshot.exchange < 0 else f"answers {snapshot.exchange}"
        return LoginEnd(outcome=Outcome.SERVER_ERROR, why=f"IBKR {word} when the page talks to it about the login")
    if not page.submitted and state.policy.reaction is Reaction.WAIT and (host := _frame_host(page, snapshot)):
        return end_for_other_host(f"the login page has no form but a frame of {host}")
    if snapshot.missing and state.policy.needs_parts:
        return LoginEnd(
            outcome=Outcome.BLANK_PAGE,
            why=f"the login page is not whole: {snapshot.missing} of its parts did not come",
        )
    is_incomplete_form = state in FORM and not snapshot.is_complete
    return end_for_state(page, snapshot, PageState.INCOMPLETE if is_incomplete_form else state)


def _end_for_unreachable(page: LoginPageObject, snapshot: PageSnapshot, state: PageState) -> LoginEnd:
    if snapshot.net_error.startswith(NOT_THE_GATEWAY + CONNECTION_CUT):
        why = f"what answers on the gateway's port is not the gateway ({snapshot.net_error})"
        return LoginEnd(outcome=Outcome.NOT_THE_GATEWAY, why=why)
    if leads_elsewhere(snapshot):
        return end_for_other_host(f"IBKR's page sends the browser to {_last_host(page) or 'another host'}")
    if snapshot.net_error == "ERR_CONNECTION_REFUSED":
        why = f"nothing listens on the gateway's port ({snapshot.net_error})"
        return LoginEnd(outcome=Outcome.UNREACHABLE, why=why)
    if snapshot.net_error == "ERR_EMPTY_RESPONSE":
        why = f"the gateway hangs up without an answer ({snapshot.net_error})"
        return LoginEnd(outcome=Outcome.UNREACHABLE, why=why)
    return end_for_state(page, snapshot, state)


def _wait_after_429(page: LoginPageObject) -> timedelta:
    """Returns how long no process sends anything (docs/reference/pacing.md#after-a-429), or a login stays away."""
    stated_s = page.stated_wait_s() or 0.0
    return timedelta(seconds=max(penalty_duration_s(stated_s), min(stated_s, MAX_STATED_WAIT.total_seconds())))


def leads_elsewhere(snapshot: PageSnapshot) -> bool:
    """Whether the page sent the browser to another host, which it cannot reach."""
    return snapshot.is_browser_error and snapshot.net_error == NO_SUCH_NAME


def end_for_other_host(why: str) -> LoginEnd:
    """Says that a login ends because its page, or a part of it, is at another host."""
    return LoginEnd(outcome=Outcome.OTHER_HOST, why=why)


def _last_host(page: LoginPageObject) -> str:
    return urlsplit(page.browser.last_document() or "").netloc


def _frame_host(page: LoginPageObject, snapshot: PageSnapshot) -> str:
    """Returns the host of a large frame that cannot be looked into; empty without one, or if it is the gateway."""
    own = urlsplit(snapshot.url).netloc
    # A frame of the gateway may have been sent on.
    hosts = [_last_host(page) if host == own else host for host in snapshot.frame_hosts]
    return next((host for host in hosts if host and host != own), "")


def end_for_error(page: LoginPageObject, snapshot: PageSnapshot) -> LoginEnd:
    """Says how a login ends that the page shows an error to."""
    outcome = classify_error(unredacted(snapshot.error), after_code=page.code_submitted)
    message = f"IBKR says {snapshot.quoted_error}"
    if outcome in (Outcome.REFUSED, Outcome.UNKNOWN_ERROR) and page.submitted and _is_locked_at_ibkr(page):
        return LoginEnd(outcome=Outcome.LOCKED, why=f"{message}, and that the number of failed logins is exhausted")
    if outcome is Outcome.UNKNOWN_ERROR and snapshot.bulletin:
        why = f"IBKR says {snapshot.bulletin[:120]!r}, and {snapshot.error[:120]!r}"
        return LoginEnd(outcome=Outcome.MAINTENANCE, why=why)
    return LoginEnd(outcome=outcome, why=message, wait=parse_stated_wait(unredacted(snapshot.error)))


def _is_locked_at_ibkr(page: LoginPageObject) -> bool:
    try:
        answer = json.loads(unredacted(page.browser.last_answer(AUTHENTICATOR) or "{}"))
    except (LoginFailed, json.JSONDecodeError):
        return False
    return isinstance(answer, dict) and str(answer.get("reached_max_login", "")).lower() == "true"
