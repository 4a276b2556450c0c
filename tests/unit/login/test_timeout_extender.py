"""More time for a login: what systemd is asked for, and when no more."""

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ibkr_tools.login.sigterm import LoginInterrupted, raising_on_sigterm
from ibkr_tools.login.timeout_extender import EXTEND_INTERVAL_S, TimeoutExtender
from ibkr_tools.sd_notify import SystemdNotifier

# sdnotify never closes its socket; a process has one for its whole life.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

MORE = b"EXTEND_TIMEOUT_USEC=15000000"


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The other end of NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.setblocking(False)
        ear.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield ear


def heard(ear: socket.socket) -> list[bytes]:
    """All that was said since the last call."""
    said = []
    while True:
        try:
            said.append(ear.recv(4096))
        except BlockingIOError:
            return said


def test_it_extends_at_once_and_then_by_a_timer(systemd: socket.socket) -> None:
    """systemd's patience is in seconds, and what was there before comes back."""
    timer, handler = signal.getitimer(signal.ITIMER_REAL)[1], signal.getsignal(signal.SIGALRM)
    extender = TimeoutExtender(SystemdNotifier())
    extender.extend(60)
    with extender.running():
        assert heard(systemd) == [MORE]
        left_s, every_s = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left_s <= EXTEND_INTERVAL_S
        assert every_s == EXTEND_INTERVAL_S
        signal.raise_signal(signal.SIGALRM)
        assert heard(systemd) == [MORE]
    assert (signal.getitimer(signal.ITIMER_REAL)[1], signal.getsignal(signal.SIGALRM)) == (timer, handler)


def test_it_ends_with_what_was_set(systemd: socket.socket) -> None:
    """A login that does not come to an end is ended, however lively its process is."""
    extender = TimeoutExtender(SystemdNotifier())
    extender.extend(60)
    with extender.running():
        heard(systemd)
        extender.extend(0)
        signal.raise_signal(signal.SIGALRM)
        assert heard(systemd) == []
        extender.extend(60)
        signal.raise_signal(signal.SIGALRM)
        assert heard(systemd) == [MORE]


def test_a_login_that_is_being_ended_asks_for_nothing(systemd: socket.socket) -> None:
    """After SIGTERM systemd waits for as long as the unit says."""
    extender = TimeoutExtender(SystemdNotifier())
    extender.extend(60)
    with extender.running():
        with pytest.raises(LoginInterrupted), raising_on_sigterm():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert heard(systemd) == [MORE]


def test_nobody_is_told_where_nobody_listens() -> None:
    """In a terminal a login has no extender, and takes no timer of its process."""
    before = signal.getsignal(signal.SIGALRM)
    with TimeoutExtender(SystemdNotifier({})).running():
        assert signal.getsignal(signal.SIGALRM) is before


def test_a_thread_has_no_extender(systemd: socket.socket) -> None:
    """Signals are the main thread's."""

    def extend() -> None:
        extender = TimeoutExtender(SystemdNotifier())
        extender.extend(60)
        with extender.running():
            pass

    thread = threading.Thread(target=extend)
    thread.start()
    thread.join()
    assert heard(systemd) == []
