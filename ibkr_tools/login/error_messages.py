"""The error messages of IBKR's login page, classified. They are English, whatever the browser asks for.

Of a page that has changed, a refusal is known in the other languages of `page_vocabulary` as well.

Sources: IBKR's knowledge base; the issues of the open-source projects named in docs/login.md, 2021 to 2026.
"""

import re
from datetime import timedelta

from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_predicates import MAINTENANCE
from ibkr_tools.login.page_vocabulary import says as says_in_any_language

MAX_STATED_WAIT = timedelta(days=7)

_REFUSED = r"""
    (invalid|unrecognized)\ user\ ?name | password\ combination | invalid.{0,20}password | authentication\ failed
    | ^(login\ )?failed\.?$ | ^error$
"""
_SERVER_ERROR = r"""
    error\ occurred\ while\ communicating | internal\ (server\ )?error | service\ unavailable | bad\ gateway
    | gateway\ time-?out
"""
_ERRORS = (
    (r"selected\ the\ (live|paper)\ account\ mode | specified\ user\ is\ a\ (paper|live)", Outcome.WRONG_MODE),
    (r"\bb?locked\b | \block(ed)?-?\ ?out | maximum\ number\ of", Outcome.LOCKED),
    (r"(security|response|verification|one.?time)\ ?code | passcode | challenge", Outcome.CODE_REFUSED),
    (_REFUSED, Outcome.REFUSED),
    (_SERVER_ERROR, Outcome.SERVER_ERROR),
)
_CODE_REFUSED_AFTER_CODE = (
    r"^(login\ |authentication\ )?failed\.?$ | authentication\ failed | try\ again\.?$ | ^invalid | ^incorrect"
)
_UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


def classify_error(text: str, *, after_code: bool = False) -> Outcome:
    """Says what an error text of the login page means; one that nobody has seen before stops everything.

    `after_code`: a second factor's code went out last, and short texts are about that.
    """

    def says(pattern: str) -> bool:
        return re.search(pattern, text, re.IGNORECASE | re.VERBOSE) is not None

    for pattern, outcome in _ERRORS[:2]:
        if says(pattern):
            return outcome
    if says(r"too\ many") or parse_stated_wait(text):
        # Without a time, it is the counter whose end is a telephone call.
        return Outcome.TOLD_TO_WAIT if parse_stated_wait(text) or not says("failed|login") else Outcome.LOCKED
    if after_code and says(_CODE_REFUSED_AFTER_CODE):
        return Outcome.CODE_REFUSED
    for pattern, outcome in _ERRORS[2:]:
        if says(pattern):
            return outcome
    if says_in_any_language(text, "wrong") and says_in_any_language(text, "password", "username"):
        return Outcome.REFUSED
    return Outcome.MAINTENANCE if MAINTENANCE.search(text) else Outcome.UNKNOWN_ERROR


def parse_stated_wait(text: str) -> timedelta | None:
    """Returns how long a text tells one to wait ("Please wait 1 hour and 30 minutes"), None if it does not."""
    match = re.search(r"\b(?:wait|try again (?:in|after)|locked (?:for|out for))\b([^.!]*)", text, re.IGNORECASE)
    if not match:
        return None
    parts = re.findall(r"(\d{1,6}|\ban?|\bone)[ -]?(second|minute|hour|day)", match.group(1), re.IGNORECASE)
    seconds = sum((int(count) if count.isdigit() else 1) * _UNIT_SECONDS[unit.lower()] for count, unit in parts)
    return min(timedelta(seconds=seconds), MAX_STATED_WAIT) if seconds else None
