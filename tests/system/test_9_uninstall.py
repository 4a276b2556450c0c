"""What bin/uninstall leaves, and what it does not. Runs last: there is nothing to test with afterwards."""

import pytest

from tests.system.machine import CHECKOUT, HOSTILE, IN_HOSTILE, PASSWORD, Machine, find_text

pytestmark = pytest.mark.system

UNITS = "/usr/local/lib/systemd/system"
FOREIGN = (
    f"{UNITS}/ibkr-second-user.service",
    f"{UNITS}/nftables.service.d/60-mine.conf",
    f"{UNITS}/ibkr-gateway.service.d/60-mine.conf",
    "/etc/systemd/system/ibkr-second-user.service.d/memory.conf",
    "/opt/ibkr-tools/notify.sh",
)
"""A person's own, under names like ours or in directories of ours."""
OWN_DROP_IN = "/etc/systemd/system/ibkr-gateway.service.d/override.conf"


def exists(machine: Machine, path: str) -> bool:
    return machine.code(f"test -e {path} -o -L {path}") == 0


def test_uninstall_keeps_data(up: Machine) -> None:
    """Everything is stopped and gone but configuration, password, data, user."""
    uid = up.uid()
    for path in (*FOREIGN, OWN_DROP_IN):
        up.run(f"mkdir -p $(dirname {path}); printf '[Unit]\\nDescription=mine\\n' >{path}")
    up.run(f"printf '[Service]\\nExecStart=/bin/sleep 600\\n' >>{FOREIGN[0]}; systemctl daemon-reload")
    up.run("systemctl enable --now ibkr-fetch.timer; systemctl start ibkr-second-user ibkr-fetch")
    told = up.run(f"{IN_HOSTILE} {CHECKOUT}/bin/uninstall")
    assert not exists(up, f"{HOSTILE}/ran")
    for path in (*FOREIGN, OWN_DROP_IN):
        assert exists(up, path), path
    assert up.is_active("ibkr-second-user.service")
    up.run("systemctl stop ibkr-second-user")
    assert f"left: {FOREIGN[4]} (not ours)" in told
    assert [process for process in up.container.processes() if process.uid == uid] == []
    assert up.run("systemctl list-unit-files --no-legend 'ibkr-*' || true").split()[:1] == ["ibkr-second-user.service"]
    for gone in (
        "/opt/ibkr-tools/venv",
        "/opt/ibkr-tools/manifest",
        "/usr/local/bin/ibkr-tools",
        "/run/ibkr-tools",
        "/opt/ibkr-tools/environments",
    ):
        assert up.code(f"test -e {gone}") != 0, gone
    for kept in (
        "/etc/ibkr-tools/config.json",
        "/etc/ibkr-tools/password",
        "/var/lib/ibkr-tools/snapshots/latest.json",
    ):
        assert up.code(f"test -s {kept}") == 0, kept
    assert "ibkr" not in up.run(
        "systemctl --failed --no-legend --plain;"
        " systemctl list-units --all --no-legend --plain --type=service,socket,path,timer"
    ).replace("ibkr-second-user", "")


def test_purge_waits_for_processes_of_the_user(machine: Machine) -> None:
    """The user cannot go while one of its processes is there: a line says which, and nothing is removed."""
    machine.run("systemd-run --quiet --unit=straggler --property=User=ibkr sleep 600")
    told = machine.container.run(f"{CHECKOUT}/bin/uninstall --purge", check=False)
    machine.run("systemctl stop straggler")
    assert told.returncode == 73
    assert "processes of the user ibkr still run: " in told.stderr
    assert "(sleep)" in told.stderr
    assert exists(machine, "/etc/ibkr-tools/password")


def test_purge_leaves_nothing(machine: Machine) -> None:
    """Also where it was uninstalled before, and where links lead to another disk: what stays is named."""
    machine.run(
        f"""mkdir -p /srv/disk /srv/secrets; mv /var/lib/ibkr-tools /srv/disk/state
        ln -s /srv/disk/state /var/lib/ibkr-tools
        mv /etc/ibkr-tools/password /srv/secrets/pw; ln -s /srv/secrets/pw /etc/ibkr-tools/password
        echo {PASSWORD} >/srv/secrets/other; echo x >/srv/victim; echo x >/srv/disk/state/mine
        cp {CHECKOUT}/systemd/ibkr-watchdog.service {UNITS}; cp {FOREIGN[0]} {UNITS}/ibkr-fetch.service
        ln -s /srv/victim /srv/disk/state/login/login_log.link; chown -h ibkr /srv/disk/state/login/login_log.link"""
    )
    machine.configure(login={"password_file": "/srv/secrets/other"})
    done = machine.container.run(f"{IN_HOSTILE} {CHECKOUT}/bin/uninstall --purge")
    # What somebody has put back by hand is not on any list, and what only has a name of ours is not ours.
    assert "there is no list of what was installed" in done.stderr
    assert not exists(machine, f"{UNITS}/ibkr-watchdog.service")
    assert exists(machine, f"{UNITS}/ibkr-fetch.service")
    told = done.stdout
    for line in (
        "removed: /srv/secrets/pw",
        "left: /srv/secrets/other (login.password_file in /etc/ibkr-tools/config.json)",
        "left: /srv/disk/state/mine (not known to be ours)",
        "left: /srv/victim (where the link /srv/disk/state/login/login_log.link led)",
        "removed: /etc/ibkr-tools",
        "removed: the user ibkr",
    ):
        assert f"{line}\n" in f"{told}\n"
    assert "userdel" not in done.stderr
    assert told.count("left: ") - told.count("(not ours)") == 3
    assert machine.run("find /srv/disk /srv/secrets /srv/victim -type f").split() == [
        "/srv/disk/state/mine",
        "/srv/secrets/other",
        "/srv/victim",
    ]
    assert find_text(PASSWORD, machine.container.inside("/etc"), machine.container.inside("/opt")) == []
    for path in FOREIGN:
        assert exists(machine, path), path
    assert not exists(machine, OWN_DROP_IN)
    assert not exists(machine, f"{HOSTILE}/ran")
    own = " ".join((*FOREIGN, f"{UNITS}/ibkr-fetch.service", f"{UNITS}/ibkr-gateway.service.d"))
    machine.run(f"rm -r {own} /etc/systemd/system/ibkr-second-user.service.d")
    machine.run("rmdir /opt/ibkr-tools")
    names = r"\( -name 'ibkr*' -o -name '*-ibkr*' \)"
    assert machine.run(f"find /etc /opt /run /usr/local /var/lib -xdev {names} ! -path '/run/host/*' || true") == ""
    assert machine.code("getent passwd ibkr") == 2
    assert machine.code("getent group ibkr") == 2
    assert machine.code(f"{CHECKOUT}/bin/uninstall --purge") == 0
