"""An installation for statements alone: no Java, no Chromium, no gateway. Runs when everything else is gone."""

import json

import pytest

from ibkr_tools.simulator.flex_service import FLEX_QUERY, FLEX_TOKEN
from tests.system.machine import CHECKOUT, CONFIG, WHEELS, Machine

pytestmark = pytest.mark.system

INSTALL = f"{CHECKOUT}/bin/install --statements-only --wheels {WHEELS}"
UNITS = "/usr/local/lib/systemd/system"


def test_statements_alone(machine: Machine) -> None:
    """It installs the unit, its timer and what tells a person, fetches, stays so when it is upgraded, and goes."""
    machine.run(f"{CHECKOUT}/bin/uninstall --purge", timeout_s=60)
    # Nothing that only the gateway and the login need is looked for.
    hide = "touch /srv/empty; for path in /usr/bin/chromedriver /usr/sbin/nft; do mount --bind /srv/empty $path; done"
    machine.run(hide)
    told = machine.run(INSTALL, timeout_s=240)
    assert "packages: all there" in told
    assert "gateway:" not in told
    found = machine.run(f"ls {UNITS} | grep -v '\\.d$'").split()
    assert sorted(found) == ["ibkr-alert.service", "ibkr-alert@.service", "ibkr-flex.service", "ibkr-flex.timer"]
    assert machine.run("systemctl is-enabled ibkr-flex.timer") == "enabled"
    assert not machine.is_active("ibkr-flex.timer")
    flex = f'"flex": {{"query": "{FLEX_QUERY}", "token": "{FLEX_TOKEN}", "upstream": "http://127.0.0.1:5080"}}'
    machine.run(f"""echo '{{"username": "reader", "account": "U1234567", {flex}}}' >{CONFIG}""")
    again = machine.run(f"{CHECKOUT}/bin/install --wheels {WHEELS}", timeout_s=120)
    assert "the token was moved" in again
    assert "gateway:" not in again
    program = "/opt/ibkr-tools/venv/bin/ibkr-tools simulate"
    machine.run(f"systemd-run --quiet --unit=stand-in --property=User=nobody {program}")
    machine.wait("the simulator", machine.simulator_answers, within_s=20)
    machine.control(lambda simulator: simulator.flex(not_ready=0))
    machine.run("systemctl start ibkr-flex.timer ibkr-flex.service", timeout_s=90)
    assert machine.run("ibkr-tools status | grep ^flex").startswith("flex     succeeded")
    assert machine.code("ibkr-tools status") == 0
    examined = machine.container.run("ibkr-tools doctor", check=False)
    assert examined.returncode in {0, 1}, examined.stdout
    checks = json.loads(machine.container.run("ibkr-tools doctor --json", check=False).stdout)["checks"]
    assert not {check["check"] for check in checks} & {"Java", "browser", "gateway", "packet filter"}
    refused = machine.container.run(f"{CHECKOUT}/bin/install --statements-only --simulator", check=False)
    assert refused.returncode == 2
    machine.run("systemctl stop stand-in; umount /usr/bin/chromedriver /usr/sbin/nft")
    machine.run(f"{CHECKOUT}/bin/uninstall --purge", timeout_s=60)
    assert machine.code("test -e /etc/ibkr-tools -o -e /var/lib/ibkr-tools -o -e /opt/ibkr-tools") != 0
    assert machine.code("test -e /var/lib/systemd/timers/stamp-ibkr-flex.timer") != 0
