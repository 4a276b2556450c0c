"""What is done about a sight that means the same before and after the password."""

import json
from datetime import timedelta

from ibkr_tools.errors import LoginFailed
from ibkr_tools.login import scripts
from ibkr_tools.login.outcome import Outcome, judge_error
from ibkr_tools.login.page import Facts, Sight
from ibkr_tools.login.view import Ended, Timer, View

SKIP_AGAIN = timedelta(seconds=3)
"""How long an advert may take to go away after the click, before it is clicked again."""


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


def stop_for_a_person(view: View, facts: Facts, sight: Sight) -> None:
    """Ends at what only a person can go on from."""
    if sight is Sight.SECOND_FACTOR:
        raise Ended(Outcome.SECOND_FACTOR, f"IBKR asks for {facts.second_factor}")
    if sight is Sight.RESTRICTED:
        raise Ended(Outcome.RESTRICTED, "IBKR wants to verify who this is, by e-mail")
    if sight is Sight.TASKS:
        raise Ended(Outcome.TASKS, "IBKR wants this user to confirm data or change the password")
    if sight is Sight.DENIED:
        raise Ended(Outcome.DENIED, "the gateway answers Access Denied to this machine")
    if sight is Sight.ERROR and view.submitted:
        raise judged(view, facts)


def judged(view: View, facts: Facts) -> Ended:
    """Says how a login ends that the page shows an error to."""
    outcome = judge_error(facts.error)
    if outcome in (Outcome.REFUSED, Outcome.UNKNOWN_ERROR) and view.submitted and _is_locked_at_ibkr(view):
        return Ended(Outcome.LOCKED, "IBKR says that the number of failed logins is exhausted")
    if outcome is Outcome.UNKNOWN_ERROR and facts.bulletin:
        return Ended(Outcome.MAINTENANCE, f"IBKR says {facts.bulletin[:120]!r}, and {facts.error[:120]!r}")
    return Ended(outcome, f"IBKR says {facts.error[:200]!r}")


def _is_locked_at_ibkr(view: View) -> bool:
    try:
        answer = json.loads(view.browser.last_answer("/sso/Authenticator") or "{}")
    except (LoginFailed, json.JSONDecodeError):
        return False
    return isinstance(answer, dict) and str(answer.get("reached_max_login", "")).lower() == "true"
