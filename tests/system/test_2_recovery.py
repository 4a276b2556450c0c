"""Whatever dies or hangs comes back by itself; what is stopped stays stopped."""

import signal
import time

import pytest

from tests.support.container import wait_until
from tests.system.machine import UNITS, Machine, now

pytestmark = pytest.mark.system


def test_lost_session_comes_back(up: Machine) -> None:
    """IBKR drops the session: it is noticed, a login is asked for, and the session is back."""
    moment = now()
    with up.timed("session dropped to session back"):
        up.drop_session()
        with up.timed("session dropped to loss noticed"):
            up.wait("the loss to be noticed", lambda: up.state() != "up", within_s=35)
        up.wait_back(moment)
    assert up.run("ibkr-tools fetch positions --jq '.positions | length'") == "237"


def test_java_killed(up: Machine) -> None:
    """SIGKILL to Java: systemd starts the gateway anew and the watchdog has it logged in."""
    java, moment = up.java(), now()
    assert java is not None
    with up.timed("Java killed (SIGKILL) to session back"):
        java.kill(signal.SIGKILL)
        up.wait_back(moment)
    assert up.show("ibkr-gateway.service", "NRestarts") != "0"


def test_java_hung(up: Machine) -> None:
    """SIGSTOP to Java: the gateway's watchdog notices that it does not answer."""
    java, moment = up.java(), now()
    assert java is not None
    with up.timed("Java hung (SIGSTOP) to session back"):
        java.kill(signal.SIGSTOP)
        up.wait_back(moment, within_s=90)
    again = up.java()
    assert again is not None
    assert again.pid != java.pid


def test_gateway_parent_killed(up: Machine) -> None:
    """SIGKILL to the parent: the orphaned Java is ended with the unit, and both start anew."""
    java, moment = up.java(), now()
    assert java is not None
    with up.timed("gateway's parent killed (SIGKILL) to session back"):
        up.kill("ibkr-gateway.service", signal.SIGKILL)
        up.wait_back(moment)
    assert java.pid not in {process.pid for process in up.container.processes()}


def test_watchdog_hung(up: Machine) -> None:
    """SIGSTOP to the watchdog: systemd replaces it, and the session is neither lost nor logged in anew."""
    moment, before = now(), up.logins()
    former = up.main_process("ibkr-watchdog.service")
    with up.timed("watchdog hung (SIGSTOP) to watching again"):
        up.kill("ibkr-watchdog.service", signal.SIGSTOP)
        up.wait("another watchdog", lambda: up.main_process("ibkr-watchdog.service") not in {0, former}, within_s=60)
        up.wait_back(moment)
    assert up.logins() == before


def test_watchdog_killed(up: Machine) -> None:
    """SIGKILL to the watchdog: the next one finds the session and keeps it."""
    moment, before = now(), up.logins()
    with up.timed("watchdog killed (SIGKILL) to watching again"):
        up.kill("ibkr-watchdog.service", signal.SIGKILL)
        up.wait_back(moment)
    assert up.logins() == before


def test_browser_killed_during_login(up: Machine) -> None:
    """The browser dies in the middle of a login: another login follows and succeeds."""
    moment = now()
    browser = up.browser_in_login()
    with up.timed("browser killed during login to session back"):
        browser.kill(signal.SIGKILL)
        up.control(lambda simulator: simulator.clear())
        up.wait_back(moment, within_s=120)


def test_login_killed(up: Machine) -> None:
    """The whole login dies in the middle: no browser is left over, and another login follows."""
    moment = now()
    browser = up.browser_in_login()
    with up.timed("login killed (all of it) to session back"):
        up.kill("ibkr-login.service", signal.SIGKILL, whom="all")
        up.control(lambda simulator: simulator.clear())
        up.wait_back(moment, within_s=120)
    assert browser.pid not in {process.pid for process in up.container.processes()}


@pytest.mark.parametrize("moment", ["in peace", "during a login"])
def test_stop_means_stop(up: Machine, moment: str) -> None:
    """`systemctl stop ibkr-gateway` leaves no process, no active unit, no packet filter, and nothing comes back."""
    up.run("systemctl start ibkr-fetch.timer")
    if moment == "during a login":
        up.browser_in_login()
    with up.timed(f"systemctl stop, {moment}"):
        up.stop()
    # The command waits for the gateway; what is not ordered after it, and what nobody needs any more, goes with it.
    up.wait("the end of every process", lambda: up.ours() == [], within_s=5)
    # A request that was left lying must not bring anything back either.
    up.run("touch /run/ibkr-tools/login.request")
    time.sleep(2)
    assert up.ours() == []
    states = {unit: up.show(unit, "ActiveState") for unit in UNITS}
    assert {unit: state for unit, state in states.items() if state not in {"inactive", "failed"}} == {}
    assert up.show("ibkr-gateway.service", "Result") == "success"
    assert "ibkr_tools" not in up.run("nft list ruleset")
    assert up.run("ls /run/ibkr-tools/status.json") != ""


def test_fetch_timer_comes_and_goes_with_the_gateway(up: Machine) -> None:
    """Enabled once, the timer runs while the gateway does; a snapshot is taken by its unit."""
    up.run("systemctl enable --now ibkr-fetch.timer")
    assert "ibkr-fetch.service" in up.run("systemctl list-timers --no-legend")
    with up.timed("one snapshot by ibkr-fetch.service"):
        up.run("systemctl start ibkr-fetch.service")
    assert up.show("ibkr-fetch.service", "Result") == "success"
    snapshot = up.run(
        "cat /var/lib/ibkr-tools/snapshots/latest.json | python3 -c 'import json, sys;"
        ' print(len(json.load(sys.stdin)["positions"]))\''
    )
    assert snapshot == "237"
    up.stop()
    assert not up.is_active("ibkr-fetch.timer")
    up.start()
    assert up.is_active("ibkr-fetch.timer")


def test_reboot_comes_up_signed_in(up: Machine) -> None:
    """Nobody touches the machine, and the session is up again."""
    moment = now()
    with up.timed("reboot to session back"):
        up.container.reboot()
        up.wait_back(moment)
    assert up.is_active("ibkr-fetch.timer")
    assert "ordering cycle" not in up.container.journal(lines=5000)
    assert up.run("ibkr-tools fetch positions --jq '.positions | length'") == "237"


def test_configuration_error_is_not_retried(up: Machine) -> None:
    """A broken configuration fails once, says what is wrong, and after the correction a start is all."""
    config = "/etc/ibkr-tools/config.json"
    up.stop()
    up.run(f"cp -p {config} /root/good && sed -i 's/username/usrname/' {config}")
    assert up.code("systemctl start ibkr-gateway") != 0
    assert not up.is_active("ibkr-gateway.service")
    # What is still starting would take the next start for its own.
    failed = "systemctl is-failed --quiet ibkr-watchdog.service"
    wait_until("an end of the attempts", lambda: up.code(failed) == 0, within_s=20)
    assert "usrname" in up.container.journal("--unit=ibkr-*", "--priority=err", lines=20)
    up.run(f"cp -p /root/good {config}")
    up.start()
