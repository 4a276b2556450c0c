"""Statements under systemd: the timer, the token as a credential, the sandbox, refusals, and IBKR away and back."""

import json
from collections.abc import Iterator

import pytest

from ibkr_tools.simulator.flex_service import FLEX_QUERY, FLEX_TOKEN
from tests.system.machine import CONFIG, INSTALL_AGAIN, Machine, find_text

pytestmark = pytest.mark.system

UNIT = "ibkr-flex.service"
TOKEN_FILE = "/etc/ibkr-tools/flex-token"
DROP_IN = f"/run/systemd/system/{UNIT}.d/50-test.conf"
STATEMENTS = "/var/lib/ibkr-tools/statements"


def drop_in(machine: Machine, *lines: str) -> None:
    """Changes the unit for a test."""
    text = "\\n".join(("[Service]", *lines))
    machine.run(f"mkdir -p $(dirname {DROP_IN}); printf '{text}\\n' >{DROP_IN}; systemctl daemon-reload")


def code(machine: Machine) -> str:
    """Runs the unit, and returns how it ended."""
    machine.code(f"systemctl start {UNIT}", timeout_s=90)
    return machine.show(UNIT, "ExecMainStatus")


def asked(machine: Machine) -> int:
    """Returns how many requests the service got."""
    return machine.control(lambda simulator: len(simulator.state()["flex"]["forms"]))


@pytest.fixture
def flex(up: Machine) -> Iterator[Machine]:
    """The machine with a query and a token, which bin/install has moved, and nothing fetched yet."""
    up.configure(flex={"query": FLEX_QUERY, "token": FLEX_TOKEN, "upstream": "http://127.0.0.1:5080"})
    up.run(f"{INSTALL_AGAIN} >/dev/null", timeout_s=120)
    up.run(f"rm -rf {STATEMENTS}/*; systemctl reset-failed {UNIT} 2>/dev/null || true")
    up.control(lambda simulator: simulator.flex(not_ready=0))
    yield up
    up.run(f"systemctl stop {UNIT}; rm -rf $(dirname {DROP_IN}); systemctl daemon-reload")
    up.run(f"systemctl reset-failed {UNIT} || true")


def test_the_token_is_a_credential_of_one_unit_and_nowhere_else(flex: Machine) -> None:
    """Moved out of the configuration, in no journal, no property and no file but its own."""
    assert "token" not in json.loads(flex.run(f"cat {CONFIG}"))["flex"]
    assert flex.run(f"stat -c '%a %U:%G' {TOKEN_FILE}") == "600 root:root"
    with flex.timed("systemctl start ibkr-flex, a statement of a year"):
        assert code(flex) == "0"
    (name,) = flex.run(f"ls {STATEMENTS} | grep xml").split()
    assert flex.run(f"stat -c '%a %U:%G' {STATEMENTS}/{name}") == "600 ibkr:ibkr"
    assert flex.status()["flex"]["state"] == "succeeded"
    assert flex.run("ibkr-tools history values | tail -n 1").endswith("rows")
    flex.run("journalctl --sync --rotate")
    assert FLEX_TOKEN not in flex.run("journalctl --no-pager --output=export --all")
    assert FLEX_TOKEN not in flex.run(f"systemctl show {UNIT}")
    written = flex.container.written
    places = (written / "var/lib/ibkr-tools", written / "etc", flex.container.inside("/run/ibkr-tools"))
    assert find_text(FLEX_TOKEN, *places) == [str(written / TOKEN_FILE.lstrip("/"))]
    flex.run("systemctl start ibkr-flex; journalctl --sync")
    assert flex.run("journalctl -u ibkr-flex -n 5 -o cat").count("nothing is due") == 1


def test_the_unit_sees_its_token_and_nothing_else_of_ours(flex: Machine) -> None:
    files = " ".join(f"/etc/ibkr-tools/{name}" for name in ("password", "flex-token"))
    directories = " ".join(f"/var/lib/ibkr-tools/{name}" for name in ("gateway", "browser", "login", "shared"))
    reads = (
        f"for file in {files}; do cat $$file && exit 1; done; "
        f"for place in {directories}; do ls $$place && exit 1; done; "
        "ls /var/lib/ibkr-tools/snapshots && touch /var/lib/ibkr-tools/snapshots/x && exit 1"
    )
    drop_in(flex, "ExecStart=", f'ExecStart=/bin/sh -c "{reads}; test -s $CREDENTIALS_DIRECTORY/ibkr-flex-token"')
    assert code(flex) == "0"
    flex.run(f"rm {DROP_IN}; systemctl daemon-reload")
    score = flex.run(f"systemd-analyze security --no-pager {UNIT} | tail -n 1")
    assert float(score.split(":")[1].split()[0]) <= 1.5


def test_a_refused_token_is_sent_once(flex: Machine) -> None:
    """77, one request, a message; neither systemd nor the next turn of the timer sends it again."""
    flex.control(lambda simulator: simulator.flex(send_codes=[1012]))
    before = asked(flex)
    assert code(flex) == "77"
    flex.wait("the failure", lambda: flex.show(UNIT, "ActiveState") == "failed", within_s=10)
    assert code(flex) == "77"
    assert asked(flex) == before + 1
    assert flex.show(UNIT, "NRestarts") == "0"
    flex.wait("the message", lambda: "1012" in flex.run("journalctl -u ibkr-alert -n 50 -o cat"), within_s=30)
    # The same one is told once.
    assert flex.run("journalctl -u ibkr-alert -o cat | grep -c 'token has expired' || true") == "1"
    flex.run("ibkr-tools flex check --again", timeout_s=90)
    assert code(flex) == "0"


def test_ibkr_away_and_back(flex: Machine) -> None:
    """What passes is tried again by systemd, without anybody."""
    drop_in(flex, "RestartSec=1")
    flex.control(lambda simulator: simulator.flex(send_codes=[1004, 1005]))
    before = asked(flex)
    flex.run(f"systemctl start --no-block {UNIT}")
    flex.wait("the statement", lambda: flex.run(f"ls {STATEMENTS} | grep -c xml || true") == "1", within_s=60)
    flex.wait("its end", lambda: flex.show(UNIT, "ActiveState") == "inactive", within_s=30)
    # Two refusals, then the statement: asked for, and fetched. systemd may have forgotten the unit and its restarts.
    assert (flex.show(UNIT, "Result"), asked(flex)) == ("success", before + 4)


# Minutes and half hours are seconds here; what is done after how many of them is the program's own.
FAST = """\
import sys
from ibkr_tools.flex import flex_policy
flex_policy.MINUTES_S, flex_policy.HALF_HOUR_S = (1.0, 1.0), 1.0
from ibkr_tools.cli import main
sys.argv = ["ibkr-tools", "flex", "fetch"]
main()
"""


def told(machine: Machine, text: str) -> int:
    """Returns how often a person was told something; without a command of theirs the journal has it."""
    return int(machine.run(f"journalctl -u ibkr-alert -o cat | grep -c '{text}' || true"))


def test_ibkr_away_for_a_day(flex: Machine) -> None:
    """Out of reach, then overloaded until systemd gives it up: told once; the timer's next turn covers the days."""
    flex.container.run("cat >/run/fast.py", stdin=FAST)
    start = ("ExecStart=", "ExecStart=/opt/ibkr-tools/venv/bin/python -I /run/fast.py")
    outbox = flex.container.inside("/run/ibkr-tools/outbox")
    flex.wait("what others have left to be told", lambda: not list(outbox.glob("*.json")), within_s=60)
    before, over = asked(flex), told(flex, "they do")
    # Nobody listens, not even at the third time.
    flex.configure(flex={"upstream": "http://127.0.0.1:9"})
    drop_in(flex, "RestartSec=600", *start)
    flex.run(f"systemctl start --no-block {UNIT}")
    flex.wait("the first try", lambda: flex.show(UNIT, "SubState") == "auto-restart", within_s=60)
    assert (flex.show(UNIT, "ExecMainStatus"), asked(flex)) == ("75", before)
    # It has been so since last night.
    state = f"{STATEMENTS}/service.json"
    flex.run(f"systemctl stop {UNIT}; grep -q failing_since...[0-9] {state}")
    flex.run(f"""sed -Ei 's/(failing_since[":]+)[^"]+/\\1'$(date -u -d '11 hours ago' +%FT%TZ)/ {state}""")
    assert told(flex, "o statement has come") == 0
    # IBKR is back, and too busy: two tries are all of this day.
    flex.configure(flex={"upstream": "http://127.0.0.1:5080"})
    flex.control(lambda simulator: simulator.flex(not_ready=0, send_codes=[1009, 1009, 1009, 1001, 1001, 1001]))
    flex.run(f"systemctl reset-failed {UNIT} || true")
    drop_in(flex, "RestartSec=1", *start, "[Unit]", "StartLimitBurst=2")
    flex.run(f"systemctl start --no-block {UNIT}")
    flex.wait("the end of all tries", lambda: flex.show(UNIT, "ActiveState") == "failed", within_s=90)
    assert flex.show(UNIT, "ExecMainStatus") == "75"
    assert asked(flex) == before + 6
    assert flex.status()["flex"]["state"] == "failed"
    flex.wait("the message", lambda: told(flex, "o statement has come") == 1, within_s=60)
    # A day later.
    flex.run(f"systemctl reset-failed {UNIT}")
    assert code(flex) == "0"
    assert asked(flex) == before + 8
    section = flex.status()["flex"]
    assert (section["state"], section["problems"]) == ("succeeded", [])
    assert section["covered_to"] == flex.run(f"ls {STATEMENTS} | grep xml").split("_")[1]
    flex.wait("the end of it", lambda: told(flex, "they do") == over + 1, within_s=60)
    assert told(flex, "o statement has come") == 1
    assert told(flex, f"{UNIT} failed") == 0


def test_the_timer_is_independent_of_the_gateway(flex: Machine) -> None:
    flex.run("systemctl enable --now ibkr-flex.timer")
    flex.stop()
    assert flex.is_active("ibkr-flex.timer")
    elapses = flex.run("systemctl show -p NextElapseUSecRealtime --value ibkr-flex.timer")
    flex.run("systemctl disable --now ibkr-flex.timer; systemctl start ibkr-gateway", timeout_s=90)
    assert "UTC" in elapses or ":" in elapses
