"""What no restart and no reboot gets around: the login budget, and a person's pause."""

import signal
from datetime import timedelta

import pytest

from ibkr_tools.login.budget import LOCK_AFTER_FAILURES, MAX_FAILURES_PER_DAY
from tests.system.machine import PASSWORD, PASSWORD_FILE, Machine, now

pytestmark = pytest.mark.system

WRONG = "another-Wr0ng-pass.phrase"
REBOOTS = (3, 9, 16)
WATCHDOG_KILLED = (5, 12)
UNLOCKED = (8, 11, 14)


def kill_once_submitted(machine: Machine) -> int:
    """Waits until a login has submitted the password or nothing will log in; returns how many were submitted.

    The login is killed before IBKR has answered: nobody knows how it ended, and nothing says that it was refused.
    """
    moment = now()

    def decided() -> bool:
        section = machine.status().get("session")
        said = section and section["updated_at"] > moment.isoformat() and section["state"]
        return machine.submitted() > 0 or said in {"locked-out", "backing-off"}

    machine.wait("a password, or the refusal to send one", decided, within_s=90)
    if submitted := machine.submitted():
        machine.run("systemctl kill --kill-whom=all --signal=KILL ibkr-login.service || true")
        machine.wait(
            "the login's end", lambda: machine.show("ibkr-login.service", "ActiveState") == "failed", within_s=30
        )
    return submitted


def hold_answers(machine: Machine) -> None:
    """Has IBKR take its time over every password."""
    machine.wait("the simulator", machine.simulator_answers, within_s=30)
    machine.control(lambda simulator: simulator.page(auth_delay_ms=30_000))


def test_twenty_starts_with_a_wrong_password(up: Machine) -> None:
    """Killed between password and answer, restarted, rebooted, unlocked: ten are never sent, IBKR locks at ten."""
    up.stop()
    up.wait("the end of every process", lambda: up.ours() == [], within_s=10)
    up.run(f"echo '{WRONG}' >{PASSWORD_FILE}")
    up.age_login_log(timedelta(hours=49))
    up.run("ibkr-tools unlock")
    submitted: list[int] = []
    by_unlocks: list[int] = []
    for start in range(20):
        if start in UNLOCKED:
            by_unlocks.append(sum(submitted))
            up.code("ibkr-tools unlock")
        # The simulator comes and goes with the gateway, and with it its counters.
        if start in REBOOTS:
            up.container.reboot()
        else:
            up.run("systemctl reset-failed 'ibkr-*'; systemctl start ibkr-gateway", timeout_s=90)
        hold_answers(up)
        if start in WATCHDOG_KILLED:
            up.kill("ibkr-watchdog.service", signal.SIGKILL)
        submitted.append(kill_once_submitted(up))
        up.stop()
        up.wait("the end of every process", lambda: up.ours() == [], within_s=15)
        up.age_login_log(timedelta(minutes=16))
    print(f"passwords submitted, start by start: {submitted}, together {sum(submitted)}")
    assert max(submitted) == 1
    assert by_unlocks[0] <= LOCK_AFTER_FAILURES <= sum(submitted) <= MAX_FAILURES_PER_DAY
    up.age_login_log(timedelta(hours=25))
    up.run(f"echo '{PASSWORD}' >{PASSWORD_FILE}; ibkr-tools unlock")
    up.start()


def test_pause_outlives_a_reboot(up: Machine) -> None:
    """Nothing logs in while paused, whatever is lost or started anew; `resume` heals."""
    up.run("ibkr-tools pause")
    assert up.state() == "up", "a session that is there is kept"
    up.drop_session()
    up.wait("the watchdog to say so", lambda: up.state() == "paused", within_s=60)
    up.container.reboot()
    up.wait("the simulator", up.simulator_answers, within_s=30)
    up.wait("the next watchdog to say so", lambda: up.state() == "paused", within_s=60)
    # A request that somebody else leaves is refused by the login itself.
    up.run("touch /run/ibkr-tools/login.request")
    up.wait("the login's refusal", lambda: up.show("ibkr-login.service", "ExecMainStatus") == "75", within_s=60)
    assert up.code("ibkr-tools status") == 75
    assert (up.submitted(), up.pages()) == (0, 0)
    moment = now()
    up.run("ibkr-tools resume")
    up.wait_back(moment)
