"""A login under way, and what another local user can reach of it: nothing."""

import json
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ibkr_tools.simulator.control_client import ControlClient
from tests.support.patience import slowdown
from tests.system.machine import Machine, now

pytestmark = pytest.mark.system

SWEEP = textwrap.dedent(
    """
    import multiprocessing, socket
    from contextlib import suppress

    def asked(target):
        family, address, port = target
        with socket.socket(family) as connection, suppress(OSError):
            connection.settimeout(1)
            connection.connect((address, port))
            connection.sendall(f"GET /status HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n".encode())
            if b"ChromeDriver" in connection.recv(4096):
                return port

    hosts = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
    targets = [(*host, port) for host in hosts for port in range(1, 65536)]
    # Several: so many more turns has the sweep on a busy machine, where the login does not wait for it.
    with multiprocessing.Pool(8) as pool:
        print(*filter(None, pool.imap_unordered(asked, targets, 4096)))
    """
)
"""Asks every port of this machine whether it is chromedriver's; prints those that are."""


def delay_ms() -> int:
    """How long IBKR takes to answer the form: a sweep of all ports takes some seconds on a quiet machine.

    A login waits half a minute for it.
    """
    return int(min(27, 12 * slowdown()) * 1000)


@pytest.fixture(scope="module")
def outsider(machine: Machine) -> str:
    """A local account in no group of ours; returns its name."""
    machine.run("id -u outsider 2>/dev/null || useradd --create-home outsider")
    return "outsider"


@pytest.fixture
def login(up: Machine) -> Iterator[Machine]:
    """A machine on which a login waits for its form."""
    up.control(lambda simulator: simulator.page(init_delay_ms=delay_ms()))
    before = up.pages()
    up.drop_session()
    up.wait("a login to load the page", lambda: up.pages() > before, within_s=60)
    yield up
    up.control(lambda simulator: simulator.clear())


def listeners(machine: Machine) -> set[str]:
    """Returns the TCP addresses in the machine's network on which somebody listens."""
    return {line.split()[3] for line in machine.run("ss --no-header --listening --numeric --tcp").splitlines()}


def test_sweep_would_find_a_driver(machine: Machine, outsider: str) -> None:
    """The attack works where there is something to find."""
    driver = machine.container.nsenter("chromedriver", "--port=9515")
    with subprocess.Popen(driver, stdout=subprocess.DEVNULL) as process:
        try:
            machine.wait("chromedriver", lambda: "127.0.0.1:9515" in listeners(machine), within_s=10)
            assert "9515" in machine.run(f"runuser -u {outsider} -- python3 -c '{SWEEP}'").split()
        finally:
            machine.run("pkill --exact chromedriver")
            process.wait(10)


def test_nobody_else_reaches_the_driver(login: Machine, outsider: str) -> None:
    """No port of the machine is chromedriver's, none is new, and the login succeeds all the same."""
    moment = now()
    assert login.browser() is not None
    during = listeners(login)
    assert login.run(f"runuser -u {outsider} -- python3 -c '{SWEEP}'") == ""
    assert login.browser() is not None, "the sweep took longer than the login"
    login.wait_back(moment)
    login.wait("the login's end", lambda: login.browser() is None, within_s=30)
    assert during == listeners(login)


def test_the_login_sees_nothing_but_its_own_loopback(login: Machine) -> None:
    """Driver, browser and login are in one network: no interface but lo, nobody listening but the two we know."""
    browser = login.browser()
    assert browser is not None
    inside = f"nsenter --target {login.main_process('ibkr-login.service')} --net"
    names = [line.split(":")[1].strip() for line in login.run(f"{inside} ip -oneline link").splitlines()]
    assert "lo" in names
    assert login.run(f"{inside} ip -oneline route show table main") == ""
    ports = {line.split()[3].rpartition(":")[2] for line in login.run(f"{inside} ss -Hltn").splitlines()}
    assert "5000" in ports
    assert len(ports) == 2, ports
    assert login.code(f"{inside} curl --silent --max-time 3 http://127.0.0.1:5081/") != 0


DROP_IN = "/run/systemd/system/ibkr-login.service.d/network.conf"


@pytest.fixture
def networkless(machine: Machine) -> Iterator[None]:
    """The drop-in of docs/second-factor.md for a command that needs a network of its own."""
    machine.container.run(
        f"install -D -m 0644 /dev/stdin {DROP_IN} && systemctl daemon-reload", stdin="[Service]\nPrivateNetwork=no\n"
    )
    yield
    machine.run(f"rm -r $(dirname {DROP_IN}) && systemctl daemon-reload")


@pytest.mark.usefixtures("networkless")
def test_unit_without_private_network_makes_its_own(login: Machine, outsider: str) -> None:
    """The drop-in opens the network to the command that gets codes, not to the browser, and nobody to the driver."""
    moment = now()
    assert login.show("ibkr-login.service", "PrivateNetwork") == "no"
    pid = login.main_process("ibkr-login.service")
    assert login.run(f"readlink /proc/{pid}/ns/net") != login.run("readlink /proc/1/ns/net")
    assert login.run(f"runuser -u {outsider} -- python3 -c '{SWEEP}'") == ""
    login.wait_back(moment)
    assert "no network of its own" not in login.container.journal("--unit=ibkr-login", lines=40)


PORT, CONTROL = 5600, 5601


@contextmanager
def up_by_hand(machine: Machine, user: str) -> Iterator[ControlClient]:
    """`ibkr-tools up` of a person without any rights, with the simulator as gateway; gives its control."""
    config = {
        "username": "demo-reader",
        "account": "U1234567",
        "password": "demo-password",
        "gateway": {"port": PORT},
    }
    home = f"/home/{user}/try"
    machine.run(f"runuser -u {user} -- mkdir -p {home}")
    machine.container.run(
        f"install -m 0600 -o {user} -g {user} /dev/stdin {home}/config.json", stdin=json.dumps(config)
    )
    options = f"--config {home}/config.json --runtime-dir {home}/run --state-dir {home}/state"
    line = f"exec ibkr-tools {options} up --simulate --control-port {CONTROL} >{home}/log 2>&1"
    command = machine.container.nsenter("runuser", "-u", user, "--", "sh", "-c", line)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            yield ControlClient(CONTROL)
        finally:
            machine.run(f"pkill --uid {user} --full 'ibkr_tools up|ibkr-tools .* up '")
            process.wait(30)


def test_login_by_hand_is_as_alone(machine: Machine, outsider: str) -> None:
    """Without systemd and without rights: the user himself makes the network, and nobody reaches the driver."""
    machine.run("systemctl stop ibkr-gateway", timeout_s=60)
    inside = machine.container.in_network

    def has_logged_in() -> bool:
        try:
            status = json.loads(machine.container.inside(f"/home/{outsider}/try/run/status.json").read_bytes())
        except FileNotFoundError:
            return False
        return bool((status.get("login") or {}).get("state") == "succeeded" and status["session"]["state"] == "up")

    with up_by_hand(machine, outsider) as control:
        try:
            machine.wait("the first login", has_logged_in, within_s=60)
            inside(lambda: control.page(init_delay_ms=delay_ms()))
            before = listeners(machine)
            pages = inside(control.state)["requests"]["GET /sso/Login"]
            inside(control.drop)
            machine.wait(
                "a login to load the page",
                lambda: inside(control.state)["requests"]["GET /sso/Login"] > pages,
                within_s=60,
            )
            assert listeners(machine) == before
            assert not has_logged_in()
            assert machine.run(f"runuser -u nobody -- python3 -c '{SWEEP}'") == ""
            assert int(machine.run("pgrep --count --exact chromedriver")) == 1
            machine.wait("the second login", has_logged_in, within_s=60)
        finally:
            told = machine.run(f"cat /home/{outsider}/try/log")
            print(told)
    assert "no network of its own" not in told
    machine.wait("the end of all of it", lambda: machine.code(f"pgrep --uid {outsider}") != 0, within_s=30)
