"""The process that stays in the machine's network while a login has one of its own.

It forwards the login's connections to the gateway, and starts the programs that the login asks it to start there. It
ends with the login: the control socket is then at its end.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence

import msgspec

from ibkr_tools.login.relay import Relay, RelayTarget

MAX_REQUEST_BYTES = 65_536
READY = b"ready"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class HelperRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the login wants.

    With a `command`: to have it started with `environment`; the message carries its standard output, its standard
    error, and where to report: a line `pid N` or `error ERRNO`, then `exit N` when it has ended. Without one: to have
    connections forwarded that come to the socket in the message; `READY` is the answer.
    """

    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}


def send(control: socket.socket, request: HelperRequest, descriptors: Sequence[int]) -> None:
    """Sends the helper a request. Raises OSError when it is gone."""
    socket.send_fds(control, [msgspec.json.encode(request)], list(descriptors))


def _popen(
    command: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int
) -> "subprocess.Popen[bytes]":
    """Starts a program in a session of its own, without input. Raises OSError if it cannot be started."""
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=dict(environment),
        cwd="/",
        start_new_session=True,
    )


class _ChildProcess:
    """A program that was started, and where its end is to be reported."""

    def __init__(self, process: "subprocess.Popen[bytes]", report: int) -> None:
        self.process = process
        self.pidfd = os.pidfd_open(process.pid)
        self._report = report
        _write_report(report, f"pid {process.pid}\n")

    def report_end(self) -> None:
        """Reports that it has ended."""
        _write_report(self._report, f"exit {self.process.wait()}\n")
        os.close(self.pidfd)
        os.close(self._report)


class _NetworkHelper:
    def __init__(self, control: socket.socket, target: RelayTarget) -> None:
        self._control = control
        self._target = target
        self._selector = selectors.DefaultSelector()
        self._relays: list[Relay] = []
        self._children: list[_ChildProcess] = []
        self._is_login_gone = False

    def run(self) -> None:
        """Serves until the login is gone."""
        self._selector.register(self._control, selectors.EVENT_READ, self._receive_request)
        while not self._is_login_gone:
            waits = [relay.wait_s for relay in self._relays]
            for key, events in self._selector.select(
                min((wait_s for wait_s in waits if wait_s is not None), default=None)
            ):
                key.data(events)
            for relay in self._relays:
                relay.probe()
        for child in self._children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, signal.SIGKILL)

    def _receive_request(self, _events: int) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, MAX_REQUEST_BYTES, 3)
            if data:
                self._handle_request(msgspec.json.decode(data, type=HelperRequest), descriptors)
            self._is_login_gone = not data
        except ConnectionError:
            # The login was killed before it took an answer.
            self._is_login_gone = True

    def _handle_request(self, request: HelperRequest, descriptors: Sequence[int]) -> None:
        if request.command:
            self._start(request, *descriptors)
        else:
            self._relays.append(Relay(self._selector, socket.socket(fileno=descriptors[0]), self._target))
            self._control.send(READY)

    def _start(self, request: HelperRequest, stdout: int, stderr: int, report: int) -> None:
        try:
            child = _ChildProcess(_popen(request.command, request.environment, stdout, stderr), report)
        except OSError as error:
            _write_report(report, f"error {error.errno}\n")
            os.close(report)
            return
        finally:
            os.close(stdout)
            os.close(stderr)
        self._children.append(child)

        def on_end(_events: int) -> None:
            self._selector.unregister(child.pidfd)
            self._children.remove(child)
            child.report_end()

        self._selector.register(child.pidfd, selectors.EVENT_READ, on_end)


def _write_report(report: int, line: str) -> None:
    # The login may have stopped waiting.
    with contextlib.suppress(BrokenPipeError):
        os.write(report, line.encode())


def serve(control: socket.socket, target: RelayTarget) -> None:
    """Runs the helper in the forked process; returns when the login has ended."""
    for number in _SIGNALS:
        # They are meant for the login, which needs its connections to end in order. A handler, since a program that is
        # started would inherit that a signal is ignored.
        signal.signal(number, lambda *_: None)
    _NetworkHelper(control, target).run()
