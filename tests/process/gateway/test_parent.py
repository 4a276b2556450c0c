"""The parent starts its child, tells systemd and the status file the truth, and leaves nothing behind.

Java is played by a small TLS server, so that every rule is tried in a second; tests/gateway has the real one.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from ibkr_tools import files
from ibkr_tools.directories import Directories
from ibkr_tools.gateway import tls
from ibkr_tools.gateway.filter_probe import FilterPolicy
from ibkr_tools.gateway.launch_plan import ARCHIVE_OPTION, LaunchPlan
from ibkr_tools.status import GatewaySection, StatusFile, utc_now
from tests.support.checkout import CHECKOUT
from tests.support.jar import free_port
from tests.support.notify_socket import NotifySocket
from tests.support.patience import wait_until
from tests.support.processes import is_alive

FAKE_JAVA = """
import signal, socket, ssl, sys
port, pem, stubborn = int(sys.argv[1]), sys.argv[2], len(sys.argv) > 3
signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else lambda *_: sys.exit(143))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pem)
# As the jar does.
listener = socket.create_server(("0.0.0.0", port))
while True:
    plain, _ = listener.accept()
    try:
        with context.wrap_socket(plain, server_side=True) as peer:
            peer.recv(4096)
            peer.sendall(b"HTTP/1.1 302 Found\\r\\n\\r\\n")
    except OSError:
        pass
"""

PARENT = """
import os, sys
from ibkr_tools import entrypoint
from ibkr_tools.gateway.launch_plan import parse_arguments
from ibkr_tools.gateway.parent import ParentTimings, Parent
from ibkr_tools.sd_notify import SystemdNotifier
timings = ParentTimings(
    probe_interval_s=0.1, probe_timeout_s=2, start_timeout_s=6, silence_timeout_s=2,
    unfiltered_timeout_s=0.5, stop_timeout_s=1, hung_stop_timeout_s=0.2,
    late_signal_s=float(os.environ["LATE_SIGNAL_S"]),
)
sys.exit(entrypoint.run(lambda: Parent(parse_arguments(sys.argv[1:]), SystemdNotifier(), timings).run()))
"""


class World:
    """One parent with its directories, its fake Java and its notify socket."""

    def __init__(self, folder: Path) -> None:
        directories = Directories(configuration=folder / "etc", runtime=folder / "run", state=folder / "state")
        self.status_file = StatusFile(directories.status_file)
        self.restart_request = directories.restart_request
        directories.runtime.mkdir()
        private = directories.private
        tls.make_material(directories.certificate.parent, private)
        key, certificate, _ = pkcs12.load_key_and_certificates(
            (private / tls.KEYSTORE_FILE).read_bytes(), (private / tls.KEYSTORE_PASSWORD_FILE).read_bytes()
        )
        assert key is not None
        assert certificate is not None
        self.pem = folder / "server.pem"
        self.pem.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + certificate.public_bytes(Encoding.PEM)
        )
        self.port = free_port()
        self.notify = NotifySocket(folder / "notify")
        self.log = folder / "log"
        self.plan = LaunchPlan(
            command=(sys.executable, "-c", FAKE_JAVA, str(self.port), str(self.pem)),
            directories=directories,
            port=self.port,
            upstream="http://127.0.0.1:1",
            build="2023-04-24",
            filter_policy=FilterPolicy.PROBED,
        )
        self.plan.home.mkdir()
        self.late_signal_s = 0.2
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, watchdog: bool = False) -> "subprocess.Popen[bytes]":
        environ = {
            **os.environ,
            "NOTIFY_SOCKET": self.notify.address,
            "PYTHONPATH": str(CHECKOUT),
            "LATE_SIGNAL_S": str(self.late_signal_s),
        }
        if watchdog:
            environ["WATCHDOG_USEC"] = str(60_000_000)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PARENT, *self.plan.parent_command()[4:]], env=environ, stdout=log, stderr=log
            )
        return self.process

    def started(self, *, watchdog: bool = False) -> "subprocess.Popen[bytes]":
        process = self.start(watchdog=watchdog)
        wait_until(lambda: self.section().state == "up")
        return process

    def notified(self) -> list[str]:
        return list(self.notify.messages)

    def section(self) -> GatewaySection:
        section = self.status_file.read().gateway
        return section or GatewaySection(
            updated_at=utc_now(), since=utc_now(), state="stopped", port=self.port, upstream=""
        )

    def java(self) -> int:
        pid = self.section().java_pid
        assert pid is not None
        return pid

    def end(self) -> int:
        assert self.process is not None
        return self.process.wait(60)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    try:
        yield made
    finally:
        if made.process and made.process.poll() is None:
            made.process.kill()
            made.process.wait()
        made.notify.close()


def test_ready_when_it_answers_and_a_ping_for_every_answer(world: World) -> None:
    """READY comes once, after the first answer; then pings, and the status text only when it changes."""
    world.started(watchdog=True)
    wait_until(lambda: world.notified().count("WATCHDOG=1") > 3)
    messages = world.notified()
    assert messages.count("READY=1") == 1
    assert messages.index("READY=1") < messages.index("WATCHDOG=1")
    assert len([text for text in messages if text.startswith("STATUS=")]) == 2
    section = world.section()
    assert (section.state, section.port, section.build) == ("up", world.port, "2023-04-24")
    assert section.pid == world.process.pid if world.process else False
    assert not section.is_stale(utc_now())
    assert section.is_stale(section.updated_at + timedelta(seconds=10))


ARCHIVE = f"{ARCHIVE_OPTION}/classes.jsa"


def end_with_archive(world: World, how: str) -> None:
    """Gives Java a class archive with which it ends like this."""
    program = f"import os, signal, sys\nif {ARCHIVE!r} in sys.argv: {how}\n{FAKE_JAVA}"
    world.plan = replace(world.plan, command=(*world.plan.command[:2], program, *world.plan.command[3:], ARCHIVE))


CRASHES = ["os.kill(os.getpid(), signal.SIGBUS)", "os.abort()", "sys.exit(134)"]


@pytest.mark.parametrize("how", CRASHES)
def test_a_java_that_its_archive_ends_starts_without_it(world: World, how: str) -> None:
    """Once, at once, by itself; the status says "starting" meanwhile."""
    end_with_archive(world, how)
    world.started()
    assert world.log.read_text().count("it starts again, without its class archive") == 1
    assert ARCHIVE not in Path(f"/proc/{world.java()}/cmdline").read_text().split("\0")


@pytest.mark.parametrize("how", ["sys.exit(1)", "os.kill(os.getpid(), signal.SIGTERM)"])
def test_another_end_is_no_crash(world: World, how: str) -> None:
    end_with_archive(world, how)
    world.start()
    assert world.end() == 1
    assert "archive" not in world.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_java_first(world: World, number: signal.Signals) -> None:
    process = world.started()
    java = world.java()
    process.send_signal(number)
    assert world.end() == 0
    assert not is_alive(java)
    assert world.section().state == "stopped"
    assert world.section().java_pid is None
    assert "STOPPING=1" in world.notified()


def test_a_stop_of_the_whole_group_is_a_stop(world: World) -> None:
    """systemd sends SIGTERM to Java and its parent at once; if Java is quicker, that is no crash."""
    world.late_signal_s = 30
    process = world.started()
    java = world.java()
    os.kill(java, signal.SIGTERM)
    # Our own is late, as on a busy machine: the parent has seen Java's end.
    wait_until(lambda: not Path(f"/proc/{java}").exists())
    process.terminate()
    assert world.end() == 0


def test_a_java_that_ignores_sigterm_is_killed(world: World) -> None:
    world.plan = replace(world.plan, command=(*world.plan.command, "stubborn"))
    process = world.started()
    java = world.java()
    process.terminate()
    assert world.end() == 0
    assert not is_alive(java)


def test_java_never_outlives_its_parent(world: World) -> None:
    process = world.started()
    java = world.java()
    process.kill()
    world.end()
    wait_until(lambda: not is_alive(java))


@pytest.mark.parametrize(("number", "words"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGTERM, "exit code 143")])
def test_java_dies(world: World, number: signal.Signals, words: str) -> None:
    """The parent says how, and follows with an exit status of its own."""
    world.started()
    os.kill(world.java(), number)
    assert world.end() == 1
    assert "Java ended: " in world.log.read_text()
    assert words in world.log.read_text()
    assert world.section().state == "stopped"


def test_a_silent_java_gets_no_ping(world: World) -> None:
    """Unresponsive in the status file, no WATCHDOG=1; when it answers again, everything is as before."""
    world.started(watchdog=True)
    java = world.java()
    os.kill(java, signal.SIGSTOP)
    wait_until(lambda: world.section().state == "unresponsive")
    world.notify.messages.clear()
    since = world.section().since
    wait_until(lambda: world.section().updated_at > since)
    assert "WATCHDOG=1" not in world.notified()
    assert is_alive(java)
    os.kill(java, signal.SIGCONT)
    wait_until(lambda: world.section().state == "up")
    wait_until(lambda: "WATCHDOG=1" in world.notified())
    assert "READY=1" not in world.notified()
    assert world.java() == java


def test_without_a_watchdog_silence_ends_it(world: World) -> None:
    world.started()
    java = world.java()
    os.kill(java, signal.SIGSTOP)
    assert world.end() == 69
    assert not is_alive(java)
    assert "has not answered" in world.log.read_text()


def test_a_restart_request_is_taken_and_fulfilled(world: World) -> None:
    """The file is gone, Java too, and the exit status is that of a unit that is to be started again."""
    world.started()
    java = world.java()
    world.restart_request.touch()
    assert world.end() == 0
    assert not world.restart_request.exists()
    assert not is_alive(java)


def test_a_java_that_never_listens_is_given_up(world: World) -> None:
    """IBKR's program stays alive without a listener when its port is gone."""
    world.plan = replace(world.plan, command=(sys.executable, "-c", "import signal; signal.pause()"))
    world.start()
    assert world.end() == 69
    assert "did not answer" in world.log.read_text()
    assert "READY=1" not in world.notified()


def test_a_program_that_cannot_start(world: World) -> None:
    world.plan = replace(world.plan, command=("/no/such/java",))
    world.start()
    assert world.end() == 69
    assert world.section().state == "stopped"
    assert "/no/such/java: No such file" in world.log.read_text()


def test_a_status_file_that_cannot_be_written_ends_nothing(world: World) -> None:
    """It is said once, and the gateway goes on."""
    world.status_file.path.mkdir()
    world.start()
    wait_until(lambda: world.notified().count("WATCHDOG=1") > 3)
    assert world.log.read_text().count("Status file not written") == 1


def test_child_has_no_descriptors_of_ours(world: World) -> None:
    """Standard streams and its own sockets only, in a session of its own."""
    world.started()
    java = world.java()
    targets = list[str]()
    for entry in Path(f"/proc/{java}/fd").iterdir():
        # A connection of one of the parent's questions may be over by now.
        with contextlib.suppress(FileNotFoundError):
            targets.append(str(entry.readlink()))
    assert not [target for target in targets if "notify" in target or "pipe:" in target or "eventpoll" in target]
    assert os.getsid(java) == java
    environ = Path(f"/proc/{java}/environ").read_bytes()
    assert b"NOTIFY_SOCKET" not in environ


def test_only_who_may_write_the_status_may_hold_its_lock(world: World) -> None:
    """Whoever can read a file can lock it: another user of the machine would keep the gateway from going on."""
    world.started()
    assert world.status_file.path.with_suffix(".lock").stat().st_mode & 0o777 == 0o600


def test_a_stopped_process_that_holds_the_status_does_not_end_the_gateway(world: World) -> None:
    """systemd hears that Java answers; without that, it would end Java, and the session with it."""
    process = world.started(watchdog=True)
    with files.locked(world.status_file.path.with_suffix(".lock")):
        before = world.notified().count("WATCHDOG=1")
        wait_until(lambda: world.notified().count("WATCHDOG=1") > before + 2)
        assert "Status file not written" in world.log.read_text()
    wait_until(lambda: not world.section().is_stale(utc_now()))
    assert process.poll() is None


def test_without_a_packet_filter_the_status_says_so(world: World) -> None:
    """Nobody may have looked at the log; by hand it runs on."""
    process = world.started()
    assert world.section().filtered is False
    assert process.poll() is None


def test_a_unit_ends_java_when_its_packet_filter_is_gone(world: World) -> None:
    """Not at once: whoever flushes all rules may be loading ours again."""
    world.plan = replace(world.plan, filter_policy=FilterPolicy.REQUIRED)
    process = world.started()
    assert process.wait(60) == 69
    assert f"no packet filter has guarded port {world.port}" in world.log.read_text()
    assert world.section().state == "stopped"
