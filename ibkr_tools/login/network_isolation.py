"""The network of one login: its own, in which Chromium and its driver reach the gateway's port and nothing else.

chromedriver takes orders on a TCP port of 127.0.0.1 from whoever connects: in the machine's network every local user
could take the browser over. ibkr-login.service is started in a network of its own (PrivateNetwork=) and reaches the
gateway through a Unix socket; a login by hand makes itself such a network.
"""

import contextlib
import errno
import os
import select
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from loguru import logger

from ibkr_tools.errors import LoginFailed
from ibkr_tools.installation import INSTALL_SERVICES
from ibkr_tools.login import network_helper, network_namespace
from ibkr_tools.login.relay import RelayTarget

GATEWAY_SOCKET = "IBKR_TOOLS_GATEWAY_SOCKET"
"""The environment variable in which the unit names the Unix socket that leads to the gateway."""

SpawnOutside = Callable[[Sequence[str], Mapping[str, str]], "RemoteProcess"]
"""Starts a program, with an environment, in the network of the machine. Raises OSError if that fails."""


@contextlib.contextmanager
def isolated_network(port: int, environ: Mapping[str, str]) -> Iterator[SpawnOutside | None]:
    """Gives this process a network of its own, in which the gateway listens on `port` of 127.0.0.1 as it does outside.

    Where the kernel refuses, a warning says so and the login goes on in the machine's network. There is no way back:
    the process stays in the network when the block is left, but then without a gateway.

    Yields:
        what starts a program outside of that network; None: there is no outside, programs start as always.

    Raises:
        LoginFailed: the network was there and cannot be used.
    """
    path = environ.get(GATEWAY_SOCKET)
    listener = _bind_in_own_network(port) if path and not _is_systemds_network(path, environ) else None
    if listener is not None:
        with _network_helper(RelayTarget(path=path)) as control:
            _delegate_listener(control, listener)
            yield None
        return
    if (reason := network_namespace.find_obstacle()) is not None:
        logger.warning(
            "This login has no network of its own: the kernel does not allow one ({}). Until it is over, every local "
            "user can take its browser over, and read the password. Use `systemctl start ibkr-gateway` after "
            "{}, which needs no such permission; or allow user namespaces (docs/login.md).",
            reason.strerror,
            INSTALL_SERVICES,
        )
        yield None
        return
    with _network_helper(RelayTarget(port=port)) as control:
        try:
            network_namespace.enter()
            listener = _bind(port)
        except OSError as error:
            raise LoginFailed(f"a network of the login's own: {error.strerror}") from error
        _delegate_listener(control, listener)
        yield lambda command, environment: RemoteProcess(control, command, environment)


def _bind(port: int) -> socket.socket:
    """Takes the gateway's port without listening on it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener


def _is_systemds_network(path: str, environ: Mapping[str, str]) -> bool:
    """Says whether this is systemd's own network, although the unit asks for another: its sockets are in it.

    The gateway's port must not be taken there, also while Java is only starting; then the relay's socket is not there
    either, and the one of sd_notify(3) tells.
    """
    return any(network_namespace.has_socket(name) for name in (path, environ.get("NOTIFY_SOCKET")) if name)


def _bind_in_own_network(port: int) -> socket.socket | None:
    """Takes the gateway's port in the unit's own network; None if it is taken: then the network is not its own."""
    try:
        return _bind(port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        raise LoginFailed(f"127.0.0.1:{port} in the login's own network: {error.strerror}") from error


@contextlib.contextmanager
def _network_helper(target: RelayTarget) -> Iterator[socket.socket]:
    """Has a process that stays where we are now; requests go through the socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            network_helper.serve(theirs, target)
        finally:
            if sys.exception() is not None:
                traceback.print_exc()
            os._exit(0)
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _delegate_listener(control: socket.socket, listener: socket.socket) -> None:
    """Has the helper accept what comes to `listener`; returns when it does, or knows that the gateway is not there."""
    with listener:
        try:
            network_helper.send(control, network_helper.HelperRequest(), [listener.fileno()])
            answer = control.recv(len(network_helper.READY))
        except OSError as error:
            raise LoginFailed(f"the way to the gateway: {error.strerror}") from error
    if answer != network_helper.READY:
        raise LoginFailed("the way to the gateway ended at once")


class RemoteProcess:
    """A program that the helper has started; what is asked of it is what subprocess.Popen can do.

    Raises:
        OSError: it could not be started.
    """

    def __init__(self, control: socket.socket, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self.returncode: int | None = None
        self.stdout, stdout = _pipe()
        self.stderr, stderr = _pipe()
        self._report, report = _pipe()
        request = network_helper.HelperRequest(command=tuple(command), environment=dict(environment))
        try:
            network_helper.send(control, request, [stdout, stderr, report])
        finally:
            for descriptor in (stdout, stderr, report):
                os.close(descriptor)
        kind, _, number = self._report.readline().decode().partition(" ")
        if kind != "pid":
            for pipe in (self.stdout, self.stderr, self._report):
                pipe.close()
            code = int(number or errno.EPIPE)
            raise OSError(code, os.strerror(code))
        self.pid = int(number)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end.

        Raises:
            subprocess.TimeoutExpired: it takes longer than `timeout` seconds.
        """
        if self.returncode is None:
            ready, _, _ = select.select([self._report], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired(self._command, timeout or 0.0)
            self._read_exit_code(self._report.read())
        self._report.close()
        return self.returncode or 0

    def _read_exit_code(self, report: bytes) -> None:
        # Nothing: the helper is gone, and it ends what it has started.
        self.returncode = int(report.split()[1]) if report.strip() else -9


def _pipe() -> tuple[IO[bytes], int]:
    """Returns where to read, and the descriptor to write to."""
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb", buffering=0), writing
