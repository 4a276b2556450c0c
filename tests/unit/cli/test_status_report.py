"""The status as people and scripts see it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ibkr_tools.cli.status_colours import coloured, is_coloured
from ibkr_tools.cli.status_report import as_json, as_text, exit_code, fitted
from ibkr_tools.errors import ConfigError
from ibkr_tools.status import (
    FetchSection,
    FlexSection,
    GatewaySection,
    LoginSection,
    SessionSection,
    SessionState,
    Status,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def gateway(**changes: Any) -> GatewaySection:
    """Returns a gateway that is up."""
    fields: dict[str, Any] = {"state": "up", "since": NOW - timedelta(hours=2), "port": 5000, "upstream": "https://x"}
    return GatewaySection(updated_at=NOW, fresh_for_s=60.0, **(fields | changes))


def session(state: SessionState = SessionState.UP, *, age_s: float = 0.0, **changes: Any) -> SessionSection:
    """Returns a session in a state, said `age_s` ago."""
    fields: dict[str, Any] = {"since": NOW - timedelta(minutes=3), "why": "the portfolio tier answers"}
    at = NOW - timedelta(seconds=age_s)
    return SessionSection(updated_at=at, fresh_for_s=30.0, state=state, **(fields | changes))


BY_STATE = {
    SessionState.STARTING: 75,
    SessionState.GATEWAY_DOWN: 69,
    SessionState.UNREACHABLE: 75,
    SessionState.MAINTENANCE: 75,
    SessionState.LOGGING_IN: 75,
    SessionState.UP: 0,
    SessionState.DEGRADED: 75,
    SessionState.LOST: 75,
    SessionState.BACKING_OFF: 75,
    SessionState.COMPETING: 75,
    SessionState.LOCKED_OUT: 77,
    SessionState.PAUSED: 75,
}


@pytest.mark.parametrize("state", SessionState)
def test_every_state_has_its_code(state: SessionState) -> None:
    assert exit_code(Status(gateway=gateway(), session=session(state)), NOW) == BY_STATE[state]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status(), 69),
        (Status(gateway=gateway()), 75),
        (Status(session=session()), 0),
        (Status(session=session(age_s=31)), 69),
        (Status(gateway=gateway(), session=session(age_s=31)), 75),
        (Status(gateway=gateway(state="stopped"), session=session()), 69),
        (Status(gateway=gateway(state="starting"), session=session()), 69),
        (Status(gateway=gateway(state="unresponsive"), session=session()), 69),
        (Status(gateway=gateway(state="stopped"), session=session(SessionState.LOCKED_OUT)), 77),
    ],
)
def test_health_is_what_can_be_believed(status: Status, code: int) -> None:
    """A watchdog that has been silent for too long is not believed when it said that all is well."""
    assert exit_code(status, NOW) == code
    assert json.loads(as_json(status, NOW))["healthy"] is (code == 0)


def test_the_whole_table() -> None:
    status = Status(
        gateway=gateway(java_pid=7, build="Build 1"),
        session=session(
            up_since=NOW - timedelta(hours=1),
            accounts=("U1234567",),
            next="the next tickle",
            next_at=NOW + timedelta(seconds=20),
            losses=2,
        ),
        login=LoginSection(
            updated_at=NOW - timedelta(hours=1), state="succeeded", why="signed in", duration_s=2.34, logins_24h=3
        ),
        fetch=FetchSection(updated_at=NOW, state="succeeded", why="all", saved="/x/latest.json", saved_at=NOW),
    )
    assert as_text(status, NOW).splitlines() == [
        "gateway  up for 2 h 0 min",
        "         https://127.0.0.1:5000 → https://x",
        "         Java 7, IBKR's build Build 1",
        "session  up for 3 min 0 s: the portfolio tier answers",
        "         signed in for 1 h 0 min; accounts U1234567",
        "         next: the next tickle in 20 s",
        "         lost 2 times since the watchdog started",
        "login    succeeded 1 h 0 min ago in 2.3 s: signed in",
        "         in 24 h: 3 succeeded, 0 failed",
        "fetch    succeeded 0 s ago: all",
        "         saved 0 s ago: /x/latest.json",
    ]


def test_what_to_do_about_a_gateway_that_does_not_run() -> None:
    """Not where it rests because of what is to be done first, nor where a simulator is in its place."""
    start = "to do, if it should run: sudo systemctl start ibkr-gateway; if that fails, sudo ibkr-tools doctor says why"
    first = "to do: sudo ibkr-tools doctor, which says what is missing"
    down = session(SessionState.GATEWAY_DOWN)
    assert start in as_text(Status(gateway=gateway(state="stopped"), session=down), NOW)
    assert first in as_text(Status(), NOW)
    for status, problem in (
        (Status(gateway=gateway(), session=session()), None),
        (Status(gateway=gateway(state="stopped")), BROKEN),
        (Status(session=session()), None),
        (Status(), BROKEN),
    ):
        told = as_text(status, NOW, problem=problem)
        assert not any(words in told for words in (start, first)), told


def test_the_status_of_another_process_is_fitted_to_the_terminal() -> None:
    """Nothing of it is lost, and what is no line of the status stays as it is."""
    whole = as_text(Status(gateway=gateway(state="stopped")), NOW, problem=BROKEN)
    shown = fitted(f"{whole}\nerror: {'x' * 90}", colour=str, width=60)
    *lines, error = shown.splitlines()
    assert max(map(len, lines)) <= 60 < max(map(len, whole.splitlines()))
    assert " ".join(" ".join(lines).split()) == " ".join(whole.split())
    assert error == f"error: {'x' * 90}"
    assert fitted(whole, colour=str.upper, width=1000) != whole


def test_pause_window_and_many_logins() -> None:
    """A pause shows also while the session is up, and what IBKR's calendar or the number of logins changes."""
    until = NOW + timedelta(hours=2, minutes=30)
    login = LoginSection(
        updated_at=NOW, state="succeeded", why="signed in", logins_24h=24, logins_limited_until=NOW + timedelta(hours=5)
    )
    up = session(paused=True, paused_until=until, window="the nightly reset, until 06:45 UTC")
    assert as_text(Status(session=up, login=login), NOW).splitlines()[1:7] == [
        "session  up for 3 min 0 s: the portfolio tier answers",
        "         paused until 2026-11-22 14:30 UTC (in 2 h 30 min): nothing logs in",
        "         at IBKR: the nightly reset, until 06:45 UTC",
        "login    succeeded 0 s ago: signed in",
        "         in 24 h: 24 succeeded, 0 failed",
        "         so many logins are noticed: unattended ones are an hour apart for 5 h 0 min more",
    ]
    endless = as_text(Status(session=session(SessionState.PAUSED, paused=True), login=login), NOW + timedelta(hours=5))
    assert "paused until `ibkr-tools resume`: nothing logs in" in endless
    assert "apart" not in endless
    assert exit_code(Status(gateway=gateway(), session=up), NOW) == 0


def test_a_penalty_shows_until_it_is_over() -> None:
    """Also after the watchdog that said so was stopped."""
    status = Status(session=session(limited_until=NOW + timedelta(minutes=14, seconds=3)))
    line = "IBKR says that too many requests were sent: none is for 14 min 3 s more"
    assert line in as_text(status, NOW)
    assert json.loads(as_json(status, NOW))["session"]["limited_until"] == "2026-11-22T12:14:03Z"
    assert "too many" not in as_text(status, NOW + timedelta(minutes=14, seconds=3))


def test_nothing_has_run_yet() -> None:
    assert as_text(Status(), NOW).splitlines() == [
        "gateway  no gateway of ours has run here",
        "         to do: sudo ibkr-tools doctor, which says what is missing",
        "session  no watchdog has run here",
        "login    none yet",
        "fetch    none yet",
    ]


def test_silence_and_a_stop_are_told_apart() -> None:
    silent = as_text(Status(session=session(age_s=300)), NOW)
    assert "the watchdog has said nothing for 5 min 0 s; this may be out of date" in silent
    stopped = SessionSection(
        updated_at=NOW - timedelta(minutes=5), fresh_for_s=0.0, state=SessionState.UP, since=NOW, why="x"
    )
    assert "the watchdog was stopped 5 min 0 s ago" in as_text(Status(session=stopped), NOW)


def test_what_a_person_should_do_is_shown() -> None:
    text = as_text(Status(session=session(SessionState.LOCKED_OUT, todo="Check the password")), NOW)
    assert "to do: Check the password" in text


def test_a_text_of_others_cannot_move_the_cursor() -> None:
    """Reasons quote IBKR's answers and file contents."""
    text = as_text(Status(session=session(why="a\x1b[2J\r\nsession  up\x07\u202e")), NOW)
    assert len(text.splitlines()) == 4
    assert not set(text) & set("\x1b\r\x07\u202e")


def test_json_has_ages_and_everything(tmp_path: object) -> None:
    document = json.loads(as_json(Status(gateway=gateway(), session=session(age_s=31)), NOW))
    assert document["session"]["stale"] is True
    assert document["session"]["age_s"] == 31.0
    assert document["gateway"]["stale"] is False
    assert document["login"] is None
    assert document["schema"] == 1


def test_times_from_a_clock_that_was_set_do_no_harm() -> None:
    future = session(since=NOW + timedelta(days=1), up_since=NOW + timedelta(days=1), next_at=NOW - timedelta(days=1))
    assert "0 s" in as_text(Status(session=future), NOW)


def test_report_of_a_page_that_has_changed_is_named() -> None:
    """A person is asked to publish it, and a script finds it."""
    path = "/var/lib/ibkr-tools/login/page_reports/16b850209554.txt"
    login = LoginSection(
        updated_at=NOW, state="succeeded", why="as before", recognised={"username": "role"}, page_reports=(path,)
    )
    text = as_text(Status(login=login), NOW)
    assert "IBKR has changed its login page; no selector found username" in text
    assert f"please report it, with {path}" in text
    assert json.loads(as_json(Status(login=login), NOW))["login"]["page_reports"] == [path]


def test_statements_have_a_row_once_some_were_fetched() -> None:
    """What is short, what to do, and until when there are some."""
    flex = FlexSection(
        updated_at=NOW - timedelta(minutes=2),
        state="action-required",
        why="the token has expired (1012)",
        todo="Make a new token",
        problems=("U1: the statement begins later",),
        covered_to=NOW.date(),
    )
    assert as_text(Status(flex=flex), NOW).splitlines()[4:] == [
        "flex     action-required 2 min 0 s ago: the token has expired (1012)",
        "         statements until 2026-11-22",
        "         U1: the statement begins later",
        "         to do: Make a new token",
    ]
    assert json.loads(as_json(Status(flex=flex), NOW))["flex"]["covered_to"] == "2026-11-22"


@pytest.mark.parametrize(("state", "code"), [("succeeded", 0), ("failed", 75), ("action-required", 77)])
def test_where_statements_alone_are_fetched_the_code_is_theirs(state: Any, code: int) -> None:
    flex = FlexSection(updated_at=NOW, state=state, why="x")
    assert exit_code(Status(flex=flex), NOW) == code
    assert exit_code(Status(flex=flex, session=session()), NOW) == 0
    assert exit_code(Status(flex=flex, gateway=gateway(state="stopped")), NOW) == 69


BROKEN = ConfigError("config.json: 2 problems:\n  gateway.port: no\n  account: missing", hint="See the example.")


def test_a_wrong_configuration_is_named_first_with_what_to_type() -> None:
    """The gateway that has stopped for it says nothing more."""
    lines = as_text(Status(gateway=gateway(state="stopped")), NOW, problem=BROKEN).splitlines()
    assert lines[0] == "config   wrong: config.json: 2 problems:"
    assert lines[1:3] == ["         gateway.port: no", "         account: missing"]
    assert lines[4].startswith("         to do: correct it (`ibkr-tools config check`), then sudo systemctl")
    assert lines[5].startswith("gateway  stopped")
    assert json.loads(as_json(Status(), NOW, problem=BROKEN))["configuration_problem"] == BROKEN.message
    assert json.loads(as_json(Status(), NOW))["configuration_problem"] is None


def test_a_narrow_terminal_gets_more_lines() -> None:
    text = as_text(Status(session=session(why="the portfolio tier answers, " * 6)), NOW, problem=BROKEN, width=40)
    assert all(len(line) <= 40 for line in text.splitlines())


def test_the_first_word_has_the_colour_of_what_it_means() -> None:
    assert coloured("up for 3 min: x") == "\x1b[32mup\x1b[0m for 3 min: x"
    assert coloured("locked-out for 1 s: x").startswith("\x1b[31mlocked-out\x1b[0m ")
    assert coloured("to do: this") == "\x1b[1mto do: this\x1b[0m"
    assert coloured("none yet") == "none yet"
    for state in SessionState:
        assert coloured(f"{state.value} x").startswith("\x1b["), state


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({}, False)],
)
def test_a_person_may_want_no_colours(environment: dict[str, str], expected: bool) -> None:
    assert is_coloured(environment) is expected
