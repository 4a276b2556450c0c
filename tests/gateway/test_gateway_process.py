"""`python -m ibkr_tools.gateway` with IBKR's real program on the machine's own Java."""

import gc
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from ibkr_tools.directories import Directories
from ibkr_tools.gateway.tls import KEYSTORE_PASSWORD_FILE
from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.simulated_sessions import Session
from ibkr_tools.status import GatewaySection, StatusFile
from tests.support.checkout import CHECKOUT
from tests.support.chromium import chromium, page_text, sign_in
from tests.support.distribution import distribution
from tests.support.jar import free_port
from tests.support.notify_socket import NotifySocket
from tests.support.processes import is_alive
from tests.support.simulation import simulator_options, wait_until

pytestmark = pytest.mark.gateway


def within(network: str | None) -> list[str]:
    return ["ip", "netns", "exec", network] if network else []


class Gateway:
    """One gateway of ours with its own directories; not started yet."""

    def __init__(self, folder: Path, upstream: str = "http://127.0.0.1:9", **settings: object) -> None:
        self.directories = Directories(configuration=folder / "etc", runtime=folder / "run", state=folder / "state")
        self.directories.configuration.mkdir()
        self.port = free_port()
        gateway = {"port": self.port, "upstream": upstream, "directory": str(distribution()), **settings}
        self.directories.config_file.write_text(
            json.dumps({"username": "demo-reader", "account": "U1234567", "gateway": gateway})
        )
        self.log = folder / "log"
        self.url = f"https://127.0.0.1:{self.port}"
        self.notify = NotifySocket(folder / "notify")
        self.process: subprocess.Popen[bytes] | None = None

    def start(
        self, *, watchdog: bool = True, journal: bool = False, network: str | None = None
    ) -> "subprocess.Popen[bytes]":
        """Starts it; `network` is the name of a network namespace other than our own."""
        environ = {**os.environ, "PYTHONPATH": str(CHECKOUT), "NOTIFY_SOCKET": self.notify.address}
        if watchdog:
            environ["WATCHDOG_USEC"] = "15000000"
        options = ["--config", str(self.directories.config_file), "--runtime-dir", str(self.directories.runtime)]
        options += ["--state-dir", str(self.directories.state)]
        with self.log.open("wb") as log:
            if journal:
                stat = os.fstat(log.fileno())
                environ["JOURNAL_STREAM"] = f"{stat.st_dev}:{stat.st_ino}"
            self.process = subprocess.Popen(
                [*within(network), sys.executable, "-m", "ibkr_tools.gateway", *options],
                env=environ,
                cwd=self.directories.configuration,
                stdout=log,
                stderr=log,
            )
        return self.process

    def notified(self) -> list[str]:
        return list(self.notify.messages)

    def section(self) -> GatewaySection | None:
        return StatusFile(self.directories.status_file).read_section(GatewaySection)

    def state(self) -> str | None:
        section = self.section()
        return section.state if section else None

    def java(self) -> int:
        section = self.section()
        assert section is not None
        assert section.java_pid is not None
        return section.java_pid

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(60)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        self.notify.close()


@contextmanager
def gateway(folder: Path, upstream: str = "http://127.0.0.1:9", **settings: object) -> Iterator[Gateway]:
    made = Gateway(folder, upstream, **settings)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def running(
    folder: Path, upstream: str = "http://127.0.0.1:9", *, journal: bool = False, network: str | None = None
) -> Iterator[Gateway]:
    with gateway(folder, upstream) as made:
        made.start(journal=journal, network=network)
        wait_until(lambda: made.state() == "up", 30)
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that runs for all tests which leave it as it was: a start of Java costs more than any of them."""
    with running(tmp_path_factory.mktemp("shared")) as made:
        yield made


def resident_mb(pid: int) -> float:
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match.group(1)) * 1024 / 1e6


def test_starts_small_and_ready_and_ends_cleanly(tmp_path: Path) -> None:
    """Ready means it answers; both processes keep below their limits; SIGTERM leaves nothing behind."""
    with running(tmp_path) as ours:
        wait_until(lambda: "READY=1" in ours.notified())
        certificate = str(ours.directories.certificate)
        for _ in range(100):
            answer = requests.get(f"{ours.url}/", verify=certificate, allow_redirects=False, timeout=5)
            assert answer.status_code == 302
        process, java = ours.process, ours.java()
        assert process is not None
        assert resident_mb(process.pid) < 26
        assert resident_mb(java) < 120
        section = ours.section()
        assert section is not None
        assert (section.port, section.build, section.pid) == (ours.port, "2023-04-24", process.pid)
        process.terminate()
        assert ours.ended() == 0
        assert not is_alive(java)
        assert ours.state() == "stopped"
        assert {path.name for path in ours.directories.gateway.iterdir()} == {"conf", "private", "tls", "work"}
        assert list((ours.directories.gateway / "work").iterdir()) == []


def test_the_jar_speaks_tls_with_our_certificate_only(shared: Gateway) -> None:
    """Strict OpenSSL accepts it, by address and by name; without our certificate nobody does."""
    context = ssl.create_default_context(cafile=str(shared.directories.certificate))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("127.0.0.1", "localhost"):
        with (
            socket.create_connection(("127.0.0.1", shared.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            assert secured.version() == "TLSv1.2"
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(shared.url, timeout=5)


def test_other_origins_and_the_demo_are_shut_out(shared: Gateway) -> None:
    """A page of another origin can send nothing; the gateway's own can; there is no demo application."""
    certificate = str(shared.directories.certificate)
    expected = {"https://example.com": 403, "null": 403, shared.url: 200, f"https://localhost:{shared.port}": 200}
    for origin, status in expected.items():
        answer = requests.post(f"{shared.url}/clear", verify=certificate, timeout=5, headers={"Origin": origin})
        assert (origin, answer.status_code) == (origin, status)
    demo = requests.get(f"{shared.url}/demo/index.html", verify=certificate, allow_redirects=False, timeout=5)
    assert demo.status_code == 302


def test_a_stopped_java_gets_no_ping_and_recovers(shared: Gateway) -> None:
    """With SIGSTOP the status says unresponsive and systemd hears nothing; nobody but systemd may end it."""
    wait_until(lambda: "WATCHDOG=1" in shared.notified())
    java = shared.java()
    os.kill(java, signal.SIGSTOP)
    try:
        wait_until(lambda: shared.state() == "unresponsive")
        shared.notify.messages.clear()
        seen = shared.section()
        wait_until(lambda: shared.section() != seen)
        assert "WATCHDOG=1" not in shared.notified()
    finally:
        os.kill(java, signal.SIGCONT)
    wait_until(lambda: shared.state() == "up")
    assert shared.java() == java


def test_a_killed_parent_takes_a_stopped_java_with_it(tmp_path: Path) -> None:
    """As systemd's watchdog ends us: SIGABRT to the parent, while Java hangs."""
    with running(tmp_path) as ours:
        java = ours.java()
        os.kill(java, signal.SIGSTOP)
        assert ours.process is not None
        ours.process.send_signal(signal.SIGABRT)
        assert ours.ended() == -signal.SIGABRT
        wait_until(lambda: not is_alive(java))


def test_a_killed_java_ends_the_parent(tmp_path: Path) -> None:
    with running(tmp_path) as ours:
        os.kill(ours.java(), signal.SIGKILL)
        assert ours.ended() == 1
        assert "Java ended: killed by SIGKILL" in ours.log.read_text()


def test_a_restart_request_ends_both(tmp_path: Path) -> None:
    with running(tmp_path) as ours:
        java = ours.java()
        ours.directories.restart_request.touch()
        assert ours.ended() == 0
        assert not is_alive(java)
        assert not ours.directories.restart_request.exists()


def test_an_old_request_is_fulfilled_by_the_start(tmp_path: Path) -> None:
    with gateway(tmp_path) as ours:
        ours.directories.runtime.mkdir()
        ours.directories.restart_request.touch()
        ours.start()
        wait_until(lambda: ours.state() == "up", 30)
        assert not ours.directories.restart_request.exists()


def test_a_dead_upstream_is_nothing_to_restart_for(shared: Gateway) -> None:
    """Calls to IBKR hang or fail; the gateway is up all the same, and Java is the same."""
    java = shared.java()
    certificate = str(shared.directories.certificate)
    with pytest.raises(requests.RequestException):
        requests.post(f"{shared.url}/v1/api/tickle", verify=certificate, timeout=3, allow_redirects=False)
    seen = shared.section()
    wait_until(lambda: shared.section() != seen)
    assert (shared.state(), shared.java()) == ("up", java)


def taken_port(ours: Gateway) -> Callable[[], None]:
    listener = socket.create_server(("127.0.0.1", ours.port))
    return listener.close


def empty_distribution(ours: Gateway) -> Callable[[], None]:
    config = json.loads(ours.directories.config_file.read_text())
    config["gateway"]["directory"] = str(ours.directories.configuration)
    ours.directories.config_file.write_text(json.dumps(config))
    return lambda: None


def no_java(ours: Gateway) -> Callable[[], None]:
    config = json.loads(ours.directories.config_file.read_text())
    config["gateway"]["java"] = "no-such-java"
    ours.directories.config_file.write_text(json.dumps(config))
    return lambda: None


@pytest.mark.parametrize(
    ("spoil", "status", "message"),
    [
        (taken_port, 69, r"port \d+ is taken by .+ \(pid \d+\)"),
        (empty_distribution, 78, r"not IBKR's gateway, it lacks dist/"),
        (no_java, 78, r"no Java: no-such-java: no program of that name on PATH"),
    ],
)
def test_what_cannot_start_says_why(
    tmp_path: Path, spoil: Callable[[Gateway], Callable[[], None]], status: int, message: str
) -> None:
    """One line, the exit status that tells systemd whether to try again, and no Java."""
    with gateway(tmp_path) as ours:
        undo = spoil(ours)
        ours.start()
        assert ours.ended() == status
        undo()
        assert re.search(message, ours.log.read_text())
        assert ours.state() == "stopped"
        assert "READY=1" not in ours.notified()


def test_no_configuration(tmp_path: Path) -> None:
    with gateway(tmp_path) as ours:
        ours.directories.config_file.unlink()
        ours.start()
        assert ours.ended() == 78
        assert "config.json: not there" in ours.log.read_text()


def test_a_login_leaves_no_secret_in_the_log(tmp_path: Path) -> None:
    """A whole login with its handshake, failures of every kind, a lost session: no cookie, key, id, body or account."""
    with Simulator(simulator_options()) as upstream, running(tmp_path, upstream.url, journal=True) as ours:

        def call(method: str, path: str) -> int:
            answer = requests.request(
                method,
                f"{ours.url}/v1/api{path}",
                verify=str(ours.directories.certificate),
                timeout=10,
                headers={"Content-Length": "0"},
                allow_redirects=False,
            )
            return answer.status_code

        upstream.control.fault("/one/user", "split", count=1)
        with chromium() as browser:
            sign_in(browser, ours.url, "demo-trader")
            wait_until(lambda: page_text(browser) == "Client login succeeds")
        wait_until(lambda: call("GET", "/sso/validate") == 200)
        for path in ("/iserver/auth/status", "/ssodh/init", "/tickle"):
            upstream.control.fault(path, "split", count=2)
            assert call("POST", "/iserver/reauthenticate") == 200
            assert call("POST", "/tickle") == 200
        call("GET", "/portfolio/accounts?secret=5e55105e55105e55")
        call("GET", "/portfolio/U1234567/positions/0")
        secrets = {(ours.directories.private / KEYSTORE_PASSWORD_FILE).read_text(), "demo-password", "U1234567"}
        for session in gc.get_objects():
            if isinstance(session, Session):
                secrets |= {session.token, session.session_id, session.secret, session.challenge}
                secrets.add(str(session.user.user_id))
        upstream.control.drop()
        call("POST", "/iserver/reauthenticate")
        wait_until(lambda: "giving up" in ours.log.read_text(), 30)
    log = ours.log.read_text()
    assert len(secrets) > 5
    for secret in secrets - {""}:
        assert secret not in log
    for word in ("XYZAB", "JSESSIONID", '{"', "secret=", "Cookie"):
        assert word not in log
    assert "Client login succeeds" in log
    lines = [line for line in log.splitlines() if re.match(r"<\d>", line)]
    assert any(line.startswith("<3>") and "giving up" in line for line in lines)
    traces = [line for line in log.splitlines() if "\tat " in line]
    assert traces
    assert all(line.startswith("<3>\tat ") for line in traces)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2")
def test_another_machine_is_refused(tmp_path: Path) -> None:
    """From another network namespace: 404 and nothing else, whatever is asked.

    Neither is the one that we are in: where an address comes or goes, Chromium ends the requests of other tests.
    """
    ours, theirs = f"ibkro{os.getpid()}", f"ibkrt{os.getpid()}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    with ExitStack() as namespaces:
        for name in (ours, theirs):
            ip("netns", "add", name)
            namespaces.callback(ip, "netns", "delete", name)
        ip("-n", ours, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", theirs)
        for name, address in ((ours, "198.51.100.1/30"), (theirs, "198.51.100.2/30")):
            ip("-n", name, "address", "add", address, "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", ours, "link", "set", "lo", "up")
        with running(tmp_path, network=ours) as made:
            for path in ("/", "/sso/Login", "/v1/api/tickle", "/clear"):
                command = [*within(theirs), "curl", "-sk", "-m", "5", "--retry", "3", "--retry-connrefused"]
                command += ["-w", " %{http_code}", f"https://198.51.100.1:{made.port}{path}"]
                done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
                assert done.stdout == "Access Denied 404", done
