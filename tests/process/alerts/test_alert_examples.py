"""The examples of docs/alerts.md, run as they stand there against servers on this machine."""

import http.server
import json
import re
import shutil
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.alerts import alert_delivery
from ibkr_tools.alerts.alert_rendering import RenderedAlert, render_alert
from ibkr_tools.config.schema import AlertsConfig
from ibkr_tools.event_loop import EventLoop
from ibkr_tools.setup.answers import parse_alerts
from tests.support.checkout import CHECKOUT

PAGE = (CHECKOUT / "docs/alerts.md").read_text()
COMMANDS = [json.loads(line) for line in re.findall(r'"command": (\[.*pipefail.*\])', PAGE)]
LETTER = render_alert(
    AlertMessage(
        topic="person", at=datetime(2026, 5, 4, 12, 0, tzinfo=UTC), what="Größe \"'", next="nothing", todo="Look"
    ),
    datetime(2026, 5, 4, 12, 0, tzinfo=UTC),
)
needs_programs = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("jq", "curl", "bash")), reason="needs jq, curl and bash"
)


class Requests(http.server.BaseHTTPRequestHandler):
    """Takes a POST and keeps its body."""

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(body)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = _take  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Mails(socketserver.StreamRequestHandler):
    """Takes one mail, by as much of RFC 5321 as that needs."""

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        for line in self.rfile:
            if line[:4].upper() == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.taken.append(b"".join(lines))  # type: ignore[attr-defined]
            leaves = line[:4].upper() == b"QUIT"
            self.wfile.write(b"221 bye\r\n" if leaves else b"250 fine\r\n")
            if leaves:
                return


@contextmanager
def serving(handler: Callable[..., socketserver.BaseRequestHandler]) -> Iterator[tuple[int, list[bytes]]]:
    """A server for the length of the block: its port, and what it has taken."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.taken = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], server.taken  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


def tell(given: list[str], state: Path) -> None:
    """Runs a command as the service does."""
    with EventLoop(str(state)) as event_loop:
        alert_delivery.tell(AlertsConfig(command=tuple(given), timeout_s=20), LETTER, state, event_loop)


def test_the_page_has_examples() -> None:
    assert len(COMMANDS) == 4
    assert all(given[:3] == ["/bin/bash", "-o", "pipefail"] for given in COMMANDS)


@needs_programs
@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_http(number: int, tmp_path: Path) -> None:
    """The text arrives as it is, with its umlauts and quotes."""
    with serving(Requests) as (port, taken):
        here = f"http://127.0.0.1:{port}/"
        (tmp_path / "pushover").write_text('{"token": "t", "user": "u"}')
        for name in ("telegram", "slack"):
            (tmp_path / name).write_text(f'url = "{here}"\n')
        shell = re.sub(r"https://\S+", here, COMMANDS[number][-1]).replace("/etc/ibkr-tools/", f"{tmp_path}/")
        tell([*COMMANDS[number][:-1], shell], tmp_path)
    (body,) = taken
    if number == 0:
        assert body.decode().strip() == LETTER.text.strip()
        return
    document: dict[str, Any] = json.loads(body)
    expected: list[dict[str, str]] = [
        {"chat_id": "CHAT", "text": LETTER.text},
        {"text": LETTER.text},
        {"token": "t", "user": "u", "title": LETTER.subject, "message": LETTER.text},
    ]
    assert document == expected[number - 1]


def test_mail(tmp_path: Path) -> None:
    source = PAGE.split("    #!/usr/bin/python3\n")[1].split("\n\nWith a provider")[0]
    script = "\n".join(line.removeprefix("    ") for line in source.splitlines())
    with serving(Mails) as (port, taken):
        script = script.replace('SMTP("localhost")', f'SMTP("127.0.0.1", {port})')
        tell([sys.executable, "-c", script], tmp_path)
    (raw,) = taken
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["Subject"] == LETTER.subject
    assert mail.get_content().replace("\r\n", "\n").strip() == LETTER.text.strip()


def test_the_fields_are_those_of_the_page() -> None:
    """Each field of the example and of the table is one that is sent, and none is missing."""
    example = PAGE.split("One line of JSON:\n\n")[1].split("\n\n")[0]
    assert list(json.loads(example)) == list(RenderedAlert.__struct_fields__)
    table = PAGE.split("| field | meaning |")[1].split("\n\n")[0]
    rows = "".join(line.split("|")[1] for line in table.splitlines()[2:])
    assert set(re.findall(r"`(\w+)`", rows)) == set(RenderedAlert.__struct_fields__)


@needs_programs
def test_the_address_of_a_topic_is_all_that_setting_up_needs(tmp_path: Path) -> None:
    """Its text arrives; what is in the address is no shell's business."""
    with serving(Requests) as (port, taken):
        tell(list(parse_alerts(f"http://127.0.0.1:{port}/$(touch${{IFS}}{tmp_path}/ran)'\"`id`")), tmp_path)
    (body,) = taken
    assert body.decode().strip() == LETTER.text.strip()
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs Debian's Python")
def test_a_mail_address_is_all_that_setting_up_needs(tmp_path: Path) -> None:
    """From and to that address, through the mail server of this machine."""
    with serving(Mails) as (port, taken):
        command = parse_alerts("you@example.org")
        here = [part.replace('"localhost", ', f'"127.0.0.1", {port}, ') for part in command]
        assert here != list(command)
        tell(here, tmp_path)
    (data,) = taken
    mail = message_from_bytes(data, policy=policy.default)
    assert (mail["From"], mail["To"], mail["Subject"]) == ("you@example.org", "you@example.org", LETTER.subject)
    assert mail.get_body().get_content().replace("\r\n", "\n").strip() == LETTER.text.strip()  # type: ignore[union-attr]
