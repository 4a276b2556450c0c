"""No other way out than the client's: who could open a connection, and what is ever said over the WebSocket."""

import ast

import pytest
import websocket
from msgspec.structs import replace

from ibkr_tools.portal.endpoints import WEBSOCKET_TOPICS, WebSocketTopic
from ibkr_tools.portal.push_listener import send_topic
from tests.support.allow_list import TOPICS_BLOCKED, TOPICS_READ
from tests.support.checkout import CHECKOUT
from tests.support.syntax_trees import nodes_of

WAYS_OUT = {
    "flex/flex_service.py": "requests to the Flex Web Service, on the hosts of the configuration alone",
    "portal/client.py": "requests, each of them a row of the table",
    "deadline_adapter.py": "how requests of the client and the download are sent",
    "deadline_socket.py": "the sockets of both and of the WebSocket; it connects none",
    "portal/transport_errors.py": "the names of TLS's errors",
    "portal/push_listener.py": "the WebSocket, with a table of its own",
    "gateway/distribution_download.py": "downloads IBKR's program",
    "gateway/address_family.py": "looks for routes and names; it connects nothing",
    "gateway/preparation.py": "the names of the families of addresses",
    "login/driver_errors.py": "the names of the errors of Selenium",
    "gateway/liveness_probe.py": "asks for the gateway's own page /, which goes nowhere",
    "gateway/filter_probe.py": "asks for what the packet filter closes to everybody",
    "doctor/gateway_checks.py": "looks at the certificate that the gateway shows, and sends nothing",
    "doctor/online_checks.py": "asks IBKR's hosts for /, with --online alone",
    "gateway/ports.py": "looks whether a port is free",
    "gateway/instance_ports.py": "the same, of the port of a new instance",
    "cli/up_command.py": "looks for free ports for what is simulated",
    "login/browser.py": "Chromium, on the login page alone",
    "login/network_isolation.py": "listens for Chromium, where nobody else is",
    "login/network_namespace.py": "brings the loopback interface up there",
    "login/network_helper.py": "is handed that listener",
    "login/relay.py": "leads it to the gateway's port and nowhere else",
    "alerts/alert_rendering.py": "the name of this machine",
}
"""Files with a library that could open a connection, and for what."""


def test_no_other_file_could_open_a_connection() -> None:
    package = CHECKOUT / "ibkr_tools"
    libraries = {"socket", "ssl", "http.client", "urllib.request", "requests", "urllib3", "websocket", "selenium"}
    libraries |= {"aiohttp", "asyncio", "ftplib", "smtplib", "socketserver", "xmlrpc.client", "imaplib", "poplib"}
    found = set()
    for file in package.rglob("*.py"):
        name = file.relative_to(package).as_posix()
        for node in nodes_of(file):
            if isinstance(node, ast.Import):
                modules = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            else:
                continue
            if any(module == one or module.startswith(f"{one}.") for module in modules for one in libraries):
                found.add(name)
    # The simulator is a server, and nothing of the product imports it (test_architecture).
    assert {name for name in found if not name.startswith("simulator/")} == set(WAYS_OUT)


# The WebSocket.


class Recorder(websocket.WebSocket):
    """A connection that only notes what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[object] = []

    def send_frame(self, frame: object) -> int:
        self.sent.append(frame)
        return 0


REFUSED_TOPICS = (*TOPICS_BLOCKED, *TOPICS_READ[1:], "", "tic+", " tic", "TIC", "tic\x00shs+exercise", "smd+265598+{}")


@pytest.mark.parametrize("text", REFUSED_TOPICS)
def test_a_topic_that_is_not_listed_cannot_be_sent(text: str) -> None:
    connection = Recorder()
    for topic in (WebSocketTopic(text, ""), replace(WEBSOCKET_TOPICS[0], text=text)):
        with pytest.raises(ValueError, match="not in the table of topics"):
            send_topic(connection, topic)
    assert not connection.sent


def test_no_listed_topic_changes_anything() -> None:
    assert {topic.text for topic in WEBSOCKET_TOPICS} <= set(TOPICS_READ)
