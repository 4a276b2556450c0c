"""The login log: every password on disk before it goes out, and no crash lets one too many out."""

import json
import os
import tempfile
import typing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ibkr_tools import files
from ibkr_tools.alerts.alert_history import AlertHistory, OpenTopic
from ibkr_tools.config.secrets import Secret
from ibkr_tools.directories import Directories
from ibkr_tools.errors import DataError, LockedOut, LoginFailed, OutputError
from ibkr_tools.login.budget import DAY, MAX_FAILURES_PER_DAY
from ibkr_tools.login.login_log import MAX_LOG_FILE_BYTES, LoginLog
from ibkr_tools.login.outcomes import AttemptResult
from ibkr_tools.status import LoginSection, LoginState, StatusFile
from tests.support.clocks import BEGIN as NOW
from tests.support.clocks import Clocks
from tests.support.examples import examples

MINUTE = timedelta(minutes=1)
PASSWORD = Secret("correct horse battery staple")


def test_refused_password_is_remembered_until_a_person_acts(tmp_path: Path) -> None:
    """IBKR's no holds for that password, past other failures, until a success or an unlock; not for a corrected one."""
    login_log = LoginLog(tmp_path)
    assert not login_log.was_refused(PASSWORD, NOW)
    login_log.record_result(login_log.record_submission(NOW, "reader", PASSWORD), AttemptResult.REFUSED, NOW)
    login_log.record_unsubmitted(NOW, "reader")
    assert login_log.was_refused(PASSWORD, NOW)
    assert not login_log.was_refused(Secret("corrected"), NOW)
    login_log.unlock(NOW)
    assert not login_log.was_refused(PASSWORD, NOW)
    login_log.record_result(login_log.record_submission(NOW, "reader", PASSWORD), AttemptResult.REFUSED, NOW)
    login_log.record_result(
        login_log.record_submission(NOW, "reader", Secret("corrected")), AttemptResult.SUCCEEDED, NOW
    )
    assert not login_log.was_refused(PASSWORD, NOW)
    login_log.path.write_text("{}")
    assert login_log.was_refused(PASSWORD, NOW)


def test_entry_is_on_disk_before_anything_is_submitted(tmp_path: Path) -> None:
    """Recording writes the attempt, private to the owner, without the password or anything to check guesses with."""
    login_log = LoginLog(tmp_path / "login")
    attempt = login_log.record_submission(NOW, "reader", PASSWORD)
    file = tmp_path / "login" / "login_log.json"
    assert file.stat().st_mode & 0o777 == 0o600
    written = json.loads(file.read_bytes())["attempts"]
    assert [(row["id"], row["result"]) for row in written] == [(attempt, "submitted")]
    assert PASSWORD.reveal() not in file.read_text()
    assert len(written[0]["password_fingerprint"]) == 4
    login_log.record_result(attempt, AttemptResult.SUCCEEDED, NOW + MINUTE)
    assert LoginLog(tmp_path / "login").budget(NOW + MINUTE).logins_24h == 1


def test_same_password_is_recognised_only_within_one_login_log(tmp_path: Path) -> None:
    """The fingerprint depends on a salt of this login log."""
    fingerprints = []
    for name in ("one", "other", "third"):
        login_log = LoginLog(tmp_path / name)
        login_log.record_submission(NOW, "reader", PASSWORD)
        login_log.record_submission(NOW, "reader", PASSWORD)
        attempts = json.loads((tmp_path / name / "login_log.json").read_bytes())["attempts"]
        assert attempts[0]["password_fingerprint"] == attempts[1]["password_fingerprint"]
        fingerprints.append(attempts[0]["password_fingerprint"])
    assert len(set(fingerprints)) > 1


def assert_replaced_at_the_ceiling(login_log: LoginLog) -> None:
    """After `unlock` nobody logs in for 24 hours, and is told why and until when."""
    until = f"{NOW + DAY:%Y-%m-%d %H:%M:%S} UTC"
    for _ in range(2):
        found = login_log.unlock(NOW)
        assert (found.locked, found.allowed, found.closed_until) == (False, False, NOW + DAY)
        assert found.failures_24h == MAX_FAILURES_PER_DAY
        assert found.why.startswith("the login log was lost, so 8 failures within 24 hours are assumed")
        assert found.why.endswith(f"nothing logs in before {until}")
    with pytest.raises(LoginFailed, match=until):
        login_log.record_submission(NOW, "reader", PASSWORD)


@pytest.mark.parametrize(
    "damage",
    [
        b'{"x":' + b"[" * 100_000,
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"salt":"00","at":"2026-05-04T12:00:00Z","boot_id":"1","uptime_s":1,"attempts":[{"id":"1"}]}',
        b'{"salt":"zz","at":"2026-05-04T12:00:00Z","boot_id":"1","uptime_s":1}',
        b'{"salt":"00","at":"2026-05-04T12:00:00","boot_id":"1","uptime_s":1}',
        b'{"salt":"00","at":"2026-05-04T12:00:00Z","boot_id":"1","uptime_s":1,"schema":2}',
        (
            b'{"salt":"00","at":"2026-05-04T12:00:00Z","boot_id":"1","uptime_s":1,"attempts":[{"at":"2026-05-04T12:00:00",'
            b'"id":"1","user":"u","password_fingerprint":"a","result":"failed","begun_s":1}]}'
        ),
    ],
)
def test_damaged_login_log_is_locked_until_a_person_unlocks(tmp_path: Path, damage: bytes) -> None:
    """What cannot be read counts as spent; unlocking begins a new login log, at the ceiling."""
    login_log = LoginLog(tmp_path, uptime=Clocks().uptime)
    login_log.path.write_bytes(damage)
    assert login_log.budget(NOW).locked
    with pytest.raises(LockedOut, match=r"cannot be read|is of schema 2, this version knows 1"):
        login_log.record_submission(NOW, "reader", PASSWORD)
    assert login_log.path.read_bytes() == damage
    assert login_log.attempts(NOW) == ()
    assert_replaced_at_the_ceiling(login_log)


@pytest.mark.parametrize("number", [-1.0, -1e300, 1e11, 1e300])
@pytest.mark.parametrize("field", ["time_s", "uptime_s", "begun_s", "ended_s", "wait_s"])
def test_number_that_no_calendar_can_show_is_damage(tmp_path: Path, field: str, number: float) -> None:
    login_log = LoginLog(tmp_path, uptime=Clocks().uptime)
    login_log.record_submission(NOW, "reader", PASSWORD)
    log_file = json.loads(login_log.path.read_bytes())
    (log_file if field in log_file else log_file["attempts"][0])[field] = number
    login_log.path.write_text(json.dumps(log_file))
    assert login_log.budget(NOW).locked
    with pytest.raises(LockedOut, match="cannot be read"):
        login_log.record_submission(NOW, "reader", PASSWORD)
    assert_replaced_at_the_ceiling(login_log)


def test_login_log_with_a_second_name_is_read(tmp_path: Path) -> None:
    """A backup of hard links is no damage: nobody else can make one in this directory."""
    login_log = LoginLog(tmp_path / "login", uptime=Clocks().uptime)
    login_log.record_submission(NOW, "reader", PASSWORD)
    os.link(login_log.path, tmp_path / "backup")
    assert login_log.budget(NOW).failures_24h == 1


def test_login_log_of_a_version_that_did_not_count_is_believed(tmp_path: Path) -> None:
    """An upgrade does not take a healthy login log for a damaged one."""
    login_log = LoginLog(tmp_path / "login", uptime=Clocks().uptime)
    login_log.record_submission(NOW, "reader", PASSWORD)
    log_file = json.loads(login_log.path.read_text())
    for name in ("recorded", "discarded"):
        del log_file[name]
    login_log.path.write_text(json.dumps(log_file))
    assert login_log.budget(NOW).failures_24h == 1
    login_log.record_submission(NOW, "reader", PASSWORD)
    assert login_log.budget(NOW).failures_24h == 2


@pytest.mark.parametrize("kind", ["fifo", "link", "dangling", "device", "directory", "huge"])
@pytest.mark.timeout(20)
def test_login_log_that_is_no_plain_file_is_damage_and_hangs_nobody(tmp_path: Path, kind: str) -> None:
    login_log = LoginLog(tmp_path / "login", uptime=Clocks().uptime)
    login_log.record_submission(NOW, "reader", PASSWORD)
    path = login_log.path
    path.rename(tmp_path / "other")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind in {"link", "dangling"}:
        path.symlink_to(tmp_path / ("other" if kind == "link" else "nowhere"))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "directory":
        path.mkdir()
        (path / "x").touch()
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(MAX_LOG_FILE_BYTES + 1)
    before = (tmp_path / "other").read_bytes()
    assert "cannot be read" in login_log.budget(NOW).why
    assert login_log.attempts(NOW) == ()
    login_log.create(NOW)
    login_log.sync_clock(NOW)
    with pytest.raises(LockedOut, match="cannot be read"):
        login_log.record_submission(NOW, "reader", PASSWORD)
    assert_replaced_at_the_ceiling(login_log)
    assert (tmp_path / "other").read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("change", ["emptied", "one less", "of the future"])
def test_login_log_that_nobody_can_have_written_so_is_damage(tmp_path: Path, change: str) -> None:
    """Attempts that were taken out, or that began later than the login log was written."""
    login_log = LoginLog(tmp_path, uptime=Clocks().uptime)
    for _ in range(2):
        login_log.record_result(login_log.record_submission(NOW, "reader", PASSWORD), AttemptResult.FAILED, NOW)
    log_file = json.loads(login_log.path.read_bytes())
    if change == "of the future":
        log_file["attempts"][1]["begun_s"] = log_file["time_s"] + 60
    else:
        log_file["attempts"] = log_file["attempts"][1:] if change == "one less" else []
    login_log.path.write_text(json.dumps(log_file))
    assert login_log.budget(NOW).locked
    assert_replaced_at_the_ceiling(login_log)


def directories_in(folder: Path) -> Directories:
    return Directories(configuration=folder / "conf", runtime=folder / "run", state=folder / "state")


def leave(directories: Directories, what: str) -> None:
    """Leaves something that the logins before have left."""
    directories.login.mkdir(parents=True)
    directories.runtime.mkdir()
    for name in ("login.lock", "login_log.lock", "totp.lock", ".login_log.json.0123456789ab"):
        (directories.login / name).touch()
    if what in {"diagnostics", "totp.json"}:
        (directories.login / what).touch()
    elif what == "profile":
        (directories.browser / "Default").mkdir(parents=True)
    elif what.startswith("told"):
        topic = what.removeprefix("told ")
        told = AlertHistory(topics={topic: OpenTopic(since=NOW)})
        files.write_atomically(directories.alert_history_file, msgspec.json.encode(told), mode=0o640)
    elif what == "damaged told":
        directories.alert_history_file.write_text("{")
    elif what == "told fifo":
        os.mkfifo(directories.alert_history_file)
    elif what in typing.get_args(LoginState):
        StatusFile(directories.status_file).write(
            LoginSection(updated_at=NOW, state=typing.cast("LoginState", what), why="x")
        )


EVIDENCE = [
    *("diagnostics", "totp.json", "profile", "told person", "told approval", "damaged told"),
    *("failed", "refused", "action-required", "locked-out", "succeeded", "maintenance"),
]


@pytest.mark.parametrize("evidence", EVIDENCE)
@pytest.mark.timeout(20)
def test_missing_login_log_beside_evidence_of_logins_is_a_lost_one(tmp_path: Path, evidence: str) -> None:
    """It is not created anew as if nothing had been, and says what the evidence is; `unlock` does, at the ceiling."""
    directories = directories_in(tmp_path)
    leave(directories, evidence)
    login_log = LoginLog(directories.login, directories=directories, uptime=Clocks().uptime)
    login_log.create(NOW)
    assert not login_log.path.exists()
    found = login_log.budget(NOW)
    assert found.locked
    assert "login_log.json is missing, though" in found.why
    assert "24 hours" in found.why
    assert login_log.was_refused(PASSWORD, NOW)
    login_log.record_unsubmitted(NOW, "reader")
    assert not login_log.path.exists()
    with pytest.raises(LockedOut, match="is missing"):
        login_log.record_submission(NOW, "reader", PASSWORD)
    assert_replaced_at_the_ceiling(login_log)


@pytest.mark.parametrize(
    "evidence", ["nothing", "told outage", "told test", "broken", "not-needed", "running", "unlocked"]
)
def test_login_log_is_created_where_no_login_has_been(tmp_path: Path, evidence: str) -> None:
    """What there may be before the first login shows nothing: messages about the gateway, lock files, a pause."""
    directories = directories_in(tmp_path)
    leave(directories, evidence)
    directories.pause_file.touch()
    (directories.gateway / "tls").mkdir(parents=True)
    login_log = LoginLog(directories.login, directories=directories)
    login_log.create(NOW)
    assert login_log.path.exists()
    assert login_log.budget(NOW).allowed


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_what_a_sandbox_hides_is_no_evidence(open_path: Path) -> None:
    """As systemd's InaccessiblePaths= does it: a directory or file of root's that nobody else may enter."""
    directories = directories_in(open_path)
    directories.state.mkdir(mode=0o755)
    for hidden in (directories.snapshots, directories.browser):
        hidden.mkdir()
        (hidden / "x").touch()
        hidden.chmod(0)
    directories.alert_history_file.touch(mode=0)
    os.chown(directories.state, 65534, 65534)
    os.seteuid(65534)
    try:
        login_log = LoginLog(directories.login, directories=directories)
        login_log.create(NOW)
        assert login_log.budget(NOW).allowed
    finally:
        os.seteuid(0)


def test_nothing_is_submitted_when_the_disk_does_not_take_the_entry(tmp_path: Path) -> None:
    """Without an attempt there is no password."""
    (tmp_path / "login").write_text("a file where the directory should be")
    with pytest.raises(OutputError):
        LoginLog(tmp_path / "login").record_submission(NOW, "reader", PASSWORD)


def test_old_entries_go_but_never_a_lock_or_a_row(tmp_path: Path) -> None:
    """After two days attempts are discarded, but not the refusal that the next one would complete."""
    clocks = Clocks()
    login_log = LoginLog(tmp_path, uptime=clocks.uptime)
    for result in (AttemptResult.SUCCEEDED, AttemptResult.SUCCEEDED, AttemptResult.FAILED, AttemptResult.REFUSED):
        login_log.record_result(login_log.record_submission(clocks.now, "reader", PASSWORD), result, clocks.now)
        clocks.wait(DAY)
    clocks.wait(30 * DAY)
    login_log.record_result(
        login_log.record_submission(clocks.now, "reader", PASSWORD), AttemptResult.REFUSED, clocks.now
    )
    assert [attempt.result for attempt in login_log.attempts(NOW)] == ["refused", "refused"]
    assert login_log.budget(clocks.now + 365 * DAY).locked


def test_old_entry_that_needs_a_person_stays(tmp_path: Path) -> None:
    """No time makes a machine forget that a person was needed."""
    clocks = Clocks()
    login_log = LoginLog(tmp_path, uptime=clocks.uptime)
    login_log.record_result(
        login_log.record_submission(clocks.now, "reader", PASSWORD), AttemptResult.PERSON, clocks.now
    )
    clocks.wait(30 * DAY)
    login_log.record_unsubmitted(clocks.now, "reader")
    assert login_log.budget(clocks.now).person
    assert [attempt.result for attempt in login_log.attempts(NOW)] == ["person", "unsubmitted"]


def test_stated_wait_is_kept_by_a_new_process_and_at_most_a_day(tmp_path: Path) -> None:
    """Whoever opens the login log next keeps it, attended or not; a page that says a year is not believed."""
    clocks = Clocks()

    def login_log() -> LoginLog:
        return LoginLog(tmp_path, uptime=clocks.uptime)

    login_log().record_result(
        login_log().record_submission(clocks.now, "r", PASSWORD),
        AttemptResult.FAILED,
        clocks.now,
        wait=timedelta(days=365),
    )
    clocks.wait(DAY - MINUTE)
    with pytest.raises(LoginFailed, match="IBKR says to wait until 2026-05-05 12:00:00 UTC"):
        login_log().record_submission(clocks.now, "r", PASSWORD)
    clocks.wait(MINUTE)
    login_log().record_unsubmitted(clocks.now, "r", wait=timedelta(minutes=30))
    with pytest.raises(LoginFailed, match="IBKR says to wait"):
        login_log().record_submission(clocks.now, "r", PASSWORD)
    clocks.wait(30 * MINUTE)
    login_log().record_submission(clocks.now, "r", PASSWORD)


def test_no_unlock_opens_the_ceiling(tmp_path: Path) -> None:
    """Eight failures in a day: unlocking clears the budget and says until when nobody may log in."""
    clocks = Clocks()
    login_log = LoginLog(tmp_path, uptime=clocks.uptime)
    for number in range(MAX_FAILURES_PER_DAY):
        login_log.record_submission(clocks.now, "r", Secret(str(number)))
        login_log.unlock(clocks.now)
        clocks.wait(MINUTE)
    found = login_log.unlock(clocks.now)
    assert (found.locked, found.closed_until) == (False, NOW + DAY)
    with pytest.raises(LoginFailed, match="IBKR locks a user at ten"):
        login_log.record_submission(clocks.now, "r", PASSWORD)
    clocks.wait(DAY - MAX_FAILURES_PER_DAY * MINUTE)
    login_log.record_submission(clocks.now, "r", PASSWORD)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_who_may_not_read_it_is_told_so(tmp_path: Path) -> None:
    """Not that it is damaged."""
    login_log = LoginLog(tmp_path)
    login_log.record_unsubmitted(NOW, "reader")
    os.seteuid(65534)
    try:
        with pytest.raises(DataError, match="Permission denied"):
            login_log.attempts(NOW)
    finally:
        os.seteuid(0)


class LoginsThatCrash(RuleBasedStateMachine):
    """Logins by people and machines, each of which may crash anywhere, on a machine whose clock is set at will.

    What truly happened is counted by the time that truly passed, which no login log can see. Only one thing is not
    played: a clock that is put forward, and a restart before any login has begun; the login log has to believe it.
    """

    def __init__(self) -> None:
        super().__init__()
        # In memory: what is written to a disk waits for it.
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm")
        self.clocks = Clocks()
        self.failed_s: list[float] = []
        self.unlocked_s = self.clocks.true_s
        self.machines_failed_s: list[float] = []
        self.refused: list[str] = []
        self.succeeded_s: list[tuple[float, float]] = []

    def teardown(self) -> None:
        self.folder.cleanup()

    @property
    def login_log(self) -> LoginLog:
        """Every process opens its own."""
        return LoginLog(Path(self.folder.name), 3, uptime=self.clocks.uptime)

    @rule(
        password=st.sampled_from(["one", "two"]),
        end=st.sampled_from(
            [
                None,
                AttemptResult.SUCCEEDED,
                AttemptResult.REFUSED,
                AttemptResult.FAILED,
                AttemptResult.FAILED,
                AttemptResult.PERSON,
                AttemptResult.UNSUBMITTED,
            ]
        ),
        wait=st.sampled_from([None, None, timedelta(hours=3)]),
        unattended=st.booleans(),
    )
    def log_in(self, password: str, end: AttemptResult | None, wait: timedelta | None, unattended: bool) -> None:
        """Submits if the login log lets us; the process may die before it can say how it ended."""
        now, login_log = self.clocks.now, self.login_log
        if unattended and (not login_log.budget(now).allowed or login_log.was_refused(Secret(password), now)):
            return
        try:
            attempt = login_log.record_submission(now, "reader", Secret(password))
        except (LockedOut, LoginFailed):
            return
        at_s = self.clocks.true_s
        if end is not None:
            self.clocks.wait(timedelta(seconds=20))
            self.login_log.record_result(attempt, end, self.clocks.now, wait=wait)
        if end is AttemptResult.SUCCEEDED:
            self.refused = []
            if unattended and sum(at_s - begun_s < DAY.total_seconds() for begun_s, _ in self.succeeded_s) >= 3:
                assert at_s - self.succeeded_s[-1][1] >= 3600.0
            self.succeeded_s.append((at_s, self.clocks.true_s))
        elif end is not AttemptResult.UNSUBMITTED:
            self.failed_s.append(at_s)
            if unattended:
                self.machines_failed_s.append(at_s)
            if end is AttemptResult.REFUSED:
                self.refused = [*(refused for refused in self.refused if refused == password), password]

    @rule(
        times=st.integers(2, 6),
        unattended=st.booleans(),
        unlocking=st.booleans(),
        end=st.sampled_from([None, AttemptResult.FAILED, AttemptResult.REFUSED, AttemptResult.SUCCEEDED]),
    )
    def insist(self, times: int, unattended: bool, unlocking: bool, end: AttemptResult | None) -> None:
        """Logs in again and again, as a restart loop does, or a person who unlocks each time."""
        for number in range(times):
            if unlocking:
                self.unlock()
            self.log_in(password=["one", "two"][number % 2], end=end, wait=None, unattended=unattended)
            self.clocks.wait(16 * MINUTE)

    @rule(minutes=st.sampled_from([1, 5, 16, 61, 300, 1000, 2000]))
    def wait(self, minutes: int) -> None:
        """Lets time pass."""
        self.clocks.wait(minutes * MINUTE)

    @rule(hours=st.sampled_from([-3000, -30, -2, 2, 30, 3000]))
    def set_wall(self, hours: int) -> None:
        """Sets the wall's clock: nothing that is allowed changes by that."""
        before = self.login_log.budget(self.clocks.now)
        left = before.wait_until and before.wait_until - self.clocks.now
        self.clocks.set_wall(timedelta(hours=hours))
        after = self.login_log.budget(self.clocks.now)
        assert (after.allowed, after.locked, after.failures_24h) == (
            before.allowed,
            before.locked,
            before.failures_24h,
        )
        assert (after.wait_until and after.wait_until - self.clocks.now) == left
        self.login_log.sync_clock(self.clocks.now)

    @rule(set_back=st.sampled_from([0, 0, 1, 48, 5000]))
    def restart(self, set_back: int) -> None:
        """Restarts the machine; its clock is right, or falls back, as without a battery, until the first login."""
        ahead = max(self.clocks.off_by, timedelta())
        self.clocks.restart()
        self.clocks.set_wall(-ahead - timedelta(hours=set_back))
        self.login_log.sync_clock(self.clocks.now)

    @rule(kind=st.sampled_from(["gone", "half", "emptied", "garbage"]), unlocking=st.booleans())
    def damage(self, kind: str, unlocking: bool) -> None:
        """Loses the login log in one way or another, once there was a login; a person may unlock at once."""
        path = self.login_log.path
        if not path.exists() or not self.login_log.attempts(self.clocks.now):
            return
        (path.parent / "diagnostics").mkdir(exist_ok=True)
        whole = path.read_bytes()
        if kind == "gone":
            path.unlink()
        elif kind == "emptied":
            path.write_text(json.dumps({**json.loads(whole), "attempts": []}))
        else:
            path.write_bytes(whole[: len(whole) // 2] if kind == "half" else b"garbage")
        assert self.login_log.budget(self.clocks.now).locked
        if unlocking:
            self.unlock()
            assert not self.login_log.budget(self.clocks.now).allowed

    @rule()
    def unlock(self) -> None:
        """A person decides that it may go on."""
        self.login_log.unlock(self.clocks.now)
        self.refused, self.machines_failed_s = [], []

    @invariant()
    def never_more_than_the_ceiling(self) -> None:
        """No 24 hours hold more than eight failures, by whomever; no row more than two refusals of one password."""
        for first in self.failed_s:
            in_a_day = [at for at in self.failed_s if 0 <= at - first < DAY.total_seconds()]
            assert len(in_a_day) <= 8, in_a_day
        assert len(self.refused) <= 2

    @invariant()
    def machines_never_more_than_the_budget(self) -> None:
        """Without a person's unlock no 24 hours hold more than four failures of machines."""
        for first in self.machines_failed_s:
            in_a_day = [at for at in self.machines_failed_s if 0 <= at - first < DAY.total_seconds()]
            assert len(in_a_day) <= 4, in_a_day

    @invariant()
    def no_wait_is_longer_than_a_day(self) -> None:
        """Whatever happened to the clock, nobody waits for months."""
        until = self.login_log.budget(self.clocks.now).wait_until
        assert until is None or timedelta() < until - self.clocks.now <= DAY


LoginsThatCrash.TestCase.settings = examples(1.5, stateful_step_count=30)
TestLoginsThatCrash = LoginsThatCrash.TestCase
