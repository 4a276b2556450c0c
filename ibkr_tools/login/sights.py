"""What is done about a sight that means the same before and after the password."""

import json
from datetime import timedelta
from http import HTTPStatus

from ibkr_tools.errors import LoginFailed
from ibkr_tools.login import page, scripts
from ibkr_tools.login.outcome import Outcome
from ibkr_tools.login.page import Facts, Sight
from ibkr_tools.login.redaction import as_written
from ibkr_tools.login.texts import judge_error, parse_retry_after, stated_wait
from ibkr_tools.login.view import FORM, Ended, Timer, View
from ibkr_tools.status import utc_now

SKIP_AGAIN = timedelta(seconds=3)
"""How long an advert may take to go away after the click, before it is clicked again."""

FOREIGN = ("ERR_SSL_", "ERR_CERT_", "ERR_INVALID_HTTP_RESPONSE", "ERR_UNSAFE_PORT")
"""How Chromium names an answer that is never the gateway's: HTTP instead of HTTPS, another key."""

CUT = ("ERR_CONNECTION_CLOSED", "ERR_CONNECTION_RESET")
"""How it names what another program does with a greeting in TLS; and, for a moment, a Java that is being ended."""


FINAL = frozenset({Sight.TOO_MANY, Sight.BLOCKED, Sight.SERVER_ERROR})
"""Answers instead of a page, that do not become a page by themselves."""


def clear_the_way(view: View, sight: Sight) -> bool:
    """Removes what lies on top of the page; says whether there was something."""
    if sight is Sight.CONSENT:
        view.act(scripts.HIDE, view.selectors["consent"])
        view.on_step("A consent layer was hidden")
        return True
    if sight is Sight.PROMO and view.skipped.is_over:
        view.click("promo")
        view.on_step("An advert was skipped")
        view.skipped = Timer(SKIP_AGAIN)
        return True
    return sight is Sight.PROMO


def for_a_person(view: View, facts: Facts, sight: Sight) -> Ended | None:
    """Says how a login ends at what only a person can go on from; None if this is nothing of the kind."""
    if sight is Sight.SECOND_FACTOR:
        return Ended(Outcome.SECOND_FACTOR, f"IBKR asks for {facts.second_factor}")
    if sight is Sight.RESTRICTED:
        return Ended(Outcome.RESTRICTED, "IBKR wants to verify who this is, by e-mail")
    if sight is Sight.TASKS:
        return Ended(Outcome.TASKS, "IBKR wants this user to confirm data or change the password")
    if sight is Sight.DENIED:
        return Ended(Outcome.DENIED, "the gateway answers Access Denied to this machine (127.0.0.1)")
    return judged(view, facts) if sight is Sight.ERROR and view.submitted else None


def stop_for_a_person(view: View, facts: Facts, sight: Sight) -> None:
    """Ends the login there."""
    if ended := for_a_person(view, facts, sight):
        raise ended


def dead_end(view: View, facts: Facts, sight: Sight) -> Ended:
    """Says how a login ends that got stuck at this sight."""
    if facts.bulletin:
        return Ended(
            Outcome.MAINTENANCE, f"IBKR says {facts.bulletin[:200]!r}", wait=stated_wait(as_written(facts.bulletin))
        )
    if sight is Sight.ERROR:
        return judged(view, facts)
    if sight is Sight.UNREACHABLE:
        return _unreachable(facts)
    if HTTPStatus.TOO_MANY_REQUESTS in (facts.status, facts.exchange):
        return Ended(Outcome.TOLD_TO_WAIT, "IBKR answers 429, too many requests", wait=_retry_after(view, facts))
    if facts.is_exchange_broken:
        word = "breaks off" if facts.exchange < 0 else f"answers {facts.exchange}"
        return Ended(Outcome.SERVER_ERROR, f"IBKR {word} when the page talks to it about the login")
    if facts.missing and sight in (Sight.BLANK, Sight.UNKNOWN, Sight.LOADING, Sight.UNSTYLED, *FORM):
        return Ended(Outcome.BLANK_PAGE, f"the login page is not whole: {facts.missing} of its parts did not come")
    return _plain(view, facts, sight)


def _plain(view: View, facts: Facts, sight: Sight) -> Ended:
    if sight in FORM and facts.is_complete:
        return Ended(Outcome.UNREACHABLE, "IBKR does not answer what the form asks it")
    if sight is Sight.PENDING:
        return Ended(Outcome.UNREACHABLE, "no answer: the gateway does not reach IBKR, or hangs")
    if sight is Sight.LOADING or sight in FORM:
        return Ended(Outcome.STILL_LOADING, "IBKR's page kept saying that it is busy")
    if sight in (Sight.BLANK, Sight.UNSTYLED):
        return Ended(Outcome.BLANK_PAGE, f"the login page stayed {'blank' if sight is Sight.BLANK else sight}")
    if sight is Sight.MAINTENANCE:
        return Ended(Outcome.MAINTENANCE, f"IBKR says {facts.text[:200]!r}")
    if sight is Sight.BLOCKED:
        return Ended(Outcome.BLOCKED, f"IBKR's network refuses this machine's address: {facts.text[:200]!r}")
    if sight is Sight.SERVER_ERROR:
        return Ended(Outcome.SERVER_ERROR, f"IBKR answers {facts.status} instead of its page")
    when = "after the password there was" if view.submitted else "where the login form should be there was"
    return Ended(Outcome.UNKNOWN_PAGE, f"{when} {sight}")


def _unreachable(facts: Facts) -> Ended:
    if facts.net_error.startswith(FOREIGN + CUT):
        why = f"what answers on the gateway's port is not the gateway ({facts.net_error})"
        return Ended(Outcome.NOT_THE_GATEWAY, why)
    if facts.net_error == "ERR_CONNECTION_REFUSED":
        return Ended(Outcome.UNREACHABLE, f"nothing listens on the gateway's port ({facts.net_error})")
    if facts.net_error == "ERR_EMPTY_RESPONSE":
        return Ended(Outcome.UNREACHABLE, f"the gateway hangs up without an answer ({facts.net_error})")
    return Ended(Outcome.UNREACHABLE, f"the browser could not open the gateway's login page ({facts.net_error})")


def _retry_after(view: View, facts: Facts) -> timedelta | None:
    path = facts.path_as_written if facts.status == HTTPStatus.TOO_MANY_REQUESTS else page.AUTHENTICATOR
    try:
        return parse_retry_after(as_written(view.browser.last_header(path, "retry-after") or ""), utc_now())
    except LoginFailed:
        return None


def judged(view: View, facts: Facts) -> Ended:
    """Says how a login ends that the page shows an error to."""
    outcome = judge_error(as_written(facts.error), after_code=view.code_was_given)
    said = f"IBKR says {facts.error[:200]!r}"
    if outcome in (Outcome.REFUSED, Outcome.UNKNOWN_ERROR) and view.submitted and _is_locked_at_ibkr(view):
        return Ended(Outcome.LOCKED, f"{said}, and that the number of failed logins is exhausted")
    if outcome is Outcome.UNKNOWN_ERROR and facts.bulletin:
        return Ended(Outcome.MAINTENANCE, f"IBKR says {facts.bulletin[:120]!r}, and {facts.error[:120]!r}")
    return Ended(outcome, said, wait=stated_wait(as_written(facts.error)))


def _is_locked_at_ibkr(view: View) -> bool:
    try:
        answer = json.loads(as_written(view.browser.last_answer(page.AUTHENTICATOR) or "{}"))
    except (LoginFailed, json.JSONDecodeError):
        return False
    return isinstance(answer, dict) and str(answer.get("reached_max_login", "")).lower() == "true"
