"""The relay between the login's network and the gateway: what goes in comes out, in both directions, to the end."""

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ibkr_tools.login.relay import Relay, RelayTarget, wait_until_listening
from tests.support.simulation import wait_until

LARGE = os.urandom(1 << 20) * 4


def bound_socket() -> socket.socket:
    """Returns a socket that has a port of its own choice, as one with a configured port has it: by name."""
    with socket.socket() as chooser:
        chooser.bind(("127.0.0.1", 0))
        address = chooser.getsockname()
    one = socket.socket()
    one.bind(address)
    return one


class Running:
    """A relay in a thread; `port` is where it listens, `rounds` counts how often its selector has woken up."""

    def __init__(self, target: RelayTarget) -> None:
        listener = bound_socket()
        self.port: int = listener.getsockname()[1]
        self.rounds = 0
        self._stop, self._stopped = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stopped, selectors.EVENT_READ, None)
        self._relay = Relay(self._selector, listener, target)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self.rounds += 1
            for key, events in self._selector.select(self._relay.wait_s):
                if key.data is None:
                    self._relay.close()
                    return
                key.data(events)
            self._relay.probe()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.settimeout(10)
        return connection

    def stop(self) -> None:
        self._stop.close()
        self._thread.join(10)
        self._stopped.close()
        self._selector.close()


Start = Callable[[RelayTarget], Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts relays, and stops them after the test."""
    with contextlib.ExitStack() as stack:

        def begin(target: RelayTarget) -> Running:
            relay = Running(target)
            stack.callback(relay.stop)
            return relay

        yield begin


@pytest.fixture(params=["tcp", "unix"])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, RelayTarget]]:
    """A listener in the gateway's place, and where the relay finds it."""
    if request.param == "tcp":
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(10)
            yield listener, RelayTarget(port=listener.getsockname()[1])
        return
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "gateway.sock"))
        listener.listen()
        listener.settimeout(10)
        yield listener, RelayTarget(path=str(tmp_path / "gateway.sock"))


def accepted(listener: socket.socket) -> socket.socket:
    """Accepts the next connection that says something: the first one is the relay's probe."""
    while True:
        connection, _ = listener.accept()
        connection.settimeout(10)
        if connection.recv(1, socket.MSG_PEEK):
            return connection
        connection.close()


def read(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length and (chunk := connection.recv(length - len(data))):
        data += chunk
    return data


def read_all(connection: socket.socket) -> bytes:
    chunks = []
    while chunk := connection.recv(65_536):
        chunks.append(chunk)
    return b"".join(chunks)


def test_half_close_in_both_orders(gateway: tuple[socket.socket, RelayTarget], start: Start) -> None:
    """Who has said all may go on listening, on either side."""
    listener, target = gateway
    relay = start(target)
    with relay.connect() as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        with accepted(listener) as server:
            assert read_all(server) == b"question"
            server.sendall(b"answer")
            server.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"answer"
    with relay.connect() as client:
        client.sendall(b"?")
        with accepted(listener) as server:
            server.sendall(b"greeting")
            server.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"greeting"
            client.sendall(b"more")
            client.shutdown(socket.SHUT_WR)
            assert read_all(server) == b"?more"


def test_large_payloads_both_ways_at_once(gateway: tuple[socket.socket, RelayTarget], start: Start) -> None:
    """Neither side is read faster than the other takes it, and nothing is lost or mixed up."""
    listener, target = gateway
    relay = start(target)
    with relay.connect() as client, ThreadPoolExecutor() as pool:
        sending = pool.submit(client.sendall, LARGE)
        with accepted(listener) as server:
            answering = pool.submit(server.sendall, LARGE[::-1])
            received = pool.submit(read, server, len(LARGE))
            backwards = read(client, len(LARGE))
            # Not compared by pytest, which would show how they differ for minutes.
            assert (backwards == LARGE[::-1], received.result(30) == LARGE) == (True, True)
            sending.result(30)
            answering.result(30)


def test_many_connections_at_once(gateway: tuple[socket.socket, RelayTarget], start: Start) -> None:
    """Each has its own counterpart."""
    listener, target = gateway
    relay = start(target)
    many = 60
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(relay.connect()) for _ in range(many)]
        for number, client in enumerate(clients):
            client.sendall(number.to_bytes())
        for _ in range(many):
            server = stack.enter_context(accepted(listener))
            server.sendall(server.recv(1) * 3)
        assert [read(client, 3) for client in clients] == [bytes([n]) * 3 for n in range(many)]


def test_abort_is_passed_on(start: Start) -> None:
    """A gateway that breaks off is not taken for one that has said all, nor a client for one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = start(RelayTarget(port=listener.getsockname()[1]))
        for breaks_off in ("server", "client"):
            with relay.connect() as client:
                client.sendall(b"?")
                with accepted(listener) as server:
                    server.recv(1)
                    ends = {"server": server, "client": client}
                    one = ends.pop(breaks_off)
                    (other,) = ends.values()
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    one.close()
                    with pytest.raises(ConnectionResetError):
                        other.recv(1)


def refused(port: int) -> bool:
    with socket.socket() as connection:
        try:
            connection.connect(("127.0.0.1", port))
        except ConnectionRefusedError:
            return True
        return False


def test_gateway_that_is_down_is_refused(start: Start) -> None:
    """As in the gateway's own network: refused while it is down, at once there when it is back, and refused again."""
    with bound_socket() as reserved:
        relay = start(RelayTarget(port=reserved.getsockname()[1]))
        assert refused(relay.port)
        reserved.listen()
        assert wait_until_listening(relay.port, 5)
        reserved.shutdown(socket.SHUT_RDWR)

        def is_down() -> bool:
            # The connection that finds out is broken off, the next one is refused.
            with contextlib.suppress(ConnectionError), relay.connect() as client:
                client.settimeout(1)
                with contextlib.suppress(TimeoutError):
                    assert not client.recv(1)
            return refused(relay.port)

        wait_until(is_down, 5)
        reserved.listen()
        assert wait_until_listening(relay.port, 5)


def test_missing_unix_socket_is_a_gateway_that_is_down(tmp_path: Path, start: Start) -> None:
    """systemd makes the socket when the gateway is up, and removes it before the gateway goes."""
    path = tmp_path / "gateway.sock"
    relay = start(RelayTarget(path=str(path)))
    assert refused(relay.port)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert refused(relay.port)
        listener.listen()
        assert wait_until_listening(relay.port, 5)


@pytest.mark.timing
def test_nothing_turns_in_circles(gateway: tuple[socket.socket, RelayTarget], start: Start) -> None:
    """Silent, half-closed and blocked connections cost no processor time."""
    listener, target = gateway
    relay = start(target)
    with relay.connect() as silent, relay.connect() as half, relay.connect() as blocked:
        silent.sendall(b"s")
        with accepted(listener), contextlib.ExitStack() as stack:
            half.sendall(b"h")
            half.shutdown(socket.SHUT_WR)
            stack.enter_context(accepted(listener))
            blocked.settimeout(0.3)
            with pytest.raises(TimeoutError):
                # Nobody reads it.
                blocked.sendall(LARGE * 4)
            # On a busy machine the relay may still be passing on what there is room for.
            rounds = -1

            def is_idle() -> bool:
                nonlocal rounds
                former, rounds = rounds, relay.rounds
                return rounds - former < 2

            wait_until(is_idle, step_s=0.3)
            before, used_s = relay.rounds, time.process_time()
            threading.Event().wait(0.5)
            assert relay.rounds - before < 5
            assert time.process_time() - used_s < 0.25
