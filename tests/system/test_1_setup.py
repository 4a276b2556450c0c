"""`ibkr-tools setup` on an installed machine: from nothing to the first positions; what follows a wrong password."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.system.machine import (
    CHECKOUT,
    CONFIG,
    INSTALL,
    PASSWORD,
    PASSWORD_FILE,
    Machine,
    find_text,
)

pytestmark = pytest.mark.system

WRONG = "pass.phrase-of-setup-Wr0ng"[::-1]
"""Not written out: the checkout is on the machine, and is searched too."""
SIMULATED = '{"gateway": {"upstream": "http://127.0.0.1:5080"}}'
SET_UP = "ibkr-tools setup --password-stdin --username demo-reader --account U1234567"


@contextmanager
def watching_processes(machine: Machine, text: str) -> Iterator[list[str]]:
    """Lends a list of every process that had `text` in its command line or its environment within the block."""
    found: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            processes = machine.container.processes()
            found.extend(str(process) for process in processes if text.encode() in process.argv + process.environ)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def forget(machine: Machine) -> None:
    """Has nobody set anything up yet, but for the simulator that stands in for IBKR's servers."""
    machine.run(
        f"systemctl disable --now ibkr-gateway ibkr-fetch.timer; rm -f {PASSWORD_FILE}; install -m 600 /dev/null"
        f" {PASSWORD_FILE}; rm {CONFIG}; install -m 640 -g ibkr /dev/stdin {CONFIG} <<<'{SIMULATED}'",
        timeout_s=60,
    )


def test_setup_ends_with_the_first_positions(machine: Machine) -> None:
    """One command with options: written, enabled, started, logged in, and a table; at the time that was wanted."""
    forget(machine)
    with machine.timed("ibkr-tools setup to the first positions"):
        done = machine.container.run(
            f"{SET_UP} --schedule 'Mon..Fri 18:00' --alerts none", stdin=f"{PASSWORD}\n", timeout_s=180
        )
    assert done.stdout.splitlines()[-1].startswith("net liquidation value")
    assert json.loads(machine.run(f"cat {CONFIG}")) == {
        **json.loads(SIMULATED),
        "username": "demo-reader",
        "account": "U1234567",
    }
    assert machine.run(f"stat -c '%a %U:%G' {CONFIG} {PASSWORD_FILE}").splitlines() == [
        "640 root:ibkr",
        "600 root:root",
    ]
    assert machine.run("systemctl is-enabled ibkr-gateway ibkr-fetch.timer").split() == ["enabled", "enabled"]
    assert "OnCalendar=Mon..Fri *-*-* 18:00:00 ;" in machine.show("ibkr-fetch.timer", "TimersCalendar")
    assert machine.is_active("ibkr-fetch.timer")
    machine.wait_status()


def test_setting_up_again_changes_what_is_answered(machine: Machine) -> None:
    """The session is kept, and no password is submitted for it."""
    before, gateway = machine.submitted(), machine.main_process("ibkr-gateway.service")
    told = machine.run("ibkr-tools setup --schedule none </dev/null", timeout_s=120)
    assert told.splitlines()[-1].startswith("net liquidation value")
    assert machine.code("systemctl is-enabled --quiet ibkr-fetch.timer") != 0
    assert not machine.is_active("ibkr-fetch.timer")
    assert (machine.submitted(), machine.main_process("ibkr-gateway.service")) == (before, gateway)
    assert machine.code("ibkr-tools setup --simulator --no-start </dev/null") == 0


def test_a_wrong_password_is_told_and_another_one_is_all_it_takes(machine: Machine) -> None:
    """77 with the next command, after one submission; then `password` clears it. It is nowhere but in its file."""
    forget(machine)
    with watching_processes(machine, WRONG) as found:
        done = machine.container.run(SET_UP, check=False, stdin=WRONG, timeout_s=180)
    assert done.returncode == 77, done
    assert "next: sudo ibkr-tools password" in done.stdout.splitlines()[-1]
    assert machine.submitted() == 1
    assert found == []
    assert WRONG not in done.stdout + done.stderr
    machine.run("journalctl --sync")
    assert WRONG not in machine.run("journalctl --quiet --no-pager --output=json --all")
    places = (machine.container.written, machine.container.inside("/run/ibkr-tools"))
    own = machine.container.written / PASSWORD_FILE.lstrip("/")
    machine.stop()
    assert find_text(WRONG, *places, but_not=(own,)) == []
    machine.run("systemctl start ibkr-gateway", timeout_s=90)
    done = machine.container.run("ibkr-tools password --password-stdin --login", stdin=PASSWORD, timeout_s=120)
    assert "unlocked; logins are allowed again" in done.stdout or "unlocked; nothing was locked" in done.stdout
    machine.wait("the session", lambda: machine.state() == "up", within_s=90)


def test_the_simulators_user_needs_no_answer(machine: Machine) -> None:
    """`setup --simulator` on a machine with the example alone."""
    forget(machine)
    machine.run(f"cat {CHECKOUT}/config.example.json >{CONFIG}")
    told = machine.run("ibkr-tools setup --simulator", timeout_s=180)
    assert told.splitlines()[-1].startswith("net liquidation value")
    assert machine.run(f"cat {PASSWORD_FILE}") == PASSWORD


def test_an_installation_that_was_interrupted_is_still_a_first_one(machine: Machine) -> None:
    """What was enabled in the end is enabled when it is run again; what somebody disabled later stays so."""
    machine.run(f"{CHECKOUT}/bin/uninstall; mkdir -p /srv/nothing", timeout_s=60)
    broken = machine.container.run(INSTALL.replace("/srv/clientportal.gw", "/srv/nothing"), check=False, timeout_s=240)
    assert broken.returncode == 78, broken
    assert machine.code("systemctl is-enabled --quiet ibkr-gateway") != 0
    told = machine.run(INSTALL, timeout_s=240)
    assert "at boot: ibkr-gateway is enabled" in told
    assert told.splitlines()[-1].split() == ["next:", "sudo", "ibkr-tools", "setup", "--simulator"]
    assert machine.run("systemctl is-enabled ibkr-gateway") == "enabled"
    machine.run("systemctl start ibkr-gateway; systemctl disable ibkr-gateway", timeout_s=90)
    again = machine.run(INSTALL, timeout_s=240)
    assert machine.run("systemctl is-enabled ibkr-gateway || true") == "disabled"
    assert again.splitlines()[-1].split() == ["next:", "ibkr-tools", "status"]
    machine.run("systemctl enable ibkr-gateway")


def test_the_next_step_after_an_installation_is_setting_up(machine: Machine) -> None:
    """Where there is the example alone; nothing else is complained about."""
    machine.run(f"cp -p {CONFIG} /srv/kept; rm {CONFIG}")
    done = machine.container.run(INSTALL.replace("--simulator ", ""), timeout_s=240)
    machine.run(f"mv /srv/kept {CONFIG}")
    assert done.stdout.splitlines()[-1].split() == ["next:", "sudo", "ibkr-tools", "setup"]
    assert "error:" not in done.stderr
