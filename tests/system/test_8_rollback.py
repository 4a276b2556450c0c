"""The way back to the version before: `bin/install --rollback`."""

import json

import pytest

from tests.system.machine import CHECKOUT, WHEELS, Machine, now

pytestmark = pytest.mark.system

INSTALL = f"{CHECKOUT}/bin/install --wheels {WHEELS}"
VERSION = f"{CHECKOUT}/ibkr_tools/__init__.py"
UNITS = "/usr/local/lib/systemd/system"
STATE = "/var/lib/ibkr-tools"
NOWHERE = "http://127.0.0.1:5999"


def installed(machine: Machine) -> str:
    """Returns everything that is installed outside of configuration and data, and its contents."""
    return machine.run(
        "cd /opt/ibkr-tools/venv/ && find . -type f ! -name '*.pyc' ! -path './bin/*' -exec sha256sum {} + | sort;"
        " find /usr/local/lib /usr/local/bin /etc/systemd/system -name '*ibkr*' -printf '%p %m\\n' | sort;"
        " cat /opt/ibkr-tools/manifest /opt/ibkr-tools/installed; cat $(grep -v '/$' /opt/ibkr-tools/manifest)"
    )


def test_an_upgrade_can_be_taken_back_and_forth(up: Machine) -> None:
    """Program, units and list are those of before; data stay; a session is there again; what was disabled stays so."""
    up.run("systemctl disable ibkr-gateway")
    before, version = installed(up), up.run("ibkr-tools --version")
    logged = up.run(f"jq '.attempts | length' {STATE}/login/login_log.json")
    up.run(
        f"""cp -a {CHECKOUT} /srv/kept; sed -i 's/^__version__ = .*/__version__ = "9.9.9"/' {VERSION}
        sed 's/^ExecStart=.*/ExecStart=sleep 600/' {CHECKOUT}/systemd/ibkr-simulator.service \\
            >{CHECKOUT}/systemd/ibkr-newer.service
        rm {CHECKOUT}/systemd/ibkr-fetch.timer"""
    )
    up.run(INSTALL, timeout_s=240)
    # A login that is cut off counts as one that failed, and the next one would be held back.
    up.start()
    after = installed(up)
    assert up.run("ibkr-tools --version") == "ibkr-tools 9.9.9"
    assert up.code(f"test -e {UNITS}/ibkr-newer.service -a ! -e {UNITS}/ibkr-fetch.timer") == 0
    moment = now()
    with up.timed("bin/install --rollback"):
        told = up.run(f"{CHECKOUT}/bin/install --rollback", timeout_s=120)
    assert "back to the version before" in told
    assert "running units: restarted" in told
    assert installed(up) == before
    assert up.run("ibkr-tools --version") == version
    assert up.run("systemctl is-enabled ibkr-gateway || true") == "disabled"
    # The gateway ran, so it runs, with the program of before.
    up.wait_back(moment)
    assert int(up.run(f"jq '.attempts | length' {STATE}/login/login_log.json")) >= int(logged)
    up.run(f"{CHECKOUT}/bin/install --rollback", timeout_s=120)
    assert installed(up) == after
    up.run(f"{CHECKOUT}/bin/install --rollback; rm -r {CHECKOUT}; mv /srv/kept {CHECKOUT}", timeout_s=120)
    assert installed(up) == before
    assert up.run("ls /opt/ibkr-tools/environments | wc -l") == "2"
    up.run("systemctl enable ibkr-gateway")


def test_instances_stay_those_that_there_are(machine: Machine) -> None:
    """One made since then stays and is restarted, one removed since then stays away; each has the version's units."""
    before = installed(machine)
    machine.run(f"{CHECKOUT}/bin/install --instance anna", timeout_s=120)
    # Nothing answers there: its gateway runs, and no login gets anywhere.
    config = {"username": "x", "password": "x", "account": "U1234567", "gateway": {"port": 5001, "upstream": NOWHERE}}
    machine.container.run("cat >/etc/ibkr-tools@anna/config.json", stdin=json.dumps(config))
    machine.run("ibkr-tools --instance anna pause; systemctl start ibkr-gateway@anna", timeout_s=90)
    process = machine.main_process("ibkr-gateway@anna.service")
    log = f"{STATE}@anna/login/login_log.json"
    machine.run(f"""install -o ibkr-anna /dev/null {log}; echo '{{"schema": 2}}' >{log}""")
    told = machine.container.run(f"{CHECKOUT}/bin/install --rollback", check=False, timeout_s=60)
    assert (told.returncode, f"{log}: " in told.stderr) == (78, True), told.stderr
    machine.run(f"rm {log}; {CHECKOUT}/bin/install --rollback", timeout_s=120)
    assert machine.run("ibkr-tools --version") == "ibkr-tools 9.9.9"
    assert machine.code(f"test -e {UNITS}/ibkr-newer@.service") == 0
    assert machine.is_active("ibkr-gateway@anna.service")
    assert machine.main_process("ibkr-gateway@anna.service") != process
    assert machine.show("ibkr-gateway@anna.service", "NeedDaemonReload") == "no"
    assert "ibkr-tools@anna.conf" in machine.run("cat /opt/ibkr-tools/manifest")
    machine.run(f"{CHECKOUT}/bin/uninstall --instance anna --purge", timeout_s=90)
    machine.run(f"{CHECKOUT}/bin/install --rollback", timeout_s=120)
    assert installed(machine) == before
    assert machine.code("getent passwd ibkr-anna") == 2
    # A version from before there were any.
    template = f"/opt/ibkr-tools/previous/files{UNITS}/ibkr-gateway@.service"
    machine.run(f"mv {template} /srv/template; {CHECKOUT}/bin/install --instance anna", timeout_s=120)
    told = machine.container.run(f"{CHECKOUT}/bin/install --rollback", check=False, timeout_s=60)
    machine.run(f"mv /srv/template {template}; {CHECKOUT}/bin/uninstall --instance anna --purge", timeout_s=90)
    assert (told.returncode, "has no units for the instances: anna" in told.stderr) == (78, True), told.stderr
    assert installed(machine) == before


def test_a_way_back_that_does_not_exist_is_refused(machine: Machine) -> None:
    """Before anything is changed: no version before, one that does not start, state that it cannot read."""
    before = installed(machine)
    log = f"{STATE}/login/login_log.json"
    newer = json.dumps({**json.loads(machine.run(f"cat {log}")), "schema": 2})
    previous = "/opt/ibkr-tools/previous"
    for prepare, undo, words in (
        (f"mv {previous} /srv/previous", f"mv /srv/previous {previous}", "no version before this one is kept"),
        (
            f"cp {previous}/environment /srv/name; echo nowhere >{previous}/environment",
            f"cp /srv/name {previous}/environment",
            "the version before does not start any more",
        ),
        (f"cp -p {log} /srv/log; echo '{newer}' >{log}", f"cp -p /srv/log {log}", "login/login_log.json"),
    ):
        machine.run(prepare)
        told = machine.container.run(f"{CHECKOUT}/bin/install --rollback", check=False, timeout_s=60)
        machine.run(undo)
        assert told.returncode == 78, words
        assert words in told.stderr
    assert machine.code(f"{CHECKOUT}/bin/install --rollback --simulator") == 2
    assert installed(machine) == before


def test_what_was_interrupted_leaves_the_version_that_was_installed(machine: Machine) -> None:
    """Nothing is changed until the new program is whole: an index that cannot be reached costs nothing."""
    before = installed(machine)
    machine.run(f"cp {VERSION} /srv/version; echo >>{VERSION}; mkdir -p /srv/no-wheels")
    told = machine.container.run(f"{CHECKOUT}/bin/install --wheels /srv/no-wheels", check=False, timeout_s=120)
    machine.run(f"cp -p /srv/version {VERSION}")
    assert told.returncode != 0
    assert installed(machine) == before
    assert machine.run("ls /opt/ibkr-tools/environments | wc -l") == "2"
