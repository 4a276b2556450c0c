"""What a person is told: when it begins, once; when it is over; and what the messages say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace as replace_struct

from ibkr_tools import messages
from ibkr_tools.log import Journal
from ibkr_tools.messages import Message
from ibkr_tools.status import FetchSection, LoginSection, SessionState
from ibkr_tools.watchdog import brokerage, concerns
from ibkr_tools.watchdog.brokerage import Handshake
from ibkr_tools.watchdog.concerns import ACCOUNTS, BROKERAGE, LOGINS, OUTAGE, PARTS, PERSON, TOPICS, Concern
from ibkr_tools.watchdog.desk import Desk
from ibkr_tools.watchdog.observations import Paused, Resumed, Verdict
from ibkr_tools.watchdog.state import State
from tests.support.machine_world import World, login

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OUTAGE_S = 3600.0
UP = State(phase=SessionState.UP, why="fine", up_since_s=1.0, without_since_s=None)
DOWN = State(phase=SessionState.UNREACHABLE, why="IBKR answers HTTP 503", without_since_s=1000.0)
SAVED = FetchSection(updated_at=NOW, state="succeeded", why="all of it")
LOCKED = replace(DOWN, phase=SessionState.LOCKED_OUT, why="the password was refused", todo="Check the password")


def many(until: timedelta) -> LoginSection:
    return LoginSection(updated_at=NOW, state="succeeded", why="ok", logins_24h=25, logins_limited_until=NOW + until)


def found(state: State, now_s: float = 1001.0, said: LoginSection | None = None) -> dict[str, Concern]:
    concerning = concerns.open_ones(state, now_s, outage_s=OUTAGE_S, login=said, now=NOW)
    return {concern.topic: concern for concern in concerning}


def over(state: State, said: LoginSection | None = None, fetch: FetchSection | None = None) -> set[str]:
    return set(concerns.settled(state, login=said, now=NOW, fetch=fetch))


def test_all_is_well() -> None:
    assert found(UP, 1e6) == {}
    assert over(UP, fetch=SAVED) == set(TOPICS)


def test_a_lock_out_needs_a_person() -> None:
    one = found(LOCKED)[PERSON]
    assert (one.what, one.todo) == ("the password was refused", "Check the password")
    assert "nothing logs in" in one.next


def test_a_login_that_cannot_work_needs_a_person() -> None:
    broken = replace(DOWN, phase=SessionState.BACKING_OFF, why="no browser", todo="Install chromium")
    said = LoginSection(updated_at=NOW, state="broken", why="no browser", todo="Install chromium")
    assert found(broken, said=said)[PERSON].todo == "Install chromium"


def test_advice_for_a_login_that_is_tried_again_disturbs_nobody() -> None:
    """A gateway that is restarted is away for seconds, and a login that meets that says how to start it."""
    failed = replace(DOWN, phase=SessionState.BACKING_OFF, why="nothing listens", todo="systemctl start ibkr-gateway")
    said = LoginSection(updated_at=NOW, state="failed", why="nothing listens", todo="systemctl start ibkr-gateway")
    assert found(failed, said=said) == {}


def test_trying_again_does_not_take_it_back() -> None:
    """A broken login is tried now and then: that is no news, good or bad."""
    assert over(replace(DOWN, phase=SessionState.LOGGING_IN)) == set()


@pytest.mark.parametrize(("seconds", "told"), [(3599.0, False), (3600.0, True)])
def test_an_outage_is_told_after_its_time(seconds: float, told: bool) -> None:
    assert (OUTAGE in found(DOWN, 1000.0 + seconds)) is told


def test_an_outage_says_how_long_and_why() -> None:
    one = found(DOWN, 1000.0 + 5400.0)[OUTAGE]
    assert "90 minutes" in one.what
    assert "HTTP 503" in one.what
    assert one.next == DOWN.next
    assert one.todo is None


def test_a_pause_is_no_outage() -> None:
    """And after it the time counts from its end."""
    world = World(session=Verdict.DEAD, login_ends=None)
    world.feed(Paused())
    world.run(7200)
    assert found(world.state, world.now_s) == {}
    world.feed(Resumed())
    assert found(world.state, world.now_s + 3500) == {}
    assert OUTAGE in found(world.state, world.now_s + 3601)


def test_the_brokerage_tier_that_does_not_come() -> None:
    exhausted = replace(UP, phase=SessionState.DEGRADED, handshake=Handshake(exhausted=True))
    one = found(exhausted)[BROKERAGE]
    assert one.todo == brokerage.MISSING_TODO
    assert "15 minutes" in one.next
    assert BROKERAGE not in over(exhausted)
    assert BROKERAGE not in over(replace(UP, phase=SessionState.DEGRADED)), "until it is there"


def test_the_brokerage_tier_that_another_program_wants_as_well() -> None:
    contested = replace(UP, phase=SessionState.COMPETING, handshake=Handshake(contested=True))
    assert found(contested)[BROKERAGE].todo == brokerage.CONTESTED_TODO


def test_too_many_logins() -> None:
    one = found(UP, said=many(timedelta(hours=3)))[LOGINS]
    assert "25" in one.what
    assert "15:00 UTC" in one.next
    assert LOGINS not in over(UP, many(timedelta(hours=3)))
    assert LOGINS in over(UP, many(timedelta(hours=-1)))
    assert found(UP, said=many(timedelta(hours=-1))) == {}


# The desk.


class Watched:
    """A desk, and what it has put into its outbox since the last look."""

    def __init__(self, outbox: Path) -> None:
        self.outbox = outbox
        self.desk = Desk(outbox, Journal(), user="sampleuser", outage_s=OUTAGE_S, now=lambda: NOW)

    def look(
        self,
        state: State,
        now_s: float = 1001.0,
        said: LoginSection | None = None,
        fetch: FetchSection | None = None,
    ) -> list[tuple[str, bool]]:
        self.desk.look(state, now_s, said, fetch)
        return [(message.topic, message.over) for message in self.taken()]

    def taken(self) -> list[Message]:
        found = []
        for path in messages.waiting(self.outbox):
            message = messages.read(path)
            assert message is not None
            found.append(message)
            path.unlink()
        return found


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "outbox")


def test_told_once_and_once_that_it_is_over(watched: Watched) -> None:
    assert watched.look(LOCKED) == [(PERSON, False)]
    assert watched.look(LOCKED) == []
    assert watched.look(replace(DOWN, phase=SessionState.LOGGING_IN)) == []
    assert watched.look(LOCKED) == []
    assert (PERSON, True) in watched.look(UP)
    assert watched.look(UP) == []
    assert watched.look(LOCKED) == [(PERSON, False)]
    assert watched.look(UP) == [(PERSON, True)]


def test_the_first_session_closes_what_a_former_life_may_have_told(watched: Watched) -> None:
    assert watched.look(DOWN) == []
    assert sorted(watched.look(UP, fetch=SAVED)) == sorted((topic, True) for topic in TOPICS)
    assert watched.look(UP, fetch=SAVED) == []


def test_what_a_message_says(watched: Watched) -> None:
    watched.desk.look(LOCKED, 1001.0, None)
    (message,) = watched.taken()
    assert message.at == NOW
    assert message.user == "sampleuser"
    assert message.what == LOCKED.why
    assert message.todo == LOCKED.todo
    assert message.next


def test_units_that_work(watched: Watched) -> None:
    watched.desk.unit_is_well("ibkr-gateway.service", "ibkr-firewall.service")
    assert [(message.topic, message.over) for message in watched.taken()] == [
        ("unit:ibkr-gateway.service", True),
        ("unit:ibkr-firewall.service", True),
    ]


def test_an_outbox_that_takes_nothing_is_an_error_once_and_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    watched = Watched(tmp_path / "file" / "outbox")
    for _ in range(3):
        watched.desk.look(LOCKED, 1001.0, None)
    assert capsys.readouterr().err.count("cannot be left") == 1
    (tmp_path / "file").unlink()
    assert watched.look(LOCKED) == [(PERSON, False)]


def test_a_story(watched: Watched) -> None:
    """A refusal over lunch: one message, and one when the person has acted."""
    world = World(session=Verdict.DEAD, login_ends="refused")
    told: list[tuple[str, bool]] = []
    for _ in range(30):
        world.run(60)
        told += watched.look(world.state, world.now_s)
    world.login_ends = "succeeded"
    world.feed(login("unlocked"))
    for _ in range(3):
        world.run(60)
        told += [one for one in watched.look(world.state, world.now_s) if one[0] in {PERSON, OUTAGE}]
    assert told == [(PERSON, False), *(one for one in told[1:] if one[1])]
    assert (PERSON, True) in told


def test_an_account_that_answers_nothing_is_told_once_and_another_one_anew(watched: Watched) -> None:
    """A fetch of ten a day that fails for it is no news; one more account is."""
    failed = FetchSection(updated_at=NOW, state="failed", why="no", missing_accounts={"U2": "IBKR answers HTTP 500"})
    assert (ACCOUNTS, False) in watched.look(UP, fetch=failed)
    assert watched.look(UP, fetch=failed) == []
    more = replace_struct(failed, missing_accounts={"U2": "HTTP 500", "U3": "HTTP 404"})
    assert watched.look(UP, fetch=more) == [(ACCOUNTS, False)]
    other = replace_struct(more, why="no session")
    assert watched.look(UP, fetch=other) == []
    assert (ACCOUNTS, True) in watched.look(UP, fetch=SAVED)
    assert watched.look(UP, fetch=SAVED) == []


def test_a_missing_part_is_told_once_and_when_it_comes(watched: Watched) -> None:
    without = replace_struct(SAVED, missing={"performance": "IBKR answers HTTP 503"})
    assert (PARTS, False) in watched.look(UP, fetch=without)
    assert watched.look(UP, fetch=without) == []
    assert watched.look(UP, fetch=SAVED) == [(PARTS, True)]


def test_what_a_message_about_an_account_says(watched: Watched) -> None:
    watched.desk.look(UP, 1001.0, None, replace_struct(SAVED, missing_accounts={"U2": "IBKR answers HTTP 500"}))
    message = next(one for one in watched.taken() if one.topic == ACCOUNTS)
    assert message.what == "U2 cannot be fetched: IBKR answers HTTP 500"
    assert message.todo
    assert "fetch.accounts" in message.todo
    assert "saved without" in message.next
