"""The login ledger: what it counts, when it locks, and that no crash lets one password too many out."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ibkr_tools.config import Secret
from ibkr_tools.errors import LockedOut, OutputError
from ibkr_tools.login.ledger import DAY, Book, Entry, Ledger, budget
from ibkr_tools.login.outcome import Mark

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PASSWORD = Secret("correct horse battery staple")


def book_of(*marks: tuple[float, Mark] | tuple[float, Mark, str]) -> Book:
    """A book of entries, given as minutes before NOW, mark, and tag."""
    entries = []
    for number, (ago, mark, *tag) in enumerate(marks):
        at = NOW - ago * MINUTE
        settled = None if mark is Mark.SUBMITTED else at
        entries.append(
            Entry(id=str(number), at=at, user="u", tag=str(tag[0]) if tag else "a", mark=mark, settled_at=settled)
        )
    return Book(salt="00", entries=tuple(entries))


@pytest.mark.parametrize(
    ("book", "locked"),
    [
        (book_of(), False),
        (book_of((20, Mark.REFUSED)), False),
        (book_of((30, Mark.REFUSED), (20, Mark.REFUSED)), True),
        (book_of((30, Mark.REFUSED, "a"), (20, Mark.REFUSED, "b")), False),
        (book_of((40, Mark.REFUSED), (30, Mark.SUCCEEDED), (20, Mark.REFUSED)), False),
        (book_of((40, Mark.REFUSED), (30, Mark.FAILED), (20, Mark.REFUSED)), True),
        (book_of((40, Mark.REFUSED), (30, Mark.SUBMITTED), (20, Mark.REFUSED)), True),
        (book_of((4000, Mark.REFUSED), (20, Mark.REFUSED)), True),
        (book_of(*[(60 - n, Mark.FAILED) for n in range(3)]), False),
        (book_of(*[(60 - n, Mark.FAILED) for n in range(4)]), True),
        (book_of(*[(60 - n, Mark.SUBMITTED) for n in range(4)]), True),
        (book_of(*[(60 - n, Mark.UNSUBMITTED) for n in range(9)]), False),
        (book_of((90, Mark.FAILED), (80, Mark.SUCCEEDED), *[(60 - n, Mark.FAILED) for n in range(3)]), True),
        (book_of((1500, Mark.FAILED), *[(60 - n, Mark.FAILED) for n in range(3)]), False),
        (book_of(*[(9000 - n, Mark.FAILED) for n in range(4)], (5, Mark.SUCCEEDED)), True),
        (book_of((5, Mark.STOP)), True),
        (book_of((9000, Mark.STOP), (5, Mark.SUCCEEDED)), True),
    ],
)
def test_lock(book: Book, locked: bool) -> None:
    """Two refusals of one password in a row, or four failures in a day, lock, and no time opens that lock."""
    found = budget(book, NOW)
    assert found.locked is locked
    assert found.allowed is not locked or found.wait_until is not None
    assert ("unlock" in found.why) is locked


@pytest.mark.parametrize(
    ("book", "minutes"),
    [
        (book_of((0, Mark.SUCCEEDED)), None),
        (book_of((0, Mark.REFUSED)), None),
        (book_of((9, Mark.REFUSED), (0, Mark.FAILED)), 1),
        (book_of((0, Mark.FAILED)), 1),
        (book_of((0, Mark.SUBMITTED)), 1),
        (book_of((3, Mark.FAILED), (0, Mark.FAILED)), 5),
        (book_of((20, Mark.FAILED), (10, Mark.FAILED), (0, Mark.FAILED)), 15),
        (book_of((20, Mark.FAILED), (10, Mark.SUCCEEDED), (0, Mark.FAILED)), 1),
        (book_of((0, Mark.UNSUBMITTED)), None),
        (book_of((3, Mark.UNSUBMITTED), (0, Mark.UNSUBMITTED)), 1),
        (book_of(*[(60 - n, Mark.UNSUBMITTED) for n in range(20)], (0, Mark.UNSUBMITTED)), 15),
        (book_of((-5000, Mark.FAILED)), 1),
    ],
)
def test_pause(book: Book, minutes: float | None) -> None:
    """Unattended logins wait ever longer after failures, whatever the clock did; a refusal is no matter of time."""
    found = budget(book, NOW)
    assert found.wait_until == (None if minutes is None else NOW + minutes * MINUTE)
    assert found.allowed is (minutes is None)


def test_refused_password_is_remembered_until_a_person_acts(tmp_path: Path) -> None:
    """IBKR's no holds for that password, past other failures, until a success or an unlock; not for a corrected one."""
    ledger = Ledger(tmp_path)
    assert not ledger.was_refused(PASSWORD)
    ledger.settle(ledger.enter(NOW, "reader", PASSWORD), Mark.REFUSED, NOW)
    ledger.note_unsubmitted(NOW, "reader")
    assert ledger.was_refused(PASSWORD)
    assert not ledger.was_refused(Secret("corrected"))
    ledger.unlock(NOW)
    assert not ledger.was_refused(PASSWORD)
    ledger.settle(ledger.enter(NOW, "reader", PASSWORD), Mark.REFUSED, NOW)
    ledger.settle(ledger.enter(NOW, "reader", Secret("corrected")), Mark.SUCCEEDED, NOW)
    assert not ledger.was_refused(PASSWORD)
    ledger.path.write_text("{}")
    assert ledger.was_refused(PASSWORD)


def test_counts_are_of_the_last_day() -> None:
    """Failures and logins are counted for 24 hours, also across an unlock."""
    book = book_of((1500, Mark.SUCCEEDED), (1500, Mark.FAILED), (30, Mark.SUCCEEDED), (20, Mark.SUBMITTED))
    found = budget(book, NOW)
    assert (found.failures_24h, found.logins_24h) == (1, 1)


def test_entry_is_on_disk_before_anything_is_submitted(tmp_path: Path) -> None:
    """Entering writes the entry, private to the owner, without the password or anything to check guesses with."""
    ledger = Ledger(tmp_path / "login")
    entry = ledger.enter(NOW, "reader", PASSWORD)
    file = tmp_path / "login" / "ledger.json"
    assert file.stat().st_mode & 0o777 == 0o600
    written = json.loads(file.read_bytes())["entries"]
    assert [(one["id"], one["mark"]) for one in written] == [(entry, "submitted")]
    assert PASSWORD.reveal() not in file.read_text()
    assert len(written[0]["tag"]) == 4
    ledger.settle(entry, Mark.SUCCEEDED, NOW + MINUTE)
    assert Ledger(tmp_path / "login").budget(NOW + MINUTE).logins_24h == 1


def test_same_password_is_recognised_only_within_one_ledger(tmp_path: Path) -> None:
    """The tag depends on a salt of this ledger."""
    tags = []
    for name in ("one", "other", "third"):
        ledger = Ledger(tmp_path / name)
        ledger.enter(NOW, "reader", PASSWORD)
        ledger.enter(NOW, "reader", PASSWORD)
        entries = json.loads((tmp_path / name / "ledger.json").read_bytes())["entries"]
        assert entries[0]["tag"] == entries[1]["tag"]
        tags.append(entries[0]["tag"])
    assert len(set(tags)) > 1


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"salt":"00","entries":[{"id":"1"}]}',
        b'{"salt":"zz"}',
        b'{"salt":"00","schema":2}',
        b'{"salt":"00","entries":[{"id":"1","at":"2026-05-04T12:00:00","user":"u","tag":"a","mark":"failed"}]}',
    ],
)
def test_damaged_ledger_is_locked_until_a_person_unlocks(tmp_path: Path, damage: bytes) -> None:
    """What cannot be read counts as spent; unlocking begins a new ledger."""
    ledger = Ledger(tmp_path)
    ledger.path.write_bytes(damage)
    assert ledger.budget(NOW).locked
    with pytest.raises(LockedOut, match="cannot be read"):
        ledger.enter(NOW, "reader", PASSWORD)
    assert ledger.path.read_bytes() == damage
    assert ledger.unlock(NOW).locked
    assert ledger.budget(NOW).allowed
    ledger.enter(NOW, "reader", PASSWORD)


def test_nothing_is_submitted_when_the_disk_does_not_take_the_entry(tmp_path: Path) -> None:
    """Without an entry there is no password."""
    (tmp_path / "login").write_text("a file where the directory should be")
    with pytest.raises(OutputError):
        Ledger(tmp_path / "login").enter(NOW, "reader", PASSWORD)


def test_old_entries_go_but_never_a_lock_or_a_row(tmp_path: Path) -> None:
    """After two days entries are forgotten, but not the refusal that the next one would complete."""
    ledger = Ledger(tmp_path)
    for days in range(3):
        ledger.settle(ledger.enter(NOW + days * DAY, "reader", PASSWORD), Mark.SUCCEEDED, NOW + days * DAY)
    ledger.settle(ledger.enter(NOW + 3 * DAY, "reader", PASSWORD), Mark.REFUSED, NOW + 3 * DAY)
    later = NOW + 30 * DAY
    ledger.settle(ledger.enter(later, "reader", PASSWORD), Mark.REFUSED, later)
    entries = json.loads(ledger.path.read_bytes())["entries"]
    assert [entry["mark"] for entry in entries] == ["refused", "refused"]
    assert ledger.budget(later + 365 * DAY).locked


class LoginsThatCrash(RuleBasedStateMachine):
    """Many logins by two passwords, each of which may crash anywhere, on a clock that may jump."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.folder.name))
        self.now = NOW
        self.failed: list[datetime] = []
        self.refused: list[str] = []

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(
        password=st.sampled_from(["one", "two"]),
        end=st.sampled_from(["crash", Mark.SUCCEEDED, Mark.REFUSED, Mark.FAILED]),
    )
    def log_in(self, password: str, end: str) -> None:
        """Submits if the ledger lets us; the process may die before it can say how it ended."""
        try:
            entry = Ledger(self.ledger.path.parent).enter(self.now, "reader", Secret(password))
        except LockedOut:
            return
        if end != "crash":
            self.ledger.settle(entry, Mark(end), self.now)
        if end == Mark.SUCCEEDED:
            self.refused = []
        else:
            self.failed.append(self.now)
            if end == Mark.REFUSED:
                self.refused = [*(one for one in self.refused if one == password), password]

    @rule(minutes=st.integers(0, 2000))
    def wait(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @precondition(lambda self: self.ledger.budget(self.now).locked)
    @rule()
    def unlock(self) -> None:
        """A person decides that it may go on: the count begins anew."""
        self.ledger.unlock(self.now)
        self.failed, self.refused = [], []

    @invariant()
    def never_more_than_the_budget(self) -> None:
        """No 24 hours hold more than four failures, no row more than two refusals of one password."""
        for first in self.failed:
            assert sum(1 for at in self.failed if timedelta() <= at - first < DAY) <= 4
        assert len(self.refused) <= 2


LoginsThatCrash.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLoginsThatCrash = LoginsThatCrash.TestCase


@given(
    marks=st.lists(st.tuples(st.integers(-500, 5000), st.sampled_from(list(Mark)), st.sampled_from("ab")), max_size=30)
)
@settings(max_examples=200, deadline=None)
def test_budget_is_total_and_consistent(marks: list[tuple[float, Mark, str]]) -> None:
    """Any book has an answer: locked, waiting or allowed, and only one of them."""
    found = budget(book_of(*marks), NOW)
    assert found.allowed == (not found.locked and found.wait_until is None)
    assert not (found.locked and found.wait_until)
    assert found.wait_until is None or NOW < found.wait_until <= NOW + 15 * MINUTE
