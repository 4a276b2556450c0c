"""What a page of the gateway can reach besides the gateway, and who can reach the browser during a login: nobody."""

import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import pytest

from ibkr_tools.login import browser_processes
from ibkr_tools.login.browser import Browser, BrowserSettings, open_browser
from tests.browser.conftest import Home
from tests.browser.test_browser import status_of
from tests.support.page_questions import ask_page, wait_for_answer
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser


class Listener(http.server.ThreadingHTTPServer):
    """A web server on this machine that lets every page in, and notes what it was asked."""

    def __init__(self, family: socket.AddressFamily, address: str) -> None:
        self.address_family = family
        self.asked: list[str] = []
        super().__init__((address, 0), _Answer)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<p>reached")

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Says nothing."""


ATTACK = """
const [addresses] = arguments;
window.attacks = {};
for (const address of addresses) {
  const url = 'http://' + address;
  const note = (how, what) => { window.attacks[address + ' ' + how] = what };
  note('fetch', ''); note('image', ''); note('socket', ''); note('form', 'sent');
  fetch(url + '/fetch', {mode: 'no-cors', method: 'POST', body: '{}'}).then(
    () => note('fetch', 'reached'), () => note('fetch', 'failed'));
  const image = new Image();
  image.onload = image.onerror = () => note('image', 'over');
  image.src = url + '/image';
  const socket = new WebSocket('ws://' + address + '/socket');
  socket.onopen = () => note('socket', 'reached');
  socket.onerror = () => note('socket', 'failed');
  navigator.sendBeacon(url + '/beacon', 'x');
  const frame = document.createElement('iframe');
  frame.name = address;
  const form = Object.assign(document.createElement('form'),
    {method: 'post', enctype: 'text/plain', action: url + '/form', target: address});
  document.body.append(frame, form);
  form.submit();
}
"""


HAS_FORM = "return document.documentElement.innerHTML.includes('xyz-field-username')"


def attack(browser: Browser, addresses: list[str]) -> dict[str, str]:
    """Has the page try every way it has to every address; returns what it saw when all of it is over."""
    # A script that runs into its time limit has begun all the same.
    ask_page(browser, ATTACK, addresses)
    over = "return Object.values(window.attacks).every(Boolean) && window.attacks"
    seen: dict[str, str] = wait_for_answer(browser, over, timeout_s=15)
    return seen


@pytest.fixture
def listeners() -> Iterator[dict[str, Listener]]:
    """Web servers on this machine's addresses."""
    families = {"127.0.0.1": socket.AF_INET, "127.0.0.2": socket.AF_INET, "0.0.0.0": socket.AF_INET}
    with ExitStack() as stack:
        found = {address: stack.enter_context(Listener(family, address)) for address, family in families.items()}
        with suppress(OSError):
            found["::1"] = stack.enter_context(Listener(socket.AF_INET6, "::1"))
        yield found


def addresses_of(listeners: dict[str, Listener]) -> list[str]:
    """Returns how a page may spell where they are."""
    port, everywhere = listeners["127.0.0.1"].server_port, listeners["0.0.0.0"].server_port
    found = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "a.localhost", "127.1", "[::ffff:127.0.0.1]")]
    found += [f"{name}:{everywhere}" for name in ("127.0.0.1", "0.0.0.0", "127.9.9.9")]
    found.append(f"127.0.0.2:{listeners['127.0.0.2'].server_port}")
    if "::1" in listeners:
        found += [f"[::1]:{listeners['::1'].server_port}", f"localhost:{listeners['::1'].server_port}"]
    return found


def settings_of(home: Home, *, port: int | None) -> BrowserSettings:
    spki = (home.directories.gateway / "tls" / "gateway.spki").read_text().strip()
    return BrowserSettings(profile=home.directories.browser, spki=spki, port=port)


def test_page_reaches_nothing_but_the_gateway_s_port(home: Home, listeners: dict[str, Listener]) -> None:
    """Not the driver's port, which would take a session from a page of this machine: no port, whatever its name."""
    with open_browser(settings_of(home, port=home.port)) as browser:
        browser.open(f"https://127.0.0.1:{home.port}/sso/Login")
        wait_for_answer(browser, HAS_FORM)
        seen = attack(browser, addresses_of(listeners))
        reached = wait_for_answer(browser, "return fetch('/sso/Login').then(answer => answer.status)")
    assert not [what for what, how in seen.items() if how == "reached"]
    assert {address: one.asked for address, one in listeners.items() if one.asked} == {}
    assert reached == 200


def test_attack_would_reach_another_port(home: Home, listeners: dict[str, Listener]) -> None:
    """The attacks above work where nothing stands in their way: from a plain page, with the port open to it."""
    one = listeners["127.0.0.1"]
    with open_browser(settings_of(home, port=one.server_port)) as browser:
        browser.open(f"http://127.0.0.1:{one.server_port}/")
        wait_for_answer(browser, "return document.body && document.body.innerText.includes('reached')")
        attack(browser, [f"127.0.0.1:{one.server_port}"])
        wanted = {"POST /fetch", "GET /image", "GET /socket", "POST /beacon", "POST /form"}
        wait_until(lambda: wanted <= set(one.asked))


CALL = """
const [hosts] = arguments;
window.over = 0;
window.calls = hosts.map(host => {
  const credentials = {username: 'a', credential: 'b'};
  const call = new RTCPeerConnection({iceServers: [
    {urls: 'stun:' + host}, {urls: 'turn:' + host + '?transport=udp', ...credentials},
    {urls: 'turn:' + host + '?transport=tcp', ...credentials}]});
  call.onicegatheringstatechange = () => { window.over += call.iceGatheringState === 'complete' };
  call.createDataChannel('x');
  call.createOffer().then(offer => call.setLocalDescription(offer));
  return call;
});
"""


def test_webrtc_sends_nothing(home: Home) -> None:
    """A page's call with a STUN server gathers no address, and no packet leaves the browser, loopback included."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        open_browser(settings_of(home, port=home.port)) as browser,
    ):
        udp.bind(("0.0.0.0", 0))
        udp.setblocking(False)
        tcp.setblocking(False)
        port = udp.getsockname()[1]
        hosts = [f"127.0.0.1:{port}", f"127.0.0.2:{port}", f"localhost:{port}", f"127.0.0.1:{tcp.getsockname()[1]}"]
        with suppress(OSError):
            hosts.append(f"{socket.gethostbyname(socket.gethostname())}:{port}")
        browser.open(f"https://127.0.0.1:{home.port}/sso/Login")
        wait_for_answer(browser, HAS_FORM)
        ask_page(browser, CALL, hosts)
        wait_for_answer(browser, "return window.over === arguments[0]", len(hosts))
        offers = str(wait_for_answer(browser, "return window.calls.map(call => call.localDescription.sdp)"))
        assert "candidate:" not in offers
        with pytest.raises(BlockingIOError):
            udp.recv(100)
        with pytest.raises(BlockingIOError):
            tcp.accept()


def program(home: Home, *options: str) -> list[str]:
    """Returns the real command line for one login by hand."""
    directories = home.directories
    return [
        *(sys.executable, "-m", "ibkr_tools", "--config", str(home.configure())),
        *("--runtime-dir", str(directories.runtime), "--state-dir", str(directories.state), "login", *options),
    ]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root, to make namespaces")
def test_driver_of_a_login_by_hand_is_in_another_network(home: Home) -> None:
    """Login, driver and browser are not in the machine's network, leave no core file, and the login succeeds."""
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this container gives nobody a network of his own: needs CAP_SYS_ADMIN")
    home.control.page(form_delay_ms=2500)
    with subprocess.Popen(program(home), stderr=subprocess.PIPE, text=True) as login:
        try:
            wait_until(lambda: any(b"--type=renderer" in seen for seen in command_lines(login.pid)), 20)
            networks = {network_of(pid) for pid in (login.pid, *browser_processes.find_browser_processes(login.pid))}
            assert network_of(os.getpid()) not in networks
            status = status_of(login.pid)
            limits = " ".join(Path(f"/proc/{login.pid}/limits").read_text().split())
            _, told = login.communicate(timeout=180)
        finally:
            login.kill()
    assert login.returncode == 0, told
    assert "no network of its own" not in told
    assert home.section.state == "succeeded"
    assert "Max core file size 0 0" in limits
    assert status["Threads"] == "1"


def network_of(pid: int) -> str:
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    return "gone"


def command_lines(login: int) -> list[bytes]:
    found = []
    for pid in browser_processes.find_browser_processes(login):
        with suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    return found


def test_login_by_hand_without_a_gateway(home: Home) -> None:
    """It says what it always said: nothing listens, and the command that helps."""
    home.control.gateway(up=False)
    done = subprocess.run(program(home), capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 69
    assert "nothing listens" in done.stderr
    assert "systemctl start ibkr-gateway" in done.stderr
