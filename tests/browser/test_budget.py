"""Twenty starts with a wrong password: IBKR sees no more of them than the budget allows, whatever is killed when.

Real processes: the login with real Chromium, the watchdog that asks for it, and a simulator that counts.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from ibkr_tools import process_control
from ibkr_tools.login import browser_processes
from ibkr_tools.login.budget import FAILED_RESULTS, LOCK_AFTER_FAILURES, LOCK_AFTER_REFUSALS, MAX_FAILURES_PER_DAY
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.outcomes import AttemptResult
from ibkr_tools.status import utc_now
from tests.browser.conftest import Home
from tests.support.checkout import CHECKOUT
from tests.support.simulation import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("own_chromium")]

STARTS = 20
APART_S = 20 * 60.0
"""Longer than any back-off: each start comes when the budget has nothing to wait for."""


@pytest.fixture(autouse=True)
def _no_orphans() -> Iterator[None]:
    """Ends what killed logins leave behind, as the unit's cgroup does: it comes to us."""
    process_control.become_subreaper()
    yield
    assert browser_processes.kill_all(set())


def program(home: Home, *arguments: str) -> "subprocess.Popen[str]":
    """Starts `ibkr-tools` in the home."""
    directories = home.directories
    options = [
        *("--config", str(directories.config_file)),
        *("--runtime-dir", str(directories.runtime)),
        *("--state-dir", str(directories.state)),
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "ibkr_tools", *options, *arguments],
        env={**os.environ, "HOME": str(home.root)},
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Returns exit code and everything it said."""
    out, err = process.communicate(timeout=90)
    return process.returncode, out + err


@contextmanager
def watchdog(home: Home, end: signal.Signals) -> Iterator[None]:
    """Runs a watchdog until it has asked for a login; `end` ends it after the block."""
    process = program(home, "watchdog")
    try:
        wait_until(home.directories.login_request.exists, 20)
        yield
    finally:
        process.send_signal(end)
        finished(process)


def let_time_pass(home: Home) -> None:
    """Makes the login log that much older, by its own clock: the machine's may not have run for as long."""
    file = home.directories.login / "login_log.json"
    if file.exists():
        log_file = json.loads(file.read_bytes())
        log_file["time_s"] += APART_S
        file.write_text(json.dumps(log_file))


def start(home: Home, chance: random.Random, killer: Callable[["subprocess.Popen[str]"], None]) -> int:
    """Lets a watchdog ask, and a login run, which `killer` may end; returns the exit code."""
    with watchdog(home, chance.choice([signal.SIGTERM, signal.SIGKILL])):
        process = program(home, "login", "--unattended")
        killer(process)
        code, said = finished(process)
    assert code in {75, 77, -signal.SIGKILL}, said
    assert "Traceback" not in said
    let_time_pass(home)
    return code


def at_random(chance: random.Random) -> Callable[["subprocess.Popen[str]"], None]:
    """Lets most be, and kills some at a random moment."""

    def killer(process: "subprocess.Popen[str]") -> None:
        if chance.random() < 0.4:
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.3, 4.0))
            process.kill()

    return killer


def before_the_answer(home: Home) -> Callable[["subprocess.Popen[str]"], None]:
    """Kills each one that has submitted a password before IBKR's answer is there."""

    def killer(process: "subprocess.Popen[str]") -> None:
        before = home.control.submitted()
        wait_until(lambda: home.control.submitted() > before or process.poll() is not None, 60)
        process.kill()

    return killer


def results(home: Home) -> list[AttemptResult]:
    """What the login log says."""
    return [attempt.result for attempt in LoginLog(home.directories.login).attempts(utc_now())]


def test_twenty_starts_with_a_wrong_password(home: Home) -> None:
    """Some are killed at a random moment: no more submissions than the budget has, each of them in the login log."""
    chance = random.Random(1)
    home.configure(password="mistaken-secret")
    codes = [start(home, chance, at_random(chance)) for _ in range(STARTS)]
    submitted = home.control.submitted()
    print(
        f"{STARTS} starts ended with {codes}; {submitted} submissions; log {[str(result) for result in results(home)]}"
    )
    assert 1 <= submitted <= LOCK_AFTER_FAILURES
    assert results(home).count(AttemptResult.REFUSED) <= LOCK_AFTER_REFUSALS
    assert submitted <= sum(result in FAILED_RESULTS for result in results(home))
    assert 77 in codes


def test_twenty_starts_killed_before_the_answer(home: Home) -> None:
    """Nobody ever learns that the password is wrong: exactly the budget goes out, then a person is needed."""
    chance = random.Random(2)
    home.control.page(verdict_delay_ms=8000)
    home.configure(password="mistaken-secret")
    codes = [start(home, chance, before_the_answer(home)) for _ in range(STARTS)]
    print(f"{STARTS} starts ended with {codes}; {home.control.submitted()} submissions")
    assert home.control.submitted() == LOCK_AFTER_FAILURES
    assert results(home) == [AttemptResult.SUBMITTED] * LOCK_AFTER_FAILURES
    assert codes == [-signal.SIGKILL] * LOCK_AFTER_FAILURES + [77] * (STARTS - LOCK_AFTER_FAILURES)
    assert home.section.state == "locked-out"


def test_twenty_starts_with_a_person_who_unlocks(home: Home) -> None:
    """Whoever unlocks again and again gets to the ceiling, below IBKR's own, and is told until when it holds."""
    chance = random.Random(3)
    home.configure(password="mistaken-secret")
    answers = []
    for number in range(STARTS):
        start(home, chance, at_random(chance))
        if number % 2 == 0 or number > STARTS / 2:
            answers.append(finished(program(home, "unlock")))
    submitted = home.control.submitted()
    print(f"{STARTS} starts, {len(answers)} unlocks: {submitted} submissions; unlocks {[code for code, _ in answers]}")
    assert LOCK_AFTER_FAILURES < submitted <= MAX_FAILURES_PER_DAY
    code, said = answers[-1]
    assert code == 75
    assert "8 logins failed within 24 hours" in said
