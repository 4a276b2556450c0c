"""The pulse of a login: what systemd is asked for, and when no more."""

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ibkr_tools.login.interruption import Interrupted, ending_on_sigterm
from ibkr_tools.login.pulse import EVERY_S, Pulse
from ibkr_tools.notify import Notifier

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


def test_it_beats_at_once_and_then_by_a_timer(systemd: socket.socket) -> None:
    """systemd's patience is in seconds, and what was there before comes back."""
    timer, handler = signal.getitimer(signal.ITIMER_REAL)[1], signal.getsignal(signal.SIGALRM)
    pulse = Pulse(Notifier())
    pulse.grant(60)
    with pulse.beating():
        assert heard(systemd) == [MORE]
        left_s, every_s = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left_s <= EVERY_S
        assert every_s == EVERY_S
        signal.raise_signal(signal.SIGALRM)
        assert heard(systemd) == [MORE]
    assert (signal.getitimer(signal.ITIMER_REAL)[1], signal.getsignal(signal.SIGALRM)) == (timer, handler)


def test_it_ends_with_what_was_granted(systemd: socket.socket) -> None:
    """A login that does not come to an end is ended, however lively its process is."""
    pulse = Pulse(Notifier())
    pulse.grant(60)
    with pulse.beating():
        heard(systemd)
        pulse.grant(0)
        signal.raise_signal(signal.SIGALRM)
        assert heard(systemd) == []
        pulse.grant(60)
        signal.raise_signal(signal.SIGALRM)
        assert heard(systemd) == [MORE]


def test_a_login_that_is_being_ended_asks_for_nothing(systemd: socket.socket) -> None:
    """After SIGTERM systemd waits for as long as the unit says."""
    pulse = Pulse(Notifier())
    pulse.grant(60)
    with pulse.beating():
        with pytest.raises(Interrupted), ending_on_sigterm():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert heard(systemd) == [MORE]


def test_nobody_is_told_where_nobody_listens() -> None:
    """In a terminal a login has no pulse, and takes no timer of its process."""
    before = signal.getsignal(signal.SIGALRM)
    with Pulse(Notifier({})).beating():
        assert signal.getsignal(signal.SIGALRM) is before


def test_a_thread_has_no_pulse(systemd: socket.socket) -> None:
    """Signals are the main thread's."""

    def beat() -> None:
        pulse = Pulse(Notifier())
        pulse.grant(60)
        with pulse.beating():
            pass

    thread = threading.Thread(target=beat)
    thread.start()
    thread.join()
    assert heard(systemd) == []
