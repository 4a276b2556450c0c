"""Which alerts are published: when they begin, once; when they are resolved; and what the messages say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from loguru import logger
from msgspec.structs import replace as replace_struct

from ibkr_tools import alert_outbox
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.status import FetchSection, LoginSection, SessionState
from ibkr_tools.watchdog import alert_rules, brokerage_session
from ibkr_tools.watchdog.alert_publisher import AlertPublisher
from ibkr_tools.watchdog.alert_rules import (
    BROKERAGE_MISSING,
    MANY_LOGINS,
    MISSING_ACCOUNTS,
    MISSING_PARTS,
    OUTAGE,
    PAGE_CHANGED,
    PERSON_NEEDED,
    RESOLVED_TEXTS,
    Alert,
)
from ibkr_tools.watchdog.brokerage_session import BrokerageState
from ibkr_tools.watchdog.events import PauseEnded, PauseStarted, Verdict
from ibkr_tools.watchdog.state import State
from tests.support.state_machine_environment import Environment, login

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OUTAGE_S = 3600.0
UP = State(phase=SessionState.UP, why="fine", up_since_s=1.0, outage_since_s=None)
DOWN = State(phase=SessionState.UNREACHABLE, why="IBKR answers HTTP 503", outage_since_s=1000.0)
SAVED = FetchSection(updated_at=NOW, state="succeeded", why="all of it")
LOCKED = replace(DOWN, phase=SessionState.LOCKED_OUT, why="the password was refused", todo="Check the password")


def many(until: timedelta) -> LoginSection:
    return LoginSection(updated_at=NOW, state="succeeded", why="ok", logins_24h=25, logins_limited_until=NOW + until)


def active_by_topic(state: State, now_s: float = 1001.0, report: LoginSection | None = None) -> dict[str, Alert]:
    alerts = alert_rules.evaluate(state, now_s, NOW, OUTAGE_S, report, None)
    return {topic: alert for topic, alert in alerts.items() if not alert.over}


def over(state: State, report: LoginSection | None = None, fetch: FetchSection | None = None) -> set[str]:
    alerts = alert_rules.evaluate(state, 1001.0, NOW, OUTAGE_S, report, fetch)
    return {topic for topic, alert in alerts.items() if alert.over}


def test_all_is_well() -> None:
    assert active_by_topic(UP, 1e6) == {}
    assert over(UP, many(timedelta()), SAVED) == set(RESOLVED_TEXTS)


def test_a_page_that_has_changed_is_told_though_all_is_well() -> None:
    """Until a login finds a page that is known; one that fails says nothing of that."""
    went_by_role = replace_struct(many(timedelta()), recognised={"username": "role", "submit": "structure"})
    alert = active_by_topic(UP, report=went_by_role)[PAGE_CHANGED]
    assert "no selector found submit, username" in alert.what
    assert "docs/login.md" in str(alert.todo)
    report = "/var/lib/ibkr-tools/login/page_reports/16b850209554.txt"
    with_report = replace_struct(went_by_role, page_reports=(report,))
    assert report in str(active_by_topic(UP, report=with_report)[PAGE_CHANGED].todo)
    assert PAGE_CHANGED in over(UP, many(timedelta()))
    assert PAGE_CHANGED not in over(UP, LoginSection(updated_at=NOW, state="failed", why="IBKR is away"))


def test_a_lock_out_needs_a_person() -> None:
    alert = active_by_topic(LOCKED)[PERSON_NEEDED]
    assert (alert.what, alert.todo) == ("the password was refused", "Check the password")
    assert "nothing logs in" in alert.next


def test_a_login_that_cannot_work_needs_a_person() -> None:
    broken = replace(DOWN, phase=SessionState.BACKING_OFF, why="no browser", todo="Install chromium")
    report = LoginSection(updated_at=NOW, state="broken", why="no browser", todo="Install chromium")
    assert active_by_topic(broken, report=report)[PERSON_NEEDED].todo == "Install chromium"


def test_advice_for_a_login_that_is_tried_again_disturbs_nobody() -> None:
    """A gateway that is restarted is away for seconds, and a login that meets that says how to start it."""
    failed = replace(DOWN, phase=SessionState.BACKING_OFF, why="nothing listens", todo="systemctl start ibkr-gateway")
    report = LoginSection(updated_at=NOW, state="failed", why="nothing listens", todo="systemctl start ibkr-gateway")
    assert active_by_topic(failed, report=report) == {}


def test_trying_again_does_not_take_it_back() -> None:
    """A broken login is tried now and then: that is no news, good or bad."""
    assert over(replace(DOWN, phase=SessionState.LOGGING_IN)) == set()


@pytest.mark.parametrize(("seconds", "told"), [(3599.0, False), (3600.0, True)])
def test_an_outage_is_told_after_its_time(seconds: float, told: bool) -> None:
    assert (OUTAGE in active_by_topic(DOWN, 1000.0 + seconds)) is told


def test_an_outage_says_how_long_and_why() -> None:
    alert = active_by_topic(DOWN, 1000.0 + 5400.0)[OUTAGE]
    assert "90 minutes" in alert.what
    assert "HTTP 503" in alert.what
    assert alert.next == DOWN.schedule.next
    assert alert.todo is None


def test_a_pause_is_no_outage() -> None:
    """And after it the time counts from its end."""
    environment = Environment(session=Verdict.DEAD, login_ends=None)
    environment.dispatch(PauseStarted())
    environment.run(7200)
    assert active_by_topic(environment.state, environment.now_s) == {}
    environment.dispatch(PauseEnded())
    assert active_by_topic(environment.state, environment.now_s + 3500) == {}
    assert OUTAGE in active_by_topic(environment.state, environment.now_s + 3601)


def test_the_brokerage_tier_that_does_not_come() -> None:
    exhausted = replace(UP, phase=SessionState.DEGRADED, brokerage=BrokerageState(exhausted=True))
    alert = active_by_topic(exhausted)[BROKERAGE_MISSING]
    assert alert.todo == brokerage_session.MISSING_TODO
    assert "15 minutes" in alert.next
    assert BROKERAGE_MISSING not in over(exhausted)
    assert BROKERAGE_MISSING not in over(replace(UP, phase=SessionState.DEGRADED)), "until it is there"


def test_the_brokerage_tier_that_another_program_wants_as_well() -> None:
    contested = replace(UP, phase=SessionState.COMPETING, brokerage=BrokerageState(contested=True))
    assert active_by_topic(contested)[BROKERAGE_MISSING].todo == brokerage_session.CONTESTED_TODO


def test_too_many_logins() -> None:
    alert = active_by_topic(UP, report=many(timedelta(hours=3)))[MANY_LOGINS]
    assert "25" in alert.what
    assert "15:00 UTC" in alert.next
    assert MANY_LOGINS not in over(UP, many(timedelta(hours=3)))
    assert MANY_LOGINS in over(UP, many(timedelta(hours=-1)))
    assert active_by_topic(UP, report=many(timedelta(hours=-1))) == {}


# The publisher.


class WatchedOutbox:
    """A publisher, and what it has put into its outbox since the last update."""

    def __init__(self, outbox: Path) -> None:
        self.outbox = outbox
        self.publisher = AlertPublisher(outbox, user="sampleuser", outage_s=OUTAGE_S, now=lambda: NOW)

    def update(
        self,
        state: State,
        now_s: float = 1001.0,
        report: LoginSection | None = None,
        fetch: FetchSection | None = None,
    ) -> list[tuple[str, bool]]:
        self.publisher.update(state, now_s, report, fetch)
        return [(message.topic, message.over) for message in self.taken()]

    def taken(self) -> list[AlertMessage]:
        taken = []
        for path in alert_outbox.pending(self.outbox):
            message = alert_outbox.read(path)
            assert message is not None
            taken.append(message)
            path.unlink()
        return taken


@pytest.fixture
def watched(tmp_path: Path) -> WatchedOutbox:
    return WatchedOutbox(tmp_path / "outbox")


def test_told_once_and_once_that_it_is_over(watched: WatchedOutbox) -> None:
    assert watched.update(LOCKED) == [(PERSON_NEEDED, False)]
    assert watched.update(LOCKED) == []
    assert watched.update(replace(DOWN, phase=SessionState.LOGGING_IN)) == []
    assert watched.update(LOCKED) == []
    assert (PERSON_NEEDED, True) in watched.update(UP)
    assert watched.update(UP) == []
    assert watched.update(LOCKED) == [(PERSON_NEEDED, False)]
    assert watched.update(UP) == [(PERSON_NEEDED, True)]


def test_the_first_session_resolves_what_an_earlier_process_may_have_published(watched: WatchedOutbox) -> None:
    assert watched.update(DOWN) == []
    report = many(timedelta())
    assert sorted(watched.update(UP, report=report, fetch=SAVED)) == sorted((topic, True) for topic in RESOLVED_TEXTS)
    assert watched.update(UP, report=report, fetch=SAVED) == []


def test_what_a_message_says(watched: WatchedOutbox) -> None:
    watched.publisher.update(LOCKED, 1001.0, None)
    (message,) = watched.taken()
    assert message.at == NOW
    assert message.user == "sampleuser"
    assert message.what == LOCKED.why
    assert message.todo == LOCKED.todo
    assert message.next


def test_units_that_work(watched: WatchedOutbox) -> None:
    watched.publisher.unit_recovered("ibkr-gateway.service", "ibkr-firewall.service")
    assert [(message.topic, message.over) for message in watched.taken()] == [
        ("unit:ibkr-gateway.service", True),
        ("unit:ibkr-firewall.service", True),
    ]


def test_an_outbox_that_takes_nothing_is_an_error_once_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    watched = WatchedOutbox(tmp_path / "file" / "outbox")
    lines: list[str] = []
    sink = logger.add(lambda text: lines.append(str(text)), level="ERROR")
    for _ in range(3):
        watched.publisher.update(LOCKED, 1001.0, None)
    logger.remove(sink)
    assert len(lines) == 1
    assert "cannot be left" in lines[0]
    (tmp_path / "file").unlink()
    assert watched.update(LOCKED) == [(PERSON_NEEDED, False)]


def test_a_refusal_and_the_unlock_are_two_messages(watched: WatchedOutbox) -> None:
    """A refusal over lunch: one message, and one when the person has acted."""
    environment = Environment(session=Verdict.DEAD, login_ends="refused")
    told: list[tuple[str, bool]] = []
    for _ in range(30):
        environment.run(60)
        told += watched.update(environment.state, environment.now_s)
    environment.login_ends = "succeeded"
    environment.dispatch(login("unlocked"))
    for _ in range(3):
        environment.run(60)
        published = watched.update(environment.state, environment.now_s)
        told += [(topic, is_over) for topic, is_over in published if topic in {PERSON_NEEDED, OUTAGE}]
    assert told == [(PERSON_NEEDED, False), *((topic, is_over) for topic, is_over in told[1:] if is_over)]
    assert (PERSON_NEEDED, True) in told


def test_an_account_that_answers_nothing_is_told_once_and_another_one_anew(watched: WatchedOutbox) -> None:
    """A fetch of ten a day that fails for it is no news; one more account is."""
    failed = FetchSection(updated_at=NOW, state="failed", why="no", missing_accounts={"U2": "IBKR answers HTTP 500"})
    assert (MISSING_ACCOUNTS, False) in watched.update(UP, fetch=failed)
    assert watched.update(UP, fetch=failed) == []
    more = replace_struct(failed, missing_accounts={"U2": "HTTP 500", "U3": "HTTP 404"})
    assert watched.update(UP, fetch=more) == [(MISSING_ACCOUNTS, False)]
    other = replace_struct(more, why="no session")
    assert watched.update(UP, fetch=other) == []
    assert (MISSING_ACCOUNTS, True) in watched.update(UP, fetch=SAVED)
    assert watched.update(UP, fetch=SAVED) == []


def test_a_missing_part_is_told_once_and_when_it_comes(watched: WatchedOutbox) -> None:
    without = replace_struct(SAVED, missing={"performance": "IBKR answers HTTP 503"})
    assert (MISSING_PARTS, False) in watched.update(UP, fetch=without)
    assert watched.update(UP, fetch=without) == []
    assert watched.update(UP, fetch=SAVED) == [(MISSING_PARTS, True)]


def test_what_a_message_about_an_account_says(watched: WatchedOutbox) -> None:
    watched.publisher.update(UP, 1001.0, None, replace_struct(SAVED, missing_accounts={"U2": "IBKR answers HTTP 500"}))
    message = next(message for message in watched.taken() if message.topic == MISSING_ACCOUNTS)
    assert message.what == "U2 cannot be fetched: IBKR answers HTTP 500"
    assert message.todo
    assert "fetch.accounts" in message.todo
    assert "saved without" in message.next
