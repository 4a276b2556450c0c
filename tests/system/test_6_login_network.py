"""A login under way, and what another local user can reach of it: nothing."""

import textwrap
from collections.abc import Iterator

import pytest

from tests.system.machine import Machine, now

pytestmark = pytest.mark.system

SWEEP = textwrap.dedent(
    """
    import socket, sys, urllib.request
    from contextlib import suppress
    found = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        for port in range(1, 65536):
            with socket.socket(family) as connection, suppress(OSError):
                connection.settimeout(1)
                connection.connect((address, port))
                connection.sendall(f"GET /status HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n".encode())
                with suppress(TimeoutError):
                    if b"ChromeDriver" in connection.recv(4096):
                        found.append(port)
    print(*found)
    """
)
"""Asks every port of this machine whether it is chromedriver's; prints those that are."""

DELAY_MS = 12_000
"""How long the form takes: a sweep of all ports takes about two seconds each."""


@pytest.fixture(scope="module")
def outsider(machine: Machine) -> str:
    """A local account in no group of ours; returns its name."""
    machine.run("id -u outsider 2>/dev/null || useradd --create-home outsider")
    return "outsider"


@pytest.fixture
def login(up: Machine) -> Iterator[Machine]:
    """A machine on which a login waits for its form."""
    up.control(lambda simulator: simulator.page(form_delay_ms=DELAY_MS))
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
    import subprocess

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
