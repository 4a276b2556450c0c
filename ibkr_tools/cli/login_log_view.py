"""The login log for people and for scripts: a table, JSON. Pure; no fingerprint of a password is in it."""

from collections.abc import Mapping, Sequence

import msgspec

from ibkr_tools.login.budget import FAILED_RESULTS, LOCK_AFTER_FAILURES, Budget
from ibkr_tools.login.login_log_file import Attempt
from ibkr_tools.login.outcomes import AttemptResult

ATTEMPTS_SHOWN = 30
"""How many attempts a person is shown, the last ones."""

RESULT_TEXTS: Mapping[AttemptResult, str] = {
    AttemptResult.SUBMITTED: "the password went out, the answer was never seen: counts as failed",
    AttemptResult.SUCCEEDED: "a session",
    AttemptResult.REFUSED: "IBKR refused user name and password",
    AttemptResult.FAILED: "no session",
    AttemptResult.PERSON: "no session; IBKR wanted something of a person",
    AttemptResult.STOP: "IBKR showed something that stops all logins",
    AttemptResult.UNKNOWN: "the login log was lost, nobody knows what it held: counts as failed",
    AttemptResult.UNSUBMITTED: "ended before the password went out: costs nothing",
}


def _row(attempt: Attempt) -> str:
    more = f"; IBKR said to wait {attempt.wait_s:.0f} s" if attempt.wait_s else ""
    outcome = f" ({attempt.outcome.value})" if attempt.outcome and attempt.outcome.value != attempt.result.value else ""
    acknowledged = "; cleared by a person" if attempt.acknowledged and attempt.result in FAILED_RESULTS else ""
    text = f"{RESULT_TEXTS[attempt.result]}{outcome}{more}{acknowledged}"
    return f"{attempt.at:%Y-%m-%d %H:%M:%S}  {attempt.result.value:<11}  {text}"


def as_text(attempts: Sequence[Attempt], budget: Budget) -> str:
    """Returns one line per login, oldest first, and what the budget makes of them."""
    lines = [f"{'when (UTC)':<19}  {'result':<11}  in words"] if attempts else ["no login was recorded yet"]
    if len(attempts) > ATTEMPTS_SHOWN:
        lines.append(f"… {len(attempts) - ATTEMPTS_SHOWN} older ones")
    lines += [_row(attempt) for attempt in attempts[-ATTEMPTS_SHOWN:]]
    counts = f"in 24 h: {budget.logins_24h} succeeded, {budget.failures_24h} failed ({LOCK_AFTER_FAILURES} lock)"
    return "\n".join([*lines, "", counts, f"budget: {_verdict(budget)}"]) + "\n"


def _verdict(budget: Budget) -> str:
    if budget.allowed:
        return "logins are allowed"
    if budget.closed_until and not budget.locked:
        return f"closed: {budget.why}"
    return f"locked: {budget.why}" if budget.locked else budget.why


def as_json(attempts: Sequence[Attempt], budget: Budget) -> str:
    """Returns all attempts and the budget as JSON, for scripts."""
    rows = [
        {
            "at": attempt.at,
            "result": attempt.result.value,
            "outcome": attempt.outcome,
            "cleared": attempt.acknowledged,
            "wait_s": attempt.wait_s,
        }
        for attempt in attempts
    ]
    return msgspec.json.format(msgspec.json.encode({"attempts": rows, "budget": budget}), indent=2).decode() + "\n"
