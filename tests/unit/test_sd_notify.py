"""What systemd hears, on a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ibkr_tools.sd_notify import SystemdNotifier

# sdnotify never closes its socket; a process has one for its whole life.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The other end of NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.settimeout(5)
        ear.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield ear


def test_everything_arrives(systemd: socket.socket) -> None:
    notifier = SystemdNotifier()
    notifier.ready()
    notifier.status("two\nlines  and Šimůnek")
    notifier.status("the session is proven: U1234567, DU7654321")
    notifier.watchdog()
    notifier.extend_timeout(timedelta(seconds=1.5))
    notifier.stopping()
    assert [systemd.recv(4096).decode() for _ in range(6)] == [
        "READY=1",
        "STATUS=two lines and Šimůnek",
        # `systemctl status` is for everybody on the machine.
        "STATUS=the session is proven: …, …",
        "WATCHDOG=1",
        "EXTEND_TIMEOUT_USEC=1500000",
        "STOPPING=1",
    ]


def test_an_abstract_socket_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd may name a socket that has no file; it starts with an at sign."""
    name = f"ibkr-tools-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.settimeout(5)
        ear.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        SystemdNotifier().ready()
        assert ear.recv(100) == b"READY=1"


def test_without_systemd_it_is_silent() -> None:
    notifier = SystemdNotifier()
    notifier.ready()
    notifier.status("nobody listens")
    assert notifier.watchdog_interval is None


def test_a_socket_that_went_away_harms_nobody(systemd: socket.socket) -> None:
    notifier = SystemdNotifier()
    systemd.close()
    notifier.watchdog()


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, timedelta(seconds=30)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "self"}, timedelta(seconds=30)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "another"}, None),
        ({}, None),
    ],
)
def test_the_interval_is_ours_only_if_it_was_meant_for_us(environ: dict[str, str], interval: timedelta | None) -> None:
    """WATCHDOG_PID names who is watched; a child inherits the variables and must not answer."""
    # In a container the tests may be process 1 themselves.
    pids = {"self": str(os.getpid()), "another": str(os.getpid() + 1)}
    known = {name: pids.get(value, value) for name, value in environ.items()}
    assert SystemdNotifier(known).watchdog_interval == interval
