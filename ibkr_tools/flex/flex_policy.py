"""What is done next to get one statement, given what has happened so far. Pure: no clock, no network.

A statement takes two kinds of requests: SendRequest has it made and answers with a reference, GetStatement fetches it
once it is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from ibkr_tools.flex.flex_answers import (
    Accepted,
    Answer,
    Refused,
    StatementReceived,
    Throttled,
    Unreachable,
    Unusable,
)
from ibkr_tools.flex.flex_errors import ErrorReaction, service_error

POLL_WAITS_S = (5.0, 10.0, 20.0, 30.0)
"""Before each GetStatement after a reference; the last one again and again."""

MAX_GENERATION_S = 600.0
"""So long a statement is polled for, in seconds; on weekends some are never made."""

MINUTES_S = (60.0, 180.0)
"""Before a request is sent again that may succeed in some minutes; then it is given up for half an hour."""

SLOW_DOWN_S = 65.0
"""IBKR counts in minutes."""

MAX_SLOW_DOWNS = 3
MAX_RETRY_AFTER_S = 3600.0
"""Limit of what a Retry-After states."""

HALF_HOUR_S, HOUR_S = 1800.0, 3600.0


class Call(Enum):
    """The two kinds of requests."""

    SEND = "SendRequest"
    GET = "GetStatement"


@dataclass(frozen=True)
class Exchange:
    """A request and its answer. `with_days`: SendRequest named the days."""

    call: Call
    answer: Answer
    with_days: bool = True


@dataclass(frozen=True)
class Request:
    """Send this after `wait_s` seconds. `blocks`: until then no process may send anything with this token."""

    call: Call
    wait_s: float = 0.0
    with_days: bool = True
    blocks: bool = False


@dataclass(frozen=True)
class Finish:
    """The statement is there."""


class StopKind(Enum):
    """Why it is given up."""

    LATER = auto()
    """It may succeed by itself in `wait_s`."""

    NO_DATA = auto()
    """IBKR has no statement of days that are long past."""

    VALIDATION = auto()
    """As `LATER`, but twice at the most."""

    PERSON = auto()
    """A person has to do something first."""

    LOCKED = auto()
    """As `PERSON`, and any request makes it worse."""

    CONFIG = auto()
    """Something on this machine, or on the way to IBKR, has to be set right first."""

    UNUSABLE = auto()
    """The answer is no statement, and another one will not be either."""


@dataclass(frozen=True)
class Stop:
    """Give it up; `code` is IBKR's, 0 where it said none."""

    kind: StopKind
    why: str
    wait_s: float = 0.0
    hint: str | None = None
    code: int = 0


Step = Request | Finish | Stop


@dataclass(frozen=True)
class Question:
    """What is asked for. `is_recent`: the days end with the last one that IBKR has statements of.

    Only then may a query that refuses to be told the days be asked without: it answers for days of its own choice, the
    last ones.
    """

    is_recent: bool = True


def next_step(question: Question, history: Sequence[Exchange], elapsed_s: float) -> Step:
    """Returns what to do after `history`, the first request of which was sent `elapsed_s` seconds ago."""
    if not history:
        return Request(Call.SEND)
    last = history[-1]
    match last.answer:
        case StatementReceived():
            return Finish()
        case Accepted():
            return _fetch(last, elapsed_s)
        case Refused(code, message):
            return _after_refusal(question, history, code, message, elapsed_s)
        case Throttled(wait_s):
            return _slow_down(history, min(max(wait_s, SLOW_DOWN_S), MAX_RETRY_AFTER_S), "HTTP 429")
        case Unusable(what, passes, hint):
            if not passes:
                return Stop(StopKind.UNUSABLE, f"IBKR's answer is {what}", hint=hint)
            return _in_minutes(history, f"IBKR's answer is {what}")
        case Unreachable(why, passes, hint):
            return _in_minutes(history, why) if passes else Stop(StopKind.CONFIG, why, hint=hint)


def _fetch(last: Exchange, elapsed_s: float) -> Step:
    """A reference in place of a statement, again and again, would be followed for ever."""
    if last.call is Call.GET and elapsed_s + POLL_WAITS_S[0] > MAX_GENERATION_S:
        why = f"IBKR names one reference after the other, for {MAX_GENERATION_S / 60:.0f} minutes now"
        return Stop(StopKind.LATER, why, HALF_HOUR_S)
    return Request(Call.GET, POLL_WAITS_S[0], last.with_days)


_STOPS = {
    ErrorReaction.HALF_HOUR: (StopKind.LATER, HALF_HOUR_S),
    ErrorReaction.HOUR: (StopKind.VALIDATION, HOUR_S),
    ErrorReaction.PERSON: (StopKind.PERSON, 0.0),
    ErrorReaction.LOCKED: (StopKind.LOCKED, 0.0),
}
"""What ends the request at once, and for how long."""


def _after_refusal(question: Question, history: Sequence[Exchange], code: int, message: str, elapsed_s: float) -> Step:
    error = service_error(code)
    why = f"IBKR says that {error.meaning} ({code}: {message})"
    if error.reaction in _STOPS:
        kind, wait_s = _STOPS[error.reaction]
        return Stop(kind, why, wait_s, error.hint, code)
    match error.reaction:
        case ErrorReaction.POLL:
            return _poll(history, elapsed_s, why)
        case ErrorReaction.NOT_AVAILABLE:
            return _without_days(question, history[-1], why, code)
        case ErrorReaction.SLOW_DOWN:
            return _slow_down(history, SLOW_DOWN_S, why)
        case ErrorReaction.START_AGAIN if history[-1].call is Call.GET:
            if _count(history, code) == 1:
                return Request(Call.SEND, with_days=history[-1].with_days)
            return Stop(StopKind.LATER, why, HALF_HOUR_S, code=code)
    return _in_minutes(history, why, code)


def _without_days(question: Question, last: Exchange, why: str, code: int) -> Step:
    if not question.is_recent:
        return Stop(StopKind.NO_DATA, why, code=code)
    if last.with_days:
        return Request(Call.SEND, with_days=False)
    return Stop(StopKind.LATER, why, HALF_HOUR_S, code=code)


def _count(history: Sequence[Exchange], code: int) -> int:
    return sum(1 for exchange in history if isinstance(exchange.answer, Refused) and exchange.answer.code == code)


def _poll(history: Sequence[Exchange], elapsed_s: float, why: str) -> Step:
    """SendRequest is answered so while another statement is made with the same token: that one is waited for."""
    last = history[-1]
    polls = 0
    for exchange in reversed(history):
        if isinstance(exchange.answer, Accepted):
            break
        polls += isinstance(exchange.answer, Refused)
    wait_s = POLL_WAITS_S[-1] if last.call is Call.SEND else POLL_WAITS_S[min(polls, len(POLL_WAITS_S) - 1)]
    if elapsed_s + wait_s > MAX_GENERATION_S:
        return Stop(StopKind.LATER, f"{why}, for {MAX_GENERATION_S / 60:.0f} minutes now", HALF_HOUR_S, code=1019)
    return Request(last.call, wait_s, last.with_days)


def _slow_down(history: Sequence[Exchange], wait_s: float, why: str) -> Step:
    times = sum(
        1
        for exchange in history
        if isinstance(exchange.answer, Throttled)
        or (
            isinstance(exchange.answer, Refused)
            and service_error(exchange.answer.code).reaction is ErrorReaction.SLOW_DOWN
        )
    )
    if times > MAX_SLOW_DOWNS:
        return Stop(StopKind.LATER, f"{why}, {times} times", HALF_HOUR_S)
    last = history[-1]
    return Request(last.call, wait_s, last.with_days, blocks=True)


def _in_minutes(history: Sequence[Exchange], why: str, code: int = 0) -> Step:
    times = sum(1 for exchange in history if _passes_in_minutes(exchange.answer))
    if times > len(MINUTES_S):
        return Stop(StopKind.LATER, why, HALF_HOUR_S, code=code)
    last = history[-1]
    return Request(last.call, MINUTES_S[times - 1], last.with_days)


def _passes_in_minutes(answer: Answer) -> bool:
    match answer:
        case Refused(code):
            return service_error(code).reaction in {ErrorReaction.MINUTES, ErrorReaction.START_AGAIN}
        case Unusable(_, passes) | Unreachable(_, passes):
            return passes
    return False
