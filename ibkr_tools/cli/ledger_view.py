"""The login ledger for people and for scripts: a table, JSON. Pure; no tag of any password is in it."""

from collections.abc import Mapping, Sequence

import msgspec

from ibkr_tools.login.budget import FAILURES, FAILURES_A_DAY, Budget, Entry
from ibkr_tools.login.outcome import Mark

SHOWN = 30
"""How many entries a person is shown, the last ones."""

WORDS: Mapping[Mark, str] = {
    Mark.SUBMITTED: "the password went out, the answer was never seen: counts as failed",
    Mark.SUCCEEDED: "a session",
    Mark.REFUSED: "IBKR refused user name and password",
    Mark.FAILED: "no session",
    Mark.PERSON: "no session; IBKR wanted something of a person",
    Mark.STOP: "IBKR showed something that stops all logins",
    Mark.UNKNOWN: "the ledger was lost, nobody knows what it held: counts as failed",
    Mark.UNSUBMITTED: "ended before the password went out: costs nothing",
}


def _row(entry: Entry) -> str:
    more = f"; IBKR said to wait {entry.wait_s:.0f} s" if entry.wait_s else ""
    ending = f" ({entry.ending.value})" if entry.ending and entry.ending.value != entry.mark.value else ""
    noted = "; cleared by a person" if entry.noted and entry.mark in FAILURES else ""
    return f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.mark.value:<11}  {WORDS[entry.mark]}{ending}{more}{noted}"


def as_text(entries: Sequence[Entry], budget: Budget) -> str:
    """Returns one line per login, oldest first, and what the budget makes of them."""
    lines = [f"{'when (UTC)':<19}  {'outcome':<11}  in words"] if entries else ["no login was entered yet"]
    if len(entries) > SHOWN:
        lines.append(f"… {len(entries) - SHOWN} older ones")
    lines += [_row(entry) for entry in entries[-SHOWN:]]
    counts = f"in 24 h: {budget.logins_24h} succeeded, {budget.failures_24h} failed ({FAILURES_A_DAY} lock)"
    return "\n".join([*lines, "", counts, f"budget: {_verdict(budget)}"]) + "\n"


def _verdict(budget: Budget) -> str:
    if budget.allowed:
        return "logins are allowed"
    if budget.closed_until and not budget.locked:
        return f"closed: {budget.why}"
    return f"locked: {budget.why}" if budget.locked else budget.why


def as_json(entries: Sequence[Entry], budget: Budget) -> str:
    """Returns the same for scripts, and all of it."""
    rows = [
        {
            "at": entry.at,
            "outcome": entry.mark.value,
            "ending": entry.ending,
            "cleared": entry.noted,
            "wait_s": entry.wait_s,
        }
        for entry in entries
    ]
    return msgspec.json.format(msgspec.json.encode({"entries": rows, "budget": budget}), indent=2).decode() + "\n"
