"""The machine that chaos falls upon, and the accounts that are kept about it: truth, logins, passwords, leftovers."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from ibkr_tools.cli import status_report
from ibkr_tools.errors import DataError
from ibkr_tools.login.budget import (
    DAY,
    DAY_S,
    FAILED_RESULTS,
    LOCK_AFTER_FAILURES,
    LOCK_AFTER_REFUSALS,
    MAX_FAILURES_PER_DAY,
)
from ibkr_tools.login.login_log_file import Attempt, LoginLogFile
from ibkr_tools.login.outcomes import AttemptResult
from ibkr_tools.status import Status, StatusFile
from tests.support.container import wait_until
from tests.system.machine import CONFIG, LOGIN_LOG, PASSWORD, Machine, now

STATUS = "/run/ibkr-tools/status.json"
LATEST = "/var/lib/ibkr-tools/snapshots/latest.json"
CLOCK_FILE = "/run/ibkr-tools-clock"
SHORT_LIFE_S = 21.0
"""A session that dies younger makes the watchdog wait before the login after the third of its kind."""


@dataclass
class Scene:
    """One machine under chaos.

    `moment` is when the last blow fell (the machine's own wall clock, `offset` away from ours). The counters survive
    restarts of the simulator, which keeps its own in memory.
    """

    machine: Machine
    random: Random
    positions: int = 0
    offset: timedelta = timedelta()
    moment: datetime = field(default_factory=now)
    nights: int = 0
    persons: int = 0
    _counted: dict[str, int] = field(default_factory=lambda: {"submitted": 0, "logins": 0})
    _last: dict[str, int] = field(default_factory=dict)
    _life: str = ""
    _known: set[str] = field(default_factory=set)
    _entered: set[str] = field(default_factory=set)
    _young: int = 0

    # What the machine says.

    def now(self) -> datetime:
        """Returns the time on the machine's own clock."""
        return now() + self.offset

    def strikes(self) -> None:
        """Notes that the blow falls now; what came before was only preparation."""
        self.moment = self.now()

    def status(self) -> Status:
        """Returns the status file as a reader inside would see it; a damaged one says nothing."""
        try:
            return StatusFile(self.machine.container.inside(STATUS)).read()
        except DataError:
            return Status()

    def code(self) -> int:
        """Returns what `ibkr-tools status` would exit with."""
        try:
            status = StatusFile(self.machine.container.inside(STATUS)).read()
        except DataError as error:
            return error.exit_code
        return status_report.exit_code(status, self.now())

    def said(self) -> str:
        """Returns the session's state and why, in one line."""
        session = self.status().session
        if session is None:
            return "nothing"
        stale = " (stale)" if session.is_stale(self.now()) else ""
        return f"{session.state.value}{stale}: {session.why}"

    def says(self, *states: str) -> bool:
        """Says whether the status names one of `states` (or is `stale`) with a reason, and is not taken for healthy."""
        session = self.status().session
        if session is None or self.code() == 0:
            return False
        if session.is_stale(self.now()):
            return "stale" in states
        return session.state.value in states and session.why != ""

    def is_new_session(self) -> bool:
        """Says whether the session that is up was proven after the blow."""
        session = self.status().session
        return session is not None and session.up_since is not None and session.up_since > self.moment

    def has_spoken(self) -> bool:
        """Says whether the watchdog has said anything since the blow."""
        session = self.status().session
        return session is not None and session.updated_at > self.moment

    def has_brokerage(self) -> bool:
        """Says whether IBKR's servers have a session with an open brokerage tier."""
        sessions = self.machine.control(lambda simulator: simulator.state())["sessions"]
        return any(session["brokerage"] == "up" for session in sessions)

    def tool(self, arguments: str, *, timeout_s: float = 90) -> tuple[int, str]:
        """Runs `ibkr-tools` with the machine's own clock; returns exit code and output."""
        clock = f"env {' '.join(preloaded(self.offset))} " if self.offset else ""
        told = self.machine.container.run(f"{clock}ibkr-tools {arguments}", check=False, timeout_s=timeout_s)
        return told.returncode, told.stdout.strip() or told.stderr.strip()

    def fetches(self) -> bool:
        """Says whether a fetch prints all positions."""
        code, told = self.tool("fetch positions --jq '.positions | length'")
        if code == 0 and self.positions:
            assert told == str(self.positions), told
        return code == 0

    def login_rests(self) -> bool:
        """Says whether no login runs."""
        return self.machine.show("ibkr-login.service", "ActiveState") in {"inactive", "failed"}

    # Counting.

    def begin(self) -> None:
        """Begins with a budget that is whole and with counters at zero, whatever was tested before."""
        self.count()
        self._counted = {name: -count for name, count in self._last.items()}
        self.unlock()
        if (log_file := self.log_file()) is not None:
            self._let_a_night_pass()
            self._known = self._submitted(log_file)
        self.persons = self.nights = 0
        self.machine.run("journalctl --quiet --lines=1 --cursor-file=/root/chaos.cursor >/dev/null")

    def count(self) -> dict[str, int]:
        """Returns the passwords submitted and the logins that succeeded since the beginning, over all simulators.

        To be asked before anything ends the simulator, which takes its own counters with it.
        """
        try:
            life = self.machine.show("ibkr-simulator.service", "ExecMainStartTimestampMonotonic")
            counters = self.machine.control(lambda simulator: simulator.state())["counters"]
        except OSError:
            return self._total()
        if life != self._life:
            self._counted, self._life = self._total(), life
        self._last = {name: int(counters[name]) for name in self._counted}
        return self._total()

    def _total(self) -> dict[str, int]:
        return {name: count + self._last.get(name, 0) for name, count in self._counted.items()}

    def log_file(self) -> LoginLogFile | None:
        """Returns the login log, None if it cannot be read."""
        try:
            return msgspec.json.decode(self.machine.container.inside(LOGIN_LOG).read_bytes(), type=LoginLogFile)
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    # Between the rounds.

    def settle(self) -> None:
        """Waits for a session at rest that may be lost without the pauses after short-lived ones."""
        machine = self.machine
        machine.wait("a session at rest", lambda: self.code() == 0 and self.login_rests(), within_s=120)
        session = self.status().session
        assert session is not None
        assert session.up_since is not None
        age_s = (self.now() - session.up_since).total_seconds()
        self._young = self._young + 1 if age_s < SHORT_LIFE_S else 0
        if self._young > 1:
            old_at = session.up_since + timedelta(seconds=SHORT_LIFE_S)
            wait_until("a session that has lived", lambda: self.now() >= old_at, within_s=60)
            self._young = 0
        self.count()
        if (log_file := self.log_file()) and len(_failures(log_file)) >= LOCK_AFTER_FAILURES - 2:
            # Before the budget of one day runs out.
            self._let_a_night_pass()

    def _let_a_night_pass(self) -> None:
        """Makes what the login log says a day older."""
        log_file = self.log_file()
        assert log_file is not None
        self._entered |= self._submitted(log_file)
        self.machine.age_login_log(DAY)
        self.nights += 1

    def unlock(self) -> None:
        """Does what the status asks a person for."""
        self.persons += 1
        code, told = self.tool("unlock")
        assert code == 0, told

    def unlock_after_damage(self) -> None:
        """Does the same after the login log was lost: it is begun anew at the ceiling, and helps a day later."""
        code, told = self.tool("unlock")
        assert code == 75, told
        self._let_a_night_pass()
        self.unlock()

    def _submitted(self, log_file: LoginLogFile) -> set[str]:
        return {attempt.id for attempt in log_file.attempts if attempt.password_fingerprint} - self._known

    # What must hold after every round.

    def check(self) -> list[str]:
        """Returns what is wrong with the machine though all seems well, one sentence each."""
        wrong = [*self._check_login_log(), *self._check_leftovers(), *self._check_snapshot()]
        new = "journalctl --no-pager --output=export --all --cursor-file=/root/chaos.cursor"
        if PASSWORD in self.machine.container.run(new, timeout_s=60).stdout:
            wrong.append("the password is in the journal")
        if PASSWORD.encode() in self.machine.container.inside(STATUS).read_bytes():
            wrong.append("the password is in the status")
        return wrong

    def _check_login_log(self) -> list[str]:
        log_file = self.log_file()
        if log_file is None:
            return ["the login log cannot be read"]
        self._entered |= self._submitted(log_file)
        submitted = self.count()["submitted"]
        if submitted > len(self._entered):
            return [f"{submitted} passwords were submitted, {len(self._entered)} were entered in the login log"]
        failed = _failures(log_file)
        unacknowledged = [attempt for attempt in failed if not attempt.acknowledged]
        refused = [attempt for attempt in unacknowledged if attempt.result is AttemptResult.REFUSED]
        limits = ((failed, MAX_FAILURES_PER_DAY), (unacknowledged, LOCK_AFTER_FAILURES), (refused, LOCK_AFTER_REFUSALS))
        return [f"the budget of {most} was overdrawn: {attempts}" for attempts, most in limits if len(attempts) > most]

    def _check_leftovers(self) -> list[str]:
        """No browser without a login, and one of everything else."""
        programs = [process.program for process in self.machine.ours()]
        browsers = {name for name in programs if name in {"chromium", "chromedriver", "chrome_crashpad_handler"}}
        wrong = [f"left over: {', '.join(sorted(browsers))}"] if browsers and self.login_rests() else []
        if (many := programs.count("java")) != 1:
            wrong.append(f"{many} Java programs")
        # What a writer has under its hands just now is not left over.
        old = "-name '.*.*' ! -newermt '-2 seconds'"
        if temporaries := self.machine.run(
            f"find /run/ibkr-tools /var/lib/ibkr-tools/login -maxdepth 1 -ignore_readdir_race {old}"
        ):
            wrong.append(f"temporary files: {temporaries}")
        return wrong

    def _check_snapshot(self) -> list[str]:
        try:
            snapshot = json.loads(self.machine.container.inside(LATEST).read_bytes())
        except FileNotFoundError:
            return []
        except ValueError as error:
            return [f"the snapshot is damaged: {error}"]
        counts = {237, self.positions}
        return [] if len(snapshot["positions"]) in counts else ["the snapshot is not complete"]


def _failures(log_file: LoginLogFile) -> list[Attempt]:
    """Returns the logins of the last day that count as failures."""
    return [
        attempt
        for attempt in log_file.attempts
        if attempt.result in FAILED_RESULTS and log_file.time_s - attempt.begun_s < DAY_S
    ]


def preloaded(offset: timedelta | None = None) -> list[str]:
    """Returns the environment of a program whose wall clock is `offset` away; monotonic clocks stay what they are.

    Without `offset` CLOCK_FILE says how far, at every look, so that the clock jumps while the program runs.
    """
    told = [f"FAKETIME_TIMESTAMP_FILE={CLOCK_FILE}", "FAKETIME_NO_CACHE=1"]
    if offset is not None:
        told = [f"FAKETIME={offset.total_seconds():+.0f}s"]
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return [f"LD_PRELOAD={library}", *told, "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"]


def configure(machine: Machine, change: Callable[[dict[str, Any]], None]) -> None:
    """Edits the configuration in place."""
    path = machine.container.inside(CONFIG)
    content = json.loads(path.read_bytes())
    change(content)
    with path.open("r+", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=2))
        file.truncate()
        os.fsync(file.fileno())
