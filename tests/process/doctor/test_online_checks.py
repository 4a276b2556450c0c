"""One request to each host, with `--online` alone: what becomes of it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from ibkr_tools.doctor.finding import CheckVerdict
from ibkr_tools.doctor.online_checks import HostFacts, judge_host, read_host


class Handler(BaseHTTPRequestHandler):
    """Answers with the date that the test wants."""

    date: ClassVar[str] = ""
    requests: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.requests.append(f"{self.command} {self.path} {self.headers.get('Cookie')}")
        self.send_response_only(302)
        self.send_header("Date", self.date or self.date_time_string())
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    Handler.date, Handler.requests = "", []
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_host_with_our_time_is_well(host: str) -> None:
    (found,) = judge_host(read_host(host))
    assert found.verdict is CheckVerdict.OK
    assert Handler.requests == ["HEAD / None"]
    assert "127.0.0.1" not in found.message_text(is_public=True)


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_a_clock_that_differs_is_named(host: str, zone: str) -> None:
    Handler.date = f"Sun, 22 Nov 2015 12:00:00 {zone}"
    (found,) = judge_host(read_host(host))
    assert found.remedy_text() == "sudo timedatectl set-ntp true"


@pytest.mark.parametrize("date", ["yesterday", "x" * 100])
def test_a_date_that_is_none_is_no_fault(host: str, date: str) -> None:
    Handler.date = date
    (found,) = judge_host(read_host(host))
    assert found.verdict is CheckVerdict.OK


def test_a_host_that_nothing_answers_at_is_named() -> None:
    (found,) = judge_host(read_host("http://127.0.0.1:9"))
    assert found.verdict is CheckVerdict.FAULT
    assert found.message_text() == "no answer from 127.0.0.1"


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        ("name", "getent"),
        ("certificate", "ca-certificates"),
        ("certificate date", "timedatectl"),
        ("connection", "curl"),
    ],
)
def test_each_failure_has_a_command(failure: str, remedy: str) -> None:
    (found,) = judge_host(HostFacts(host="api.ibkr.com", failure=failure))
    assert found.verdict is CheckVerdict.FAULT
    assert remedy in (found.remedy_text() or "")
