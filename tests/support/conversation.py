"""What the simulator as the gateway says to a call and over the WebSocket, in short."""

import contextlib
import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import websocket

from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.websocket import HEARTBEAT_S
from tests.support.caller import Caller
from tests.support.patience import slowdown

__all__ = [
    "ALIVE",
    "AUTH",
    "CLOSED",
    "DATA",
    "INIT",
    "OPEN",
    "PORTFOLIO",
    "REFUSED",
    "SILENT",
    "STATUS",
    "TICKLE",
    "VALIDATE",
    "Said",
    "heard",
    "said",
    "socket_of",
]

TICKLE, VALIDATE, STATUS = "/v1/api/tickle", "/v1/api/sso/validate", "/v1/api/iserver/auth/status"
PORTFOLIO, DATA, INIT = "/v1/api/portfolio/accounts", "/v1/api/iserver/accounts", "/v1/api/iserver/auth/ssodh/init"
AUTH = "iserver.authStatus."
OPEN = {"publish": True, "compete": False}

REFUSED, SILENT, CLOSED = "refused", "silent", "closed"
Said = tuple[int, Mapping[str, object]] | str
"""An HTTP status with fields of the body (dots lead into objects), or how there was no answer."""

ALIVE: Said = (200, {"RESULT": True})
"""What `/sso/validate` says while there is a session."""


def said(caller: Caller, method: str, path: str, expected: Said) -> Said:
    """Returns what a call was told; of the body only the fields that are expected.

    No answer is soon taken for silence where that is expected, and late where it is not: the machine may be busy.
    """
    try:
        answer = caller.call(method, path, timeout_s=0.8 if expected == SILENT else 30.0)
    except ConnectionRefusedError:
        return REFUSED
    except TimeoutError:
        return SILENT
    found: dict[str, object] = {}
    for name in expected[1] if isinstance(expected, tuple) else ():
        value = answer.data
        for key in name.split("."):
            value = value.get(key, "absent")
        found[name] = value
    return answer.status, found


@contextlib.contextmanager
def socket_of(simulator: Simulator) -> Iterator[websocket.WebSocket]:
    """Opens a WebSocket of the gateway; the end of the block cuts it."""
    address = f"wss://127.0.0.1:{simulator.port}/v1/api/ws"
    options = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    # Shorter than from one heartbeat to the next, in any case: silence would never be heard.
    timeout_s = min(slowdown(), HEARTBEAT_S / 2)
    socket = websocket.create_connection(address, sslopt=options, timeout=timeout_s)
    try:
        yield socket
    finally:
        socket.shutdown()  # type: ignore[no-untyped-call]


def heard(socket: websocket.WebSocket, count: int) -> list[str]:
    """Returns the next frames in short, heartbeats left out, until `count`, silence or the end."""
    found: list[str] = []
    while len(found) < count:
        try:
            code, data = socket.recv_data()
        except websocket.WebSocketTimeoutException:
            return [*found, SILENT]
        except (websocket.WebSocketException, OSError):
            return [*found, CLOSED]
        if code == websocket.ABNF.OPCODE_CLOSE:
            return [*found, CLOSED]
        frame = json.loads(data)
        if "hb" not in frame:
            found.append(_in_short(frame))
    return found


def _in_short(frame: dict[str, Any]) -> str:
    """Returns a frame's topic or message; of `sts`, the flags that are set."""
    if frame.get("topic") != "sts":
        return str(frame.get("topic", frame.get("message")))
    flags = [f"{key}:{frame['args'][key]}".lower() for key in ("authenticated", "competing") if frame["args"].get(key)]
    return " ".join(["sts", *flags])
