"""What bin/install leaves on a machine, and that doing it again changes nothing."""

import hashlib
import json

import pytest

from tests.system.machine import INSTALL, PASSWORD, PASSWORD_FILE, Machine, now

pytestmark = pytest.mark.system


def modes(machine: Machine, *paths: str) -> dict[str, str]:
    lines = machine.run(f"stat -c '%n %a %U:%G' {' '.join(paths)}").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_files_have_their_owners_and_modes(machine: Machine) -> None:
    """The configuration is for the group, the password for root, the data for the service."""
    assert modes(
        machine,
        "/etc/ibkr-tools/config.json",
        PASSWORD_FILE,
        "/var/lib/ibkr-tools",
        "/var/lib/ibkr-tools/login",
        "/var/lib/ibkr-tools/gateway/tls/gateway.p12",
        "/opt/ibkr-tools/venv/bin/ibkr-tools",
    ) == {
        "/etc/ibkr-tools/config.json": "640 root:ibkr",
        PASSWORD_FILE: "600 root:root",
        "/var/lib/ibkr-tools": "750 ibkr:ibkr",
        "/var/lib/ibkr-tools/login": "700 ibkr:ibkr",
        "/var/lib/ibkr-tools/gateway/tls/gateway.p12": "600 ibkr:ibkr",
        "/opt/ibkr-tools/venv/bin/ibkr-tools": "755 root:root",
    }


def test_first_installation_enables_but_does_not_start(machine: Machine) -> None:
    """The next boot brings everything up; until then a person decides."""
    assert machine.run("systemctl is-enabled ibkr-gateway") == "enabled"
    assert machine.code("systemctl is-enabled --quiet ibkr-fetch.timer") != 0
    assert not machine.is_active("ibkr-gateway.service")


def test_systemd_reads_the_installed_units(machine: Machine) -> None:
    """With the real programs in place nothing is left to complain about."""
    told = machine.container.run(
        "systemd-analyze verify --man=no --recursive-errors=no /usr/local/lib/systemd/system/ibkr-*", check=False
    )
    assert (told.returncode, told.stderr) == (0, "")


def test_start_is_all_it_takes(machine: Machine) -> None:
    """`systemctl start ibkr-gateway` brings the session up, and `fetch --jq` prints the positions."""
    moment = now()
    with machine.timed("systemctl start to the first positions"):
        machine.run("systemctl start ibkr-gateway", timeout_s=90)
        machine.wait_back(moment)
        assert machine.run("ibkr-tools fetch positions --jq '.positions | length'") == "237"
    for unit in ("ibkr-gateway.service", "ibkr-watchdog.service", "ibkr-login.path", "ibkr-firewall.service"):
        assert machine.is_active(unit), unit
    assert machine.code("ibkr-tools status") == 0


def test_members_of_the_group_need_no_root(machine: Machine) -> None:
    """A person in the group ibkr fetches and sees the status; anybody else is told that he may not."""
    machine.run("useradd --create-home --groups ibkr alice && useradd --create-home mallory")
    fetch = "ibkr-tools fetch positions --jq '.positions | length'"
    assert machine.run(f"runuser -u alice -- {fetch}") == "237"
    assert machine.code("runuser -u alice -- ibkr-tools status") == 0
    # What alice has left behind does not stand in the way of the service.
    machine.run("systemctl start ibkr-fetch.service")
    refused = machine.container.run(f"runuser -u mallory -- {fetch}", check=False)
    assert refused.returncode == 78
    assert "Traceback" not in refused.stderr


def test_installing_again_changes_nothing(up: Machine) -> None:
    """Same files, same processes, and what the administrator disabled stays disabled."""

    def fingerprint() -> str:
        listing = up.run(
            "find /etc/ibkr-tools /usr/local/lib /opt/ibkr-tools -type f ! -name '*.pyc' -print0"
            " | sort -z | xargs -0 sha256sum;"
            "find /etc/ibkr-tools /etc/systemd/system /usr/local /var/lib/ibkr-tools -printf '%p %m %U:%G\\n' | sort",
        )
        return hashlib.sha256(listing.encode()).hexdigest()

    up.run("systemctl disable ibkr-gateway")
    before, gateway = fingerprint(), up.main_process("ibkr-gateway.service")
    with up.timed("bin/install again, nothing changed"):
        told = up.run(INSTALL.replace("--gateway /srv/clientportal.gw ", ""), timeout_s=120)
    assert "program: unchanged" in told
    assert up.main_process("ibkr-gateway.service") == gateway
    assert up.run("systemctl is-enabled ibkr-gateway || true") == "disabled"
    assert fingerprint() == before
    up.run("systemctl enable ibkr-gateway")


def test_password_is_moved_out_of_the_configuration(up: Machine) -> None:
    """A password in config.json ends in the root-only file, the rest of the file stays, and it is said."""
    config = "/etc/ibkr-tools/config.json"
    former = up.run(f"cat {config}")
    up.run(f'sed -i \'1a "password": "{PASSWORD}",\' {config} && echo old >{PASSWORD_FILE}')
    told = up.run(INSTALL, timeout_s=120)
    assert f"the password was moved from config.json to {PASSWORD_FILE}" in told
    assert PASSWORD not in told
    assert up.run(f"cat {PASSWORD_FILE}") == PASSWORD
    assert json.loads(up.run(f"cat {config}")) == json.loads(former)
    assert modes(up, config, PASSWORD_FILE) == {config: "640 root:ibkr", PASSWORD_FILE: "600 root:root"}


def test_mistakes_are_refused_before_anything_is_changed(machine: Machine) -> None:
    """A wrong option, a missing folder, no root: a clear line and a code each."""
    script = "/srv/ibkr-tools/bin/install"
    for command, code, words in (
        (f"{script} --gatway x", 2, "unknown option: --gatway"),
        (f"{script} --gateway /nowhere.zip", 2, "/nowhere.zip: no such file"),
        (f"{script} --wheels /nowhere", 2, "/nowhere: no such folder"),
        (f"runuser -u nobody -- {script}", 77, "needs root"),
        ("runuser -u nobody -- /srv/ibkr-tools/bin/uninstall", 77, "needs root"),
    ):
        told = machine.container.run(command, check=False)
        assert told.returncode == code, told.stderr
        assert words in told.stderr
