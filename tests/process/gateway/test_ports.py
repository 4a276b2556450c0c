"""A port that is taken is said to be taken, and by whom."""

import os
import socket
from pathlib import Path

import pytest

from ibkr_tools.errors import PortTaken
from ibkr_tools.gateway import ports

LINE = "   0: 00000000:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid} 0 {inode} 1 0"


def fake_proc(folder: Path, *, uid: int, state: str = "0A", holder: bool = False) -> Path:
    (folder / "self/net").mkdir(parents=True)
    (folder / "self/net/tcp").write_text("header\n" + LINE.format(port=5000, state=state, uid=uid, inode=777) + "\n")
    if holder:
        (folder / "4242/fd").mkdir(parents=True)
        (folder / "4242/fd/3").symlink_to("socket:[777]")
        (folder / "4242/comm").write_text("airplay\n")
    return folder


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::"])
def test_names_the_program(address: str) -> None:
    """Whatever address it listens on: Java would want all of them."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family, dualstack_ipv6=family == socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} is taken by .+ \(pid {os.getpid()}\)") as caught:
            ports.listening_on(port).__enter__()
        assert caught.value.exit_code == 69
    with ports.listening_on(port):
        pass


def test_an_address_of_ipv6_alone_counts_where_java_uses_both_families() -> None:
    """Java that is not told to use IPv4 alone could not listen there either."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with ports.listening_on(port):
            pass
        with pytest.raises(PortTaken, match=rf"port {port} is taken by"):
            ports.listening_on(port, both_families=True).__enter__()
    with ports.listening_on(port, both_families=True):
        socket.create_connection(("127.0.0.1", port)).close()
        socket.create_connection(("::1", port)).close()


def test_a_connection_that_lingers_is_no_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    with ports.listening_on(port):
        pass


def test_says_as_much_as_it_may_see(tmp_path: Path) -> None:
    """Program and pid; else the user; else only that there is one."""
    assert ports.describe_owner(5000, fake_proc(tmp_path / "a", uid=0, holder=True)) == "airplay (pid 4242)"
    assert ports.describe_owner(5000, fake_proc(tmp_path / "b", uid=0)) == "a program of the user root"
    assert ports.describe_owner(5000, fake_proc(tmp_path / "c", uid=987654)) == "a program of the user id 987654"
    connected = fake_proc(tmp_path / "d", uid=0, state="01")
    assert ports.describe_owner(5000, connected) == "a connection of a program of the user root"
    connected = fake_proc(tmp_path / "e", uid=0, state="01", holder=True)
    assert ports.describe_owner(5000, connected) == "a connection of airplay (pid 4242)"
    for over in (fake_proc(tmp_path / "f", uid=0, state="06"), fake_proc(tmp_path / "g", uid=0)):
        assert "reserved it and does not listen" in ports.describe_owner(5000 if over.name == "f" else 5001, over)
    assert ports.describe_owner(5000, tmp_path / "none") == "another program"


def test_a_socket_that_is_bound_and_does_not_listen_is_told_as_such() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} is taken by a program that has reserved it and does not"):
            ports.listening_on(port).__enter__()


def test_the_near_end_of_a_connection_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        port = client.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} is taken by a connection of .+ \(pid {os.getpid()}\)"):
            ports.listening_on(port).__enter__()


@pytest.mark.parametrize(
    ("group", "unit"),
    [
        ("/system.slice/nginx.service", "nginx.service"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
        ("/system.slice/docker.service/a;reboot.service", "docker.service"),
        ("/user.slice/user-1000.slice/session-1.scope", None),
        ("/user.slice/user-1000.slice/session-1.scope/a.service", None),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/mine.service", None),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/;reboot;.service", None),
        ("/machine.slice/$(reboot).service", None),
        ("/", None),
    ],
)
@pytest.mark.parametrize("hierarchy", ["0::", "1:name=systemd:"])
def test_a_unit_is_the_systems_own(tmp_path: Path, group: str, unit: str | None, hierarchy: str) -> None:
    """Below the manager of a user, people make control groups: a name of theirs is in no command of root's."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(f"{hierarchy}{group}\n")
    assert ports.unit_of(7, tmp_path) == unit


def test_a_name_that_is_no_text_is_told_all_the_same(tmp_path: Path) -> None:
    """A process gives itself any name."""
    proc = fake_proc(tmp_path, uid=33, holder=True)
    (proc / "4242/comm").write_bytes(b"a\x9bb\n")
    assert ports.describe_owner(5000, proc) == "a\ufffdb (pid 4242)"
