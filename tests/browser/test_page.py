"""One login with real Chromium for each thing that IBKR's page, or what comes instead of it, can show."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.errors import ActionRequired, ConfigError, IbkrError, LockedOut, LoginFailed
from ibkr_tools.login import browser_processes
from ibkr_tools.login.login_form import REOPEN_INTERVAL
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.status import utc_now
from tests.browser.conftest import HURRIED, Home
from tests.browser.test_login import meanwhile
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Case:
    """What the servers show, and how the login has to end."""

    outcome: Outcome
    error: type[IbkrError]
    says: str
    submitted: int = 0
    page: dict[str, Any] = field(default_factory=dict)
    fault: dict[str, Any] = field(default_factory=dict)
    password: str = "demo-password"
    wait_s: int | None = None

    def __str__(self) -> str:
        return f"{self.outcome}-{self.page or self.fault}"[:60]


def fault(path: str, kind: str, **more: object) -> dict[str, Any]:
    return {"path": path, "kind": kind, **more}


DEAD_ENDS = [
    Case(
        Outcome.OTHER_HOST,
        ConfigError,
        "sends the browser to login.interactivebrokers.example",
        0,
        page={"redirect": "https://login.interactivebrokers.example/sso/Login?x=1"},
    ),
    # Instead of the login page.
    Case(Outcome.SERVER_ERROR, LoginFailed, "answers 503", fault=fault("/sso/Login", "status", status=503)),
    Case(Outcome.SERVER_ERROR, LoginFailed, "answers 500", fault=fault("/sso/Login", "html", status=500)),
    Case(Outcome.BLOCKED, LoginFailed, "Reference #18", page={"instead": "edge"}),
    Case(Outcome.TOLD_TO_WAIT, LoginFailed, "429", page={"instead": "429"}, wait_s=900),
    Case(Outcome.MAINTENANCE, LoginFailed, "scheduled maintenance", page={"instead": "maintenance"}),
    Case(Outcome.UNREACHABLE, LoginFailed, "no answer", fault=fault("/sso/Login", "hang")),
    Case(
        Outcome.DENIED,
        ConfigError,
        "127.0.0.1",
        fault=fault("/sso/Login", "status", status=404, body="Access Denied"),
    ),
    # The login page, of no use.
    Case(Outcome.BLANK_PAGE, LoginFailed, "1 of its parts", fault=fault("/sso/lib/*", "status", status=404)),
    Case(Outcome.BLANK_PAGE, LoginFailed, "without its style", page={"unstyled": True}),
    Case(Outcome.STILL_LOADING, LoginFailed, "busy", page={"spinner": "before"}),
    Case(Outcome.SERVER_ERROR, LoginFailed, "503", fault=fault("/sso/Authenticator", "status", status=503)),
    Case(Outcome.SERVER_ERROR, LoginFailed, "breaks off", fault=fault("/sso/Authenticator", "close")),
    Case(Outcome.UNREACHABLE, LoginFailed, "does not answer", fault=fault("/sso/Authenticator", "hang")),
    # After the password.
    Case(Outcome.STILL_LOADING, LoginFailed, "busy", 1, page={"spinner": "after"}),
    Case(Outcome.FORM_AGAIN, LoginFailed, "no word why", 1, page={"resets": True}),
    Case(Outcome.TASKS, ActionRequired, "confirm data", 1, page={"tasks": True}),
    Case(Outcome.UNPROVEN, LoginFailed, "page says success", 1, page={"dispatcher": "302-nothing"}),
    Case(Outcome.SERVER_ERROR, LoginFailed, "503", 1, fault=fault("/sso/Dispatcher", "status", status=503)),
    # What it may say of a password.
    Case(
        Outcome.TOLD_TO_WAIT,
        LoginFailed,
        "wait 20 minutes",
        1,
        page={"error_text": "Too many failed login attempts. Please wait 20 minutes."},
        password="mistaken",
        wait_s=1200,
    ),
    Case(Outcome.LOCKED, LockedOut, "locked", 1, page={"error_text": "Your user is locked."}, password="mistaken"),
    Case(
        Outcome.SERVER_ERROR,
        LoginFailed,
        "communicating",
        1,
        page={"error_text": "An error occurred while communicating with the server."},
        password="mistaken",
    ),
    Case(
        Outcome.UNKNOWN_ERROR,
        ActionRequired,
        "expired",
        1,
        page={"error_text": "Your password has expired and must be changed."},
        password="mistaken",
    ),
]


@pytest.mark.parametrize("case", DEAD_ENDS, ids=str)
def test_dead_end_has_a_name_and_a_sentence(home: Home, case: Case) -> None:
    """Whatever comes: one outcome, one exit code, one sentence, at most one submission, and a stated wait is kept."""
    home.control.page(**case.page)
    if case.fault:
        home.control.fault(**case.fault)
    with pytest.raises(case.error, match=case.says):
        home.login(password=case.password)
    assert home.control.submitted() == case.submitted
    assert home.control.state()["counters"]["races"] == 0
    assert case.says in home.section.why
    assert case.outcome.value in home.diagnostics[0].name
    if case.wait_s is not None:
        assert home.section.retry_at is not None
        wait = home.section.retry_at - utc_now()
        assert timedelta(seconds=case.wait_s - 30) < wait <= timedelta(seconds=case.wait_s)


@pytest.mark.parametrize(
    "page",
    [
        {"promo_before": True},
        {"two_steps": True},
        {"init_again_ms": 0},
        {"init_again_ms": 50, "init_delay_ms": 600},
        {"consent": True, "consent_returns": True, "script_delay_ms": 900},
        {"notice": "Invalid username password combination"},
        {"dispatcher": "302-loop"},
        {"dispatcher": "200-restricted"},
        {"dispatcher": "200-tasks"},
    ],
    ids=str,
)
def test_detour_leads_to_a_session(home: Home, page: dict[str, object]) -> None:
    """The API is believed, not the page; and nothing on top of the form costs a wrong password."""
    home.control.page(**page)
    assert home.login().outcome is Outcome.SUCCEEDED
    counters = home.control.state()["counters"]
    assert (counters["submitted"], counters["failures"], counters["races"]) == (1, 0, 0)


def test_page_that_is_busy_for_long(home: Home) -> None:
    """While the page is still being loaded it gets more time than a page that stands still."""
    home.control.fault("/sso/lib/*", "slow", delay_s=4.0, count=1)
    patience = replace(HURRIED, form=timedelta(seconds=2), loading=timedelta(seconds=10))
    assert home.login(patience=patience).outcome is Outcome.SUCCEEDED
    assert home.control.state()["counters"]["races"] == 0


def test_script_that_never_comes(home: Home) -> None:
    """A form without its script is not submitted."""
    home.control.fault("/sso/lib/*", "hang")
    with pytest.raises(LoginFailed, match="busy"):
        home.login()
    assert home.control.submitted() == 0


def test_error_of_the_servers_while_the_password_is_checked(home: Home) -> None:
    """When IBKR's servers break in the middle, that is no refusal."""
    home.control.page(init_delay_ms=2000)

    def break_it() -> None:
        # Right before the click; whichever of the page's calls is the next, it comes after the password was typed.
        wait_until(lambda: home.results == ["submitted"], 15)
        home.control.fault("/sso/Authenticator", "status", status=503)

    patience = replace(HURRIED, form=timedelta(seconds=20), loading=timedelta(seconds=20))
    with meanwhile(break_it), pytest.raises(LoginFailed, match="answers 503 when the page talks"):
        home.login(patience=patience)
    assert home.results == ["failed"]


def test_session_that_comes_while_the_page_hangs(home: Home) -> None:
    """Before a login is given up for being slow, the API is asked once more."""
    home.control.page(dispatcher_delay_ms=60_000)

    def log_in() -> None:
        wait_until(lambda: home.control.submitted() == 1, 15)
        home.control.login()

    with meanwhile(log_in):
        result = home.login(patience=replace(HURRIED, total=timedelta(seconds=15)))
    assert result.outcome is Outcome.SUCCEEDED


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen on a port, and have `answer` deal with every connection in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=guarded, args=(connection,), daemon=True).start()

        def guarded(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                answer(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def speak_http(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def hang_up(connection: socket.socket) -> None:
    connection.recv(4096)


@pytest.mark.parametrize(("answer", "says"), [(speak_http, "ERR_SSL_PROTOCOL_ERROR"), (hang_up, "ERR_CONNECTION_")])
def test_another_program_on_the_port(home: Home, answer: Callable[[socket.socket], None], says: str) -> None:
    """What is not the gateway is a mistake in the configuration, said as one."""
    with serving(answer) as port:
        home.settings = {"gateway": {"port": port}}
        with pytest.raises(ConfigError, match=says):
            home.login()
    assert home.section.state == "broken"
    assert "not the gateway" in home.section.why
    assert home.control.submitted() == 0


def test_what_was_met_last_is_waited_for(home: Home) -> None:
    """The page is opened again before the wait for it ends, and this time the answer comes after that."""
    begun_s: list[float] = []

    def hang_up_late(connection: socket.socket) -> None:
        connection.recv(4096)
        begun_s.append(time.monotonic())
        if begun_s[-1] - begun_s[0] > REOPEN_INTERVAL.total_seconds():
            # Chromium connects twice before it says so. A script waits 3 s for a page that is to come.
            time.sleep(2)

    with serving(hang_up_late) as port:
        home.settings = {"gateway": {"port": port}}
        with pytest.raises(ConfigError, match="ERR_CONNECTION_"):
            home.login(patience=replace(HURRIED, form=timedelta(seconds=3)))
    assert "not the gateway" in home.section.why


def test_nobody_on_the_port(home: Home) -> None:
    """A gateway that does not listen is waited for; in the end the sentence says what it is."""
    with serving(hang_up) as port:
        home.settings = {"gateway": {"port": port}}
    with pytest.raises(LoginFailed, match=r"nothing listens .* .ERR_CONNECTION_REFUSED"):
        home.login()
    assert home.results == ["unsubmitted"]


def test_gateway_that_begins_to_listen(home: Home) -> None:
    """The page is opened again while Java starts."""
    calls = []

    def relay(connection: socket.socket) -> None:
        calls.append(1)
        # Chromium tries a broken connection a second time by itself.
        if len(calls) <= 2:
            return
        with socket.create_connection(("127.0.0.1", home.port)) as gateway:
            back = threading.Thread(target=pump, args=(gateway, connection), daemon=True)
            back.start()
            pump(connection, gateway)

    with serving(relay) as port:
        home.settings = {"gateway": {"port": port}}
        assert home.login().outcome is Outcome.SUCCEEDED
    assert len(calls) > 2


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.usefixtures("own_chromium")
@pytest.mark.parametrize("has_session", [False, True])
def test_page_that_crashes_on_submit(home: Home, has_session: bool) -> None:
    """When the renderer dies ("Aw, Snap"), the API says whether the login worked; if not, it counts."""
    home.control.page(dispatcher_delay_ms=8000)

    def crash() -> None:
        wait_until(lambda: home.control.submitted() == 1, 15)
        if has_session:
            home.control.login()
        for pid in browser_processes.find_browser_processes():
            with suppress(FileNotFoundError, ProcessLookupError):
                if b"--type=renderer" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)

    with meanwhile(crash):
        if has_session:
            assert home.login().outcome is Outcome.SUCCEEDED
        else:
            with pytest.raises(LoginFailed, match="the browser is gone: tab crashed"):
                home.login()
    assert home.results == ["succeeded" if has_session else "failed"]
    assert not browser_processes.find_browser_processes()
