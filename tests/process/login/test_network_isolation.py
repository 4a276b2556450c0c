"""The network of a login: real namespaces, a stand-in for the gateway outside, and nothing else to be reached."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from ibkr_tools.login import network_namespace
from ibkr_tools.login.network_isolation import GATEWAY_SOCKET
from tests.support.greeter import greeting
from tests.support.processes import unmeasured
from tests.support.simulation import wait_until

LOGIN = textwrap.dedent(
    """
    import errno, os, signal, socket, subprocess, sys, threading
    import encodings.ascii, encodings.idna
    from ibkr_tools.login.network_isolation import isolated_network
    user, port, closed, todo = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    if user:
        os.setgroups([]); os.setgid(user); os.setuid(user)
    if "threads" in todo:
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    def ask(number):
        with socket.socket() as connection:
            connection.settimeout(5)
            if error := connection.connect_ex(("127.0.0.1", number)):
                return errno.errorcode[error]
            if number == closed:
                return "connected"
            connection.sendall(b"hello")
            return connection.recv(100).decode() or "hung up"

    with isolated_network(port, os.environ) as spawn:
        print("network", os.readlink("/proc/self/ns/net"))
        print("gateway", ask(port))
        print("other", ask(closed))
        if "command" in todo:
            for command in (["readlink", "/proc/self/ns/net"], ["sh", "-c", "echo x; exit 3"], ["/nowhere"]):
                try:
                    process = spawn(command, {"PATH": os.environ["PATH"]})
                    print("command", process.stdout.read().decode().strip(), process.wait(10), process.returncode)
                except OSError as error:
                    print("command", error.strerror)
        if "hang" in todo:
            process = spawn(["sleep", "600"], {"PATH": os.environ["PATH"]})
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                print("hangs", process.pid, flush=True)
            signal.pause()
    """
)


@pytest.fixture
def gateway() -> Iterator[socket.socket]:
    """Greets whoever says something."""
    with socket.create_server(("127.0.0.1", 0)) as listener, greeting(listener, b" from outside"):
        yield listener


@pytest.fixture
def other() -> Iterator[int]:
    """Another port of this machine on which somebody listens: the driver of somebody else, say."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def port_of(gateway: socket.socket) -> int:
    port: int = gateway.getsockname()[1]
    return port


def here() -> str:
    return str(Path("/proc/self/ns/net").readlink())


@pytest.fixture(scope="module")
def allowed() -> None:
    """Skips where the kernel, or a container, gives nobody a network of his own."""
    test = [sys.executable, "-c", "from ibkr_tools.login.network_namespace import enter; enter()"]
    done = subprocess.run(test, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs network namespaces: {done.stderr.splitlines()[-1]}")


def users() -> list[str]:
    return ["root", "nobody"] if os.geteuid() == 0 else [pwd.getpwuid(os.geteuid()).pw_name]


def command(user: str, port: int, other: int, *todo: str) -> list[str]:
    number = pwd.getpwnam(user).pw_uid if os.geteuid() == 0 else 0
    return [sys.executable, "-c", LOGIN, str(number), str(port), str(other), *todo]


def facts(done: "subprocess.CompletedProcess[str]") -> dict[str, list[str]]:
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, []).append(value)
    return found


def run(line: list[str], **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        line, env={**unmeasured(os.environ), **environment}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("user", users())
def test_gateway_and_nothing_else(gateway: socket.socket, other: int, user: str) -> None:
    """The gateway's port leads to the gateway, every other one nowhere, and nothing is complained of."""
    done = run(command(user, port_of(gateway), other))
    seen = facts(done)
    assert seen["network"] != [here()]
    assert seen["gateway"] == ["hello from outside"]
    assert seen["other"] == ["ECONNREFUSED"]
    assert done.stderr == ""


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("user", users())
def test_gateway_that_is_down(other: int, user: str) -> None:
    """It is refused at once, as without a network of one's own."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        seen = facts(run(command(user, reserved.getsockname()[1], other)))
    assert seen["gateway"] == ["ECONNREFUSED"]


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize("user", users())
def test_command_keeps_the_machine_s_network(gateway: socket.socket, other: int, user: str) -> None:
    """What gets codes may need a mailbox somewhere; it runs where it always did."""
    seen = facts(run(command(user, port_of(gateway), other, "command")))
    assert seen["command"] == [f"{here()} 0 0", "x 3 3", "No such file or directory"]


@pytest.mark.usefixtures("allowed")
def test_nothing_outlives_the_login(gateway: socket.socket, other: int) -> None:
    """Killed, it takes the relay along, and the command that the relay has started."""
    line = command(users()[0], port_of(gateway), other, "hang")
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        started = int(lines[3].removeprefix("hangs "))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in (started, int(children[0]))))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


WARNING = "every local user can take its browser over, and read the password"


def test_a_kernel_that_refuses_is_no_reason_not_to_log_in(gateway: socket.socket, other: int) -> None:
    """There is a warning that says what it means, and the login goes on where it is."""
    forbid = 'for name in net user; do echo 0 >/proc/sys/user/max_${name}_namespaces; done; exec "$@"'
    line = ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh"]
    if subprocess.run([*line, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces, to be in one that allows no more of them")
    done = run([*line, sys.executable, "-c", LOGIN, "0", str(port_of(gateway)), str(other)])
    seen = facts(done)
    assert WARNING in done.stderr
    assert "No space left on device" in done.stderr
    assert seen["network"] == [here()]
    assert seen["gateway"] == ["hello from outside"]


def test_threads_are_a_reason_for_the_warning(gateway: socket.socket, other: int) -> None:
    """Only the calling thread would move, and a user namespace is refused: nothing is begun that cannot be finished."""
    done = run(command(users()[0], port_of(gateway), other, "threads"))
    assert WARNING in done.stderr
    assert facts(done)["network"] == [here()]


@pytest.fixture
def way_in(gateway: socket.socket, tmp_path: Path) -> Iterator[Path]:
    """The socket of ibkr-relay.socket, and what is behind it."""
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with greeting(listener, b" through the socket"):
            yield path


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be systemd")


@needs_root
@pytest.mark.usefixtures("allowed")
def test_unit_s_own_network(gateway: socket.socket, other: int, way_in: Path) -> None:
    """Under PrivateNetwork= the login stays where it is, and reaches the gateway through the socket."""
    line = ["unshare", "--net", "sh", "-c", 'ip link set lo up && readlink /proc/self/ns/net && exec "$@"', "sh"]
    done = run([*line, *command("root", port_of(gateway), other)], **{GATEWAY_SOCKET: str(way_in)})
    seen = facts(done)
    assert done.stdout.splitlines()[0] == seen["network"][0] != here()
    assert seen["gateway"] == ["hello through the socket"]
    assert seen["other"] == ["ECONNREFUSED"]
    assert done.stderr == ""


@needs_root
@pytest.mark.usefixtures("allowed")
def test_unit_without_its_network_while_java_starts(other: int, tmp_path: Path) -> None:
    """The relay's socket is not there yet; the gateway's port in systemd's network is not taken all the same."""
    with socket.socket() as reserved, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        notify.bind(str(tmp_path / "notify"))
        reserved.close()
        environment = {GATEWAY_SOCKET: str(tmp_path / "gateway.sock"), "NOTIFY_SOCKET": str(tmp_path / "notify")}
        seen = facts(run(command("root", port, other), **environment))
    assert seen["network"] != [here()]


@needs_root
@pytest.mark.usefixtures("allowed")
def test_unit_without_its_network(gateway: socket.socket, other: int, way_in: Path) -> None:
    """Where a drop-in, or a container, took PrivateNetwork= away, the login does as by hand."""
    done = run(command("root", port_of(gateway), other, "command"), **{GATEWAY_SOCKET: str(way_in)})
    seen = facts(done)
    assert seen["network"] != [here()]
    assert seen["gateway"] == ["hello from outside"]
    assert seen["command"][0] == f"{here()} 0 0"


def test_sockets_of_this_network_are_known(tmp_path: Path) -> None:
    """Unix sockets are listed in the network in which they were made, with the path as it was given."""
    path = tmp_path / "some.sock"
    assert not network_namespace.has_socket(str(path))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert network_namespace.has_socket(str(path))
