"""The gateway's port is for root, ibkr and the members of its group, whatever the configuration says."""

import base64
import shlex

import pytest

from tests.system.machine import Machine, now
from tests.system.people import People

pytestmark = pytest.mark.system

HANDSHAKE = (
    "-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Origin: https://example.com' "
    f"-H 'Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}'"
)
NEW_PORT = 5055
DROP_INS = "/run/systemd/system/ibkr-firewall.service.d"


def curl(people: People, user: str, arguments: str) -> tuple[int, str]:
    """Returns curl's exit code (7: refused) and the HTTP status."""
    told = people.run(user, f"curl -sk --http1.1 --max-time 20 -o /dev/null -w '%{{http_code}}' {arguments}")
    return told.code, told.out


def addresses(machine: Machine) -> list[str]:
    """Returns the addresses of the machine; one of them is reached by other machines."""
    machine.run("ip address replace 10.9.9.9/32 dev lo")
    return ["127.0.0.1", "localhost", "[::1]", "10.9.9.9", "127.0.0.3"]


def set_port(machine: Machine, port: int) -> None:
    """Edits gateway.port as a person would."""
    machine.configure(gateway={"port": port})


def test_outsider_connects_to_no_port_of_ours(people: People) -> None:
    """Neither REST nor WebSocket, at no address; not even to the simulator."""
    for host in addresses(people.machine):
        for url in (f"https://{host}:5000/", f"https://{host}:5000/v1/api/portfolio/accounts", f"http://{host}:5080/"):
            assert curl(people, "outsider", url)[0] == 7, url
        assert curl(people, "outsider", f"-X POST -d '' https://{host}:5000/v1/api/logout")[0] == 7
        assert curl(people, "outsider", f"{HANDSHAKE} https://{host}:5000/v1/api/ws")[0] == 7
        assert curl(people, "outsider", f"http://{host}:5081/state")[0] == 7
    assert people.machine.state() == "up"


def test_nothing_else_of_ours_listens_for_the_outsider(people: People) -> None:
    """Whatever listens on this machine: what is ours refuses."""
    listening = people.run("outsider", "cat /proc/net/tcp /proc/net/tcp6").out.splitlines()
    ours = people.machine.uid()
    rows = [line.split() for line in listening if " 0A " in line]
    ports = {int(row[1].rpartition(":")[2], 16) for row in rows if int(row[7]) == ours}
    assert 5000 in ports
    for port in ports:
        assert people.run("outsider", f"exec 3<>/dev/tcp/127.0.0.1/{port}").code != 0, port


def test_members_and_the_units_pass(people: People) -> None:
    for user in ("root", "ibkr", "member"):
        assert curl(people, user, "https://127.0.0.1:5000/") == (0, "302"), user


def test_who_leaves_the_group_is_kept_out(people: People) -> None:
    """Members are resolved when the filter is loaded."""
    people.machine.run("gpasswd -d member ibkr && systemctl reload ibkr-firewall")
    try:
        assert curl(people, "member", "https://127.0.0.1:5000/")[0] == 7
    finally:
        people.machine.run("usermod -aG ibkr member && systemctl reload ibkr-firewall")
    assert curl(people, "member", "https://127.0.0.1:5000/") == (0, "302")


def test_a_changed_port_is_guarded_from_the_first_moment(people: People) -> None:
    """Restarted by a person, and by systemd when Java has died."""
    machine = people.machine
    set_port(machine, NEW_PORT)
    try:
        machine.run("systemctl restart ibkr-gateway", timeout_s=90)
        machine.wait("the session at the new port", lambda: machine.state() == "up", within_s=90)
        assert curl(people, "outsider", f"https://127.0.0.1:{NEW_PORT}/")[0] == 7
        assert curl(people, "outsider", f"{HANDSHAKE} https://127.0.0.1:{NEW_PORT}/v1/api/ws")[0] == 7
        assert curl(people, "member", f"https://127.0.0.1:{NEW_PORT}/") == (0, "302")
        set_port(machine, 5000)
        since = now()
        machine.run("systemctl kill --kill-whom=all --signal=SIGKILL ibkr-gateway")
        machine.wait_back(since, within_s=90)
        assert curl(people, "outsider", "https://127.0.0.1:5000/")[0] == 7
        assert curl(people, "member", "https://127.0.0.1:5000/") == (0, "302")
    finally:
        set_port(machine, 5000)


def test_no_filter_no_gateway(people: People) -> None:
    """A filter that cannot be loaded: 78, the port named, and the command that helps."""
    machine = people.machine
    machine.stop()
    lines = "[Service]", "ExecStart=", "ExecStart=/usr/bin/true", "ExecReload=", "ExecReload=/usr/bin/true"
    machine.run(f"mkdir -p {DROP_INS} && printf '%s\\n' {shlex.join(lines)} >{DROP_INS}/none.conf")
    machine.run("systemctl daemon-reload; systemctl stop ibkr-firewall; nft delete table inet ibkr_tools; true")
    try:
        assert machine.code("systemctl start ibkr-gateway", timeout_s=90) != 0
        assert machine.show("ibkr-gateway.service", "ExecMainStatus") == "78"
        assert machine.java() is None
        told = machine.container.journal("--unit=ibkr-gateway", lines=20)
        assert "no packet filter guards port 5000" in told
        assert "systemctl restart ibkr-firewall ibkr-gateway" in told
    finally:
        machine.run(f"rm -r {DROP_INS} && systemctl daemon-reload")
        machine.run("systemctl reset-failed 'ibkr-*'")


def test_a_flush_by_hand_is_mended(people: People) -> None:
    """Nobody tells systemd of `nft flush ruleset`: Java ends within seconds, and comes back with the filter."""
    machine = people.machine
    since = now()
    machine.run("nft flush ruleset")
    machine.wait("the filter", lambda: machine.code("nft list table inet ibkr_tools") == 0, within_s=40)
    machine.wait_back(since, within_s=60)
    assert curl(people, "outsider", "https://127.0.0.1:5000/")[0] == 7


def test_the_port_by_hand_is_not_open_in_silence(people: People) -> None:
    """Without the unit there may be no filter: it warns, and the status says so."""
    machine = people.machine
    machine.stop()
    machine.run("systemctl stop ibkr-firewall; nft delete table inet ibkr_tools; true")
    # The simulator pulls the packet filter in, without waiting for it.
    machine.run("systemctl start ibkr-firewall ibkr-simulator; nft delete table inet ibkr_tools; true")
    machine.run("systemd-run --quiet --collect --unit=by-hand --uid=ibkr ibkr-tools gateway run")
    try:
        machine.wait(
            "the status", lambda: (machine.status().get("gateway") or {}).get("filtered") is False, within_s=60
        )
        told = machine.container.run("ibkr-tools status", check=False).stdout
        log = machine.container.journal("--unit=by-hand", lines=50)
    finally:
        machine.run("systemctl stop by-hand ibkr-simulator")
    assert "EXPOSED" in told
    assert "to do: run it as a service" in told
    assert "EXPOSED: no packet filter guards port 5000" in log
