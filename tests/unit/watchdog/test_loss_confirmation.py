"""Loss confirmation: reports that contradict each other, and what each answer means, from bytes to a command."""

import itertools
from dataclasses import replace

import pytest

from ibkr_tools.errors import GatewayUnavailable, IbkrError, UpstreamSilent
from ibkr_tools.portal import response_parser
from ibkr_tools.portal.push_listener import PushClosed, PushEvent, SessionFrame, WaitingForSession
from ibkr_tools.status import SessionState
from ibkr_tools.watchdog import session, state_machine
from ibkr_tools.watchdog.events import (
    AccountsResult,
    FetchHinted,
    GatewayRequest,
    LocalCommand,
    TickleResult,
    ValidationResult,
    Verdict,
)
from ibkr_tools.watchdog.gateway_requester import verdict_of
from ibkr_tools.watchdog.push_health import CORROBORATION_S
from ibkr_tools.watchdog.state import State, TickleSchedule
from tests.support.state_machine_environment import NOW, UP, Environment, environment_with_session, tickle

# One row per signal of a lost session, and per answer of the login's table that the watchdog meets: the answer to a
# tickle, and what becomes of a session that was up.

AT_ONCE, LOOKS, PENALTY = "login", "another look", "everyone waits"
SIGNALS = {
    "401": (401, {}, b"", AT_ONCE),
    "401 with a problem document": (401, {}, b'{"title":"Unauthorized","status":401}', AT_ONCE),
    "410 after a logout": (410, {}, b"", AT_ONCE),
    "601 session expired": (601, {}, b"", AT_ONCE),
    "302 to the login": (302, {"Location": "/sso/Login?forwardTo=22"}, b"", AT_ONCE),
    "200 no session": (200, {}, b'{"error":"no session"}', AT_ONCE),
    "200 not logged in": (200, {}, b'{"error":"not logged in"}', AT_ONCE),
    "200 expired": (200, {}, b'{"session":"a","ssoExpires":0}', AT_ONCE),
    "302 elsewhere": (302, {"Location": "https://example.com/"}, b"", LOOKS),
    "403 of the edge": (403, {}, b"denied", LOOKS),
    "403 of AirPlay": (403, {"Server": "AirTunes/1"}, b"", LOOKS),
    "404 of the address filter": (404, {}, b"Access Denied", LOOKS),
    "404 not found": (404, {}, b'{"error":"Resource not found"}', LOOKS),
    "429": (429, {}, b'{"error":"Too Many Requests"}', PENALTY),
    "400 no bridge": (400, {}, b'{"error":"Bad Request: no bridge","statusCode":400}', LOOKS),
    "400 init session first": (400, {}, b'{"error":"Init session first","statusCode":400}', LOOKS),
    "500 query accounts first": (500, {}, b'{"error":"Please query /accounts first"}', LOOKS),
    "500 no token": (500, {}, b'{"error":"failed to generate sso dh token"}', LOOKS),
    "500": (500, {}, b"Internal Server Error", LOOKS),
    "503": (503, {}, b"", LOOKS),
    "200 failed to process": (200, {}, b'{"error":"failed to process request"}', LOOKS),
    "200 with a web page": (200, {"Content-Type": "text/html"}, b"<html>", LOOKS),
    "200 with half of it": (200, {}, b'{"session":"a","sso', LOOKS),
    "200 with a list": (200, {}, b"[]", LOOKS),
    "200 with nothing": (200, {}, b"", LOOKS),
}


def verdict_on(status: int, headers: dict[str, str], body: bytes) -> Verdict:
    """Returns what the loop makes of one answer to a tickle."""
    try:
        found = response_parser.parse_tickle(response_parser.parse(status, headers, body, "POST /tickle"))
    except IbkrError as error:
        return verdict_of(error)
    return Verdict.ALIVE if found.has_session else Verdict.UNKNOWN


@pytest.mark.parametrize("name", SIGNALS)
def test_signals(name: str) -> None:
    """IBKR's own word leads to a second opinion and a login at once; anything else to another look alone."""
    status, headers, body, then = SIGNALS[name]
    verdict = verdict_on(status, headers, body)
    environment = environment_with_session(session=verdict)
    lost_s = environment.now_s
    environment.run(120)
    asked = [at for at, command in environment.executed if command is LocalCommand.REQUEST_LOGIN]
    if then == AT_ONCE:
        assert verdict is Verdict.DEAD
        assert asked
        assert asked[0] - lost_s < 31
    else:
        assert asked == []
        assert verdict is (Verdict.RATE_LIMITED if then == PENALTY else Verdict.UNKNOWN)
        assert environment.is_in(SessionState.UNREACHABLE)
        assert environment.state.losses == 0


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(GatewayUnavailable("refused"), Verdict.GATEWAY_DOWN), (UpstreamSilent("hangs"), Verdict.SILENT)],
)
def test_signals_without_an_answer(error: IbkrError, verdict: Verdict) -> None:
    assert verdict_of(error) is verdict


def test_a_tickle_without_a_session_is_no_loss() -> None:
    assert verdict_on(200, {}, b'{"iserver":{"authStatus":{"authenticated":false}}}') is Verdict.UNKNOWN


def test_a_tickle_of_a_user_without_brokerage_is_alive() -> None:
    body = b'{"session":"a","ssoExpires":590000,"hmds":{"error":"no bridge"},"iserver":{"error":"no bridge"}}'
    assert verdict_on(200, {}, body) is Verdict.ALIVE


# A session is never thrown away on one word against another.


def test_both_say_dead_and_the_login_is_asked_for_in_the_same_moment() -> None:
    environment = environment_with_session(session=Verdict.DEAD)
    environment.run(31, until=SessionState.LOGGING_IN)
    tickle_sent_at_s = next(at for at, command in reversed(environment.executed) if command is GatewayRequest.TICKLE)
    asked_s = next(at for at, command in environment.executed if command is LocalCommand.REQUEST_LOGIN)
    assert asked_s - tickle_sent_at_s < 0.1


def test_validation_says_alive_and_no_tickle_is_believed() -> None:
    """Hours of tickles that say dead, while IBKR's validation and nobody else says alive: no login, and the truth."""
    environment = environment_with_session(session=Verdict.DEAD, validation=Verdict.ALIVE)
    environment.run(2 * 3600)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0
    assert environment.is_in(SessionState.UNREACHABLE)
    assert "validation" in environment.state.why
    asked = [at for at, command in environment.executed if command is GatewayRequest.VALIDATE]
    assert all(later - earlier >= session.VALIDATE_INTERVAL_S for earlier, later in itertools.pairwise(asked))
    assert environment.count(LocalCommand.RESTART_GATEWAY) == 0
    environment.session = Verdict.ALIVE
    assert environment.run(40, until=SessionState.UP)
    assert environment.state.losses == 0


def test_validation_that_changes_its_mind_is_believed() -> None:
    environment = environment_with_session(session=Verdict.DEAD, validation=Verdict.ALIVE)
    environment.run(100)
    environment.validation = None
    assert environment.run(100, until=SessionState.UP)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 1


@pytest.mark.parametrize("validation", [Verdict.RATE_LIMITED, Verdict.UNKNOWN, Verdict.SILENT])
def test_without_a_validation_two_tickles_and_the_status_must_agree(validation: Verdict) -> None:
    environment = environment_with_session(session=Verdict.DEAD, validation=validation)
    assert environment.run(60, until=SessionState.LOGGING_IN)
    since_s = next(at for at, command in environment.executed if command is GatewayRequest.VALIDATE)
    then = [(at, command) for at, command in environment.executed if at >= since_s]
    assert [command for _, command in then if command is not LocalCommand.STOP_LISTENING][-2:] == [
        GatewayRequest.CHECK_AUTH_STATUS,
        LocalCommand.REQUEST_LOGIN,
    ]
    assert session.RECHECK_DELAY_S <= then[-1][0] - since_s < 15


def test_without_a_validation_the_status_may_overrule_the_tickles() -> None:
    environment = environment_with_session(
        session=Verdict.DEAD, validation=Verdict.RATE_LIMITED, auth_status=Verdict.ALIVE
    )
    environment.run(3600)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0
    assert environment.state.losses == 0


@pytest.mark.parametrize("auth_status", [Verdict.UNKNOWN, Verdict.SILENT, Verdict.RATE_LIMITED])
def test_without_any_second_opinion_nobody_logs_in(auth_status: Verdict) -> None:
    environment = environment_with_session(session=Verdict.DEAD, validation=Verdict.UNKNOWN, auth_status=auth_status)
    environment.run(1800)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0


def test_two_losses_within_a_minute_are_both_found() -> None:
    """IBKR takes one validation a minute: the second loss is proven in another way, seconds later."""
    environment = environment_with_session(session=Verdict.DEAD)
    assert environment.run(40, until=SessionState.LOGGING_IN)
    environment.run(10, until=SessionState.UP)
    environment.run(5)
    environment.session = Verdict.DEAD
    lost_s = environment.now_s
    assert environment.run(60, until=SessionState.LOGGING_IN)
    environment.run(30, until=SessionState.UP)
    assert environment.state.losses == 2
    assert environment.now_s - lost_s < 45


def test_the_accounts_alone_against_a_tickle_are_validated() -> None:
    """Once proven, a session is not lost because one list says 401."""
    state = replace(UP, phase=SessionState.UNREACHABLE)
    state, commands = state_machine.step(state, AccountsResult(Verdict.DEAD, "401"), NOW)
    assert commands == (GatewayRequest.VALIDATE,)
    state, commands = state_machine.step(state, ValidationResult(Verdict.ALIVE), NOW)
    assert commands == ()
    _, commands = state_machine.step(state, AccountsResult(Verdict.DEAD, "401"), NOW + 5)
    assert LocalCommand.REQUEST_LOGIN not in commands


def test_requests_for_logins_are_never_closer_than_seconds() -> None:
    """A login that succeeds in no time, and a session that dies in no time and says so."""
    environment = Environment(login_duration_s=0.0, login_helps=False, session=Verdict.DEAD)
    for _ in range(40):
        environment.run(3, until=SessionState.UP)
        environment.dispatch(SessionFrame(authenticated=False))
        environment.run(1.3)
    assert environment.count(LocalCommand.REQUEST_LOGIN) > 1
    at = [when for when, command in environment.executed if command is LocalCommand.REQUEST_LOGIN]
    assert all(later - earlier >= 5 for earlier, later in itertools.pairwise(at))


def test_a_limited_tickle_does_not_hide_a_pause() -> None:
    state = replace(State(), phase=SessionState.PAUSED, why="paused")
    state, _ = state_machine.step(state, TickleResult(Verdict.RATE_LIMITED, "penalty"), NOW)
    assert state.why == "paused"


def test_a_tickle_that_is_due_too_soon_waits_its_second() -> None:
    state, commands = state_machine.step(UP, tickle(), NOW)
    state = replace(state, schedule=TickleSchedule(due_at_s=NOW, sent_at_s=NOW))
    state, commands = state_machine.step(state, ValidationResult(Verdict.ALIVE), NOW)
    assert commands == ()
    assert state_machine.deadline(state) >= NOW + 1


# The push and a tickle that say the same.

DENIAL = SessionFrame(authenticated=False, connected=False)
NO_VALIDATION = {"session": Verdict.DEAD, "validation": Verdict.RATE_LIMITED}


def environment_after_loss(**changes: object) -> Environment:
    """Returns an environment in which a session has been up for 15 s since the last loss, when validate was asked."""
    environment = environment_with_session(session=Verdict.DEAD)
    environment.dispatch(DENIAL)
    assert environment.run(10, until=SessionState.UP)
    environment.run(15)
    assert environment.now_s - environment.state.suspicion.validation_sent_at_s < session.VALIDATE_INTERVAL_S
    for name, value in changes.items():
        setattr(environment, name, value)
    return environment


def believed_after_s(environment: Environment, *events: object, seconds: float = 60) -> float | None:
    """Feeds frames, and returns how long it takes until a login is asked for; None: it is not within that time."""
    begin_s, before = environment.now_s, environment.count(LocalCommand.REQUEST_LOGIN)
    for event in events:
        environment.dispatch(event)  # type: ignore[arg-type]
    if not environment.is_in(SessionState.LOGGING_IN):
        environment.run(seconds, until=SessionState.LOGGING_IN)
    return environment.now_s - begin_s if environment.count(LocalCommand.REQUEST_LOGIN) > before else None


def test_push_and_tickle_that_agree_are_enough_where_no_validation_is_to_be_had() -> None:
    environment = environment_after_loss(session=Verdict.DEAD)
    asked = environment.count(GatewayRequest.VALIDATE), environment.count(GatewayRequest.CHECK_AUTH_STATUS)
    took_s = believed_after_s(environment, DENIAL)
    assert took_s is not None
    assert took_s < 0.1
    assert (environment.count(GatewayRequest.VALIDATE), environment.count(GatewayRequest.CHECK_AUTH_STATUS)) == asked
    assert environment.state.losses == 2
    assert environment.run(10, until=SessionState.UP)


def test_the_tickle_may_come_first() -> None:
    """A fetch has met it; the push follows two seconds later."""
    environment = environment_after_loss(session=Verdict.DEAD)
    environment.dispatch(FetchHinted())
    assert not environment.is_in(SessionState.LOGGING_IN)
    environment.run(2.0)
    assert believed_after_s(environment, DENIAL) == 0


def test_a_validation_that_the_pacing_forbids_is_not_waited_for() -> None:
    """Another process has asked for one within the minute; this one does not know."""
    environment = environment_with_session(**NO_VALIDATION)
    took_s = believed_after_s(environment, DENIAL)
    assert took_s is not None
    assert took_s < 0.1


def test_where_validate_may_be_asked_it_is() -> None:
    environment = environment_with_session(session=Verdict.DEAD)
    took_s = believed_after_s(environment, DENIAL)
    assert took_s is not None
    assert took_s < 0.1
    assert environment.count(GatewayRequest.VALIDATE) == 1


@pytest.mark.parametrize(
    "event",
    [
        SessionFrame(authenticated=False),
        SessionFrame(authenticated=False, connected=True),
        SessionFrame(connected=False),
        SessionFrame(authenticated=True, connected=False),
        PushClosed("closed by IBKR"),
        WaitingForSession(),
    ],
    ids=str,
)
def test_a_word_about_something_else_does_not_count(event: PushEvent) -> None:
    """About the brokerage tier, or none at all: a third word of IBKR's is waited for, as ever."""
    took_s = believed_after_s(environment_after_loss(session=Verdict.DEAD), event)
    assert took_s is None or took_s >= session.RECHECK_DELAY_S


def test_a_stale_word_does_not_count() -> None:
    environment = environment_after_loss()
    environment.dispatch(DENIAL)
    environment.run(CORROBORATION_S + 2)
    environment.session = Verdict.DEAD
    took_s = believed_after_s(environment, FetchHinted())
    assert took_s is not None
    assert took_s >= session.RECHECK_DELAY_S


@pytest.mark.parametrize("times", [1, 5])
def test_the_push_alone_is_never_enough(times: int) -> None:
    environment = environment_after_loss()
    for _ in range(times):
        assert believed_after_s(environment, DENIAL, seconds=20) is None
    assert environment.is_in(SessionState.UP)
    assert environment.state.losses == 1


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.SILENT, Verdict.RATE_LIMITED])
def test_the_push_and_an_answer_that_says_nothing_are_not_enough(verdict: Verdict) -> None:
    environment = environment_after_loss(session=verdict)
    assert believed_after_s(environment, DENIAL, seconds=100) is None


def test_what_a_new_connection_says_first_is_a_greeting() -> None:
    """IBKR may greet a read-only user so, in the best of sessions."""
    environment = environment_with_session(on_listen=(DENIAL,), **NO_VALIDATION)
    took_s = believed_after_s(environment, PushClosed("idle"))
    assert took_s is not None
    assert took_s >= session.RECHECK_DELAY_S


def test_after_a_false_alarm_no_report_counts_until_one_announces_a_loss() -> None:
    environment = environment_after_loss()
    environment.dispatch(DENIAL)
    environment.run(65)
    assert environment.state.push_health.gave_false_alarm
    environment.session, environment.validation = Verdict.DEAD, Verdict.RATE_LIMITED
    took_s = believed_after_s(environment, DENIAL)
    assert took_s is not None
    assert took_s >= session.RECHECK_DELAY_S
    environment.validation = None
    assert environment.run(10, until=SessionState.UP)
    environment.run(15)
    environment.session = Verdict.DEAD
    assert believed_after_s(environment, DENIAL) == pytest.approx(0, abs=0.1)


def test_a_tickle_that_was_a_moment_early_makes_no_liar_of_the_push() -> None:
    """IBKR's servers do not all know at once."""
    environment = environment_after_loss()
    environment.dispatch(DENIAL)
    environment.session = Verdict.DEAD
    environment.run(2)
    assert believed_after_s(environment, DENIAL) is not None
    assert not environment.state.push_health.gave_false_alarm


def test_validation_that_has_just_said_alive_counts_against_both() -> None:
    environment = environment_with_session(session=Verdict.DEAD, validation=Verdict.ALIVE)
    environment.dispatch(DENIAL)
    environment.run(20)
    environment.dispatch(DENIAL)
    environment.run(20)
    assert environment.count(LocalCommand.REQUEST_LOGIN) == 0
