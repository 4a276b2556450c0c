"""What bin/uninstall leaves, and what it does not. Runs last: there is nothing to test with afterwards."""

import pytest

from tests.system.machine import CHECKOUT, Machine

pytestmark = pytest.mark.system


def test_uninstall_keeps_data(up: Machine) -> None:
    """Everything is stopped and gone but configuration, password, data, user."""
    up.run("systemctl enable --now ibkr-fetch.timer")
    uid = up.uid()
    up.run(f"{CHECKOUT}/bin/uninstall")
    assert [process for process in up.container.processes() if process.uid == uid] == []
    assert up.run("systemctl list-unit-files --no-legend 'ibkr-*' || true") == ""
    for gone in ("/opt/ibkr-tools", "/usr/local/bin/ibkr-tools", "/run/ibkr-tools"):
        assert up.code(f"test -e {gone}") != 0, gone
    for kept in (
        "/etc/ibkr-tools/config.json",
        "/etc/ibkr-tools/password",
        "/var/lib/ibkr-tools/snapshots/latest.json",
    ):
        assert up.code(f"test -s {kept}") == 0, kept
    assert "ibkr" not in up.run(
        "systemctl --failed --no-legend --plain; systemctl list-units --all --no-legend --plain"
    )


def test_purge_leaves_nothing(machine: Machine) -> None:
    """Also where it was uninstalled before: no file, no user, no group."""
    machine.run(f"{CHECKOUT}/bin/uninstall --purge")
    names = r"\( -name 'ibkr*' -o -name '*-ibkr*' \)"
    assert machine.run(f"find /etc /opt /run /usr/local /var/lib -xdev {names} ! -path '/run/host/*' || true") == ""
    assert machine.code("getent passwd ibkr") == 2
    assert machine.code("getent group ibkr") == 2
    assert machine.code(f"{CHECKOUT}/bin/uninstall --purge") == 0
