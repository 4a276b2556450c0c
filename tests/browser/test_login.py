"""One login with real Chromium, in the situations that IBKR's page can be in."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest

from ibkr_tools.config.loader import load_config
from ibkr_tools.errors import (
    ActionRequired,
    ConfigError,
    LockedOut,
    LoginFailed,
    LoginRefused,
    UpstreamUnavailable,
)
from ibkr_tools.login import browser, browser_processes
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.login_runner import run_login
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from ibkr_tools.portal.read_semaphore import MAX_CONCURRENT_READS
from ibkr_tools.status import utc_now
from tests.browser.conftest import HURRIED, PASSWORD, Home
from tests.support.patience import slowdown
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser


@contextmanager
def meanwhile(task: object) -> Iterator[None]:
    """Run `task` in a thread beside the block; what it raises fails the test."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            task()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield
    finally:
        thread.join(20)
    assert not failures, failures


@pytest.mark.usefixtures("own_chromium")
@pytest.mark.parametrize(("username", "paper"), [("demo-reader", False), ("demo-trader", False), ("demo-paper", True)])
def test_login_succeeds(home: Home, username: str, paper: bool) -> None:
    """Each kind of user gets a session with one submitted password, proven by its accounts."""
    result = home.login(username, paper=paper)
    assert result.outcome is Outcome.SUCCEEDED
    accounts = ("DU1234567" if paper else "U1234567",)
    assert result.accounts == accounts
    assert home.control.submitted() == 1
    assert home.results == ["succeeded"]
    assert home.section.state == "succeeded"
    assert home.section.accounts == accounts
    assert home.section.logins_24h == 1
    assert not home.diagnostics
    assert not browser_processes.find_browser_processes()


def test_living_session_is_left_alone(home: Home) -> None:
    """With a session there is no password and no entry; a request is consumed all the same."""
    home.control.login()
    home.directories.runtime.mkdir()
    home.directories.login_request.touch()
    assert home.login(unattended=True).outcome is Outcome.NOT_NEEDED
    assert not home.directories.login_request.exists()
    assert home.control.submitted() == 0
    assert home.results == []
    assert home.section.state == "not-needed"


def test_reads_that_are_stuck_do_not_spoil_a_login(home: Home) -> None:
    """A stopped fetch holds the place of every read, and a session is proven all the same."""
    file = home.configure()
    with ExitStack() as held:
        places = home.directories
        rate_limiter = SharedRateLimiter(places.pacing_file, places.penalty_file, shared=places.shared_pacing_file)
        for _ in range(MAX_CONCURRENT_READS):
            held.enter_context(rate_limiter.read_slot(1.0, threading.Event().wait, lambda _: None))
        result = run_login(
            load_config(file),
            home.directories,
            file,
            unattended=False,
            patience=HURRIED,
            open_browser=home.open_browser,
        )
    assert result.outcome is Outcome.SUCCEEDED
    assert home.results == ["succeeded"]


def test_unknown_is_not_lost(home: Home) -> None:
    """While IBKR does not say whether there is a session, nobody logs in."""
    home.control.fault("/tickle", "status", status=503)
    with pytest.raises(UpstreamUnavailable):
        home.login(unattended=True)
    assert home.control.submitted() == 0
    assert home.section.state == "failed"


def test_wrong_password_is_submitted_once_and_locks_when_repeated(home: Home) -> None:
    """A refusal costs one submission; the second of the same password locks until a person unlocks."""
    with pytest.raises(LoginRefused, match="Invalid username password combination") as caught:
        home.login(password="mistaken-secret")
    assert caught.value.exit_code == 77
    assert home.results == ["refused"]
    assert home.section.state == "refused"
    with pytest.raises(LoginRefused, match="no machine submits it again"):
        home.login(password="mistaken-secret", unattended=True)
    assert str(home.section.state) == "refused"
    assert home.control.submitted() == 1
    with pytest.raises(LoginRefused, match=r"at 20.* UTC, so nothing was submitted; 3 more logins may fail"):
        home.login(password="mistaken-secret")
    assert home.control.submitted() == 1
    with pytest.raises(LoginRefused, match="Invalid username password combination"):
        home.login(password="mistaken-secret", again=True)
    assert home.section.retry_at is None
    for unattended in (True, False):
        with pytest.raises(LockedOut, match="unlock"):
            home.login(unattended=unattended)
        assert str(home.section.state) == "locked-out"
    assert home.control.submitted() == 2
    LoginLog(home.directories.login).unlock(utc_now())
    assert home.login().outcome is Outcome.SUCCEEDED


def test_user_locked_by_ibkr_stops_everything(home: Home) -> None:
    """When IBKR's own counter is full, one look is enough: its answer says so, though the page does not."""
    home.control.fault(
        "/sso/Authenticator",
        "json",
        body={
            "auth_res": False,
            "reached_max_login": True,
            "message": "Invalid username password combination",
            "s": "",
            "B": "",
        },
    )
    with pytest.raises(LockedOut):
        home.login()
    assert home.results == ["stop"]
    with pytest.raises(LockedOut):
        home.login(unattended=True)


@pytest.mark.parametrize(
    "page",
    [
        {"script_delay_ms": 1500},
        {"form_delay_ms": 1200},
        {"init_delay_ms": 3500},
        {"script_delay_ms": 400, "form_delay_ms": 400, "init_delay_ms": 400},
        {"consent": True},
        {"consent": True, "consent_returns": True},
        {"duplicate_submit": True},
        {"promo": True},
        {"maintenance": "Maintenance on Saturday"},
        {"dispatcher": "302-body"},
        {"dispatcher_delay_ms": 1500},
        {"hide": [".xyz-paperswitch"]},
        {"paper_switch": False},
        {"rename": {"await init();": "initialised = 1;"}},
    ],
    ids=str,
)
def test_page_that_takes_its_time_or_has_more_on_it(home: Home, page: dict[str, object]) -> None:
    """A slow script, layers, adverts and odd answers cost time, never a wrong password."""
    home.control.page(**page)
    patience = replace(HURRIED, form=timedelta(seconds=20), loading=timedelta(seconds=20))
    assert home.login(patience=patience).outcome is Outcome.SUCCEEDED
    counters = home.control.state()["counters"]
    assert (counters["submitted"], counters["failures"], counters["races"]) == (1, 0, 0)


@pytest.mark.parametrize("page", [{"paper_clears_fields": True}, {"init_delay_ms": 900}], ids=str)
def test_paper_switch_that_clears_fields_or_is_slow(home: Home, page: dict[str, object]) -> None:
    """The switch is set before the fields are filled, and IBKR knows before the password goes out."""
    home.control.page(**page)
    assert home.login("demo-paper", paper=True).outcome is Outcome.SUCCEEDED
    assert home.control.state()["counters"]["races"] == 0


@pytest.mark.parametrize(
    ("page", "username", "outcome", "error", "submitted"),
    [
        ({}, "demo-paper", Outcome.WRONG_MODE, ConfigError, 1),
        ({"second_factor": "silver"}, "demo-reader", Outcome.SECOND_FACTOR, ActionRequired, 1),
        ({"second_factor": "notification"}, "demo-reader", Outcome.SECOND_FACTOR, ActionRequired, 1),
        ({"second_factor": "multiplesf"}, "demo-reader", Outcome.SECOND_FACTOR, ActionRequired, 1),
        ({"restricted": True}, "demo-reader", Outcome.RESTRICTED, ActionRequired, 1),
        ({"dispatcher": "200-form"}, "demo-reader", Outcome.FORM_AGAIN, LoginFailed, 1),
        ({"blank": True}, "demo-reader", Outcome.BLANK_PAGE, LoginFailed, 0),
        (
            {"hide": [".loginformWrapper"], "maintenance": "We will be back on Sunday"},
            "demo-reader",
            Outcome.MAINTENANCE,
            LoginFailed,
            0,
        ),
        ({"hide": [".loginformWrapper"]}, "demo-reader", Outcome.UNKNOWN_PAGE, LoginFailed, 0),
    ],
    ids=lambda value: str(value)[:40],
)
def test_page_that_leads_nowhere(
    home: Home, page: dict[str, object], username: str, outcome: Outcome, error: type[Exception], submitted: int
) -> None:
    """Each dead end has its name, its exit code, at most one submission, and a picture without secrets."""
    home.control.page(**page)
    with pytest.raises(error):
        home.login(username)
    assert home.control.submitted() == submitted
    assert home.results == ([outcome.policy.result] if submitted else ["unsubmitted"])
    assert home.section.why
    assert (home.section.state == "maintenance") is (outcome is Outcome.MAINTENANCE)
    picture, document = sorted(home.diagnostics, key=lambda path: path.suffix, reverse=True)
    assert outcome.value in picture.name
    assert picture.stat().st_mode & 0o777 == 0o600
    assert picture.parent.stat().st_mode & 0o777 == 0o700
    assert picture.read_bytes().startswith(b"\x89PNG")
    for path in (picture, document):
        assert PASSWORD.encode() not in path.read_bytes()
        assert username.encode() not in path.read_bytes().lower()


def test_unknown_error_stops_until_a_person_looks(home: Home) -> None:
    """A text that nobody has seen before is not tried again by any machine; it never shows the user's name."""
    home.control.page(error_text="Dear demo-reader, your password has expired <b>demo-password</b>")
    with pytest.raises(ActionRequired) as caught:
        home.login(password="another-secret")
    assert "demo-reader, your" not in str(caught.value)
    assert home.results == ["stop"]
    with pytest.raises(LockedOut):
        home.login(unattended=True)
    assert home.control.submitted() == 1
    assert all(b"demo-reader" not in path.read_bytes() for path in home.diagnostics)


def test_page_never_says_it_but_there_is_a_session(home: Home) -> None:
    """A browser that dies after its work is done has logged in: the API says so."""
    home.control.page(dispatcher="302-body")
    home.control.fault("/tickle", "status", status=500, count=1, method="POST")
    with pytest.raises(UpstreamUnavailable):
        home.login()
    assert home.login().outcome is Outcome.SUCCEEDED


@pytest.mark.usefixtures("own_chromium")
def test_foreign_certificate_is_not_trusted(home: Home) -> None:
    """Nothing is typed into the page of a program that does not have the gateway's key."""
    (home.directories.gateway / "tls" / "gateway.spki").write_text("A" * 43 + "=\n")
    with pytest.raises(ConfigError, match=r"not the gateway .ERR_CERT_AUTHORITY_INVALID"):
        home.login()
    assert home.control.submitted() == 0


@pytest.mark.usefixtures("own_chromium")
@pytest.mark.parametrize("victim", ["chromium", "chromedriver"])
def test_browser_killed_in_the_middle(home: Home, victim: str) -> None:
    """A killed browser is a failed login and nothing else; no process of it is left, and it counts."""
    home.control.page(dispatcher_delay_ms=8000)

    def kill() -> None:
        wait_until(lambda: home.control.submitted() == 1, 15)
        for pid in browser_processes.find_browser_processes():
            # Some end by themselves when the first of them is gone.
            with suppress(FileNotFoundError, ProcessLookupError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == victim:
                    os.kill(pid, signal.SIGKILL)

    with meanwhile(kill), pytest.raises(LoginFailed):
        home.login()
    assert not browser_processes.find_browser_processes()
    assert home.results == ["failed"]
    assert home.section.state == "failed"
    assert home.section.failures_24h == 1


@pytest.mark.usefixtures("own_chromium")
@pytest.mark.parametrize("victim", ["chromium", "chromedriver"])
@pytest.mark.parametrize("submitted", [False, True])
def test_browser_that_hangs(home: Home, monkeypatch: pytest.MonkeyPatch, victim: str, submitted: bool) -> None:
    """Whatever stands still, the login ends soon, with a word that says whether the password may have gone out."""
    monkeypatch.setattr(browser, "COMMAND_TIMEOUT_S", 3)
    home.control.page(form_delay_ms=2000, dispatcher_delay_ms=60_000)
    stopped: list[float] = []

    def is_time() -> bool:
        pages = home.control.state()["requests"].get("GET /sso/Login", 0)
        return bool(home.control.submitted() if submitted else pages)

    def stop() -> None:
        wait_until(is_time, 20)
        for pid in browser_processes.find_browser_processes():
            with suppress(FileNotFoundError, ProcessLookupError):
                is_helper = b"--type=" in Path(f"/proc/{pid}/cmdline").read_bytes()
                if not is_helper and Path(f"/proc/{pid}/comm").read_text().strip() == victim:
                    os.kill(pid, signal.SIGSTOP)
                    stopped.append(monotonic())

    with meanwhile(stop), pytest.raises(LoginFailed, match="does not answer any more"):
        home.login(patience=replace(HURRIED, total=timedelta(seconds=90)))
    # A script's 3 s, the command's, and what SETTLED gives a session to show.
    assert monotonic() - stopped[0] < 12 * slowdown()
    assert not browser_processes.find_browser_processes()
    assert home.results == ["failed" if submitted else "unsubmitted"]
    assert home.section.state == "failed"


@pytest.mark.usefixtures("own_chromium")
def test_password_is_in_no_process_but_the_login(home: Home) -> None:
    """Neither arguments nor environment of any browser process carry it, nor where the credentials are."""
    home.control.page(second_factor="notification")
    home.settings = {"login": {"second_factor": {"method": "push"}}}
    seen: list[bytes] = []

    def read() -> None:
        wait_until(lambda: home.control.submitted() == 1, 15)
        for pid in browser_processes.find_browser_processes():
            # Chromium's helpers come and go.
            with suppress(FileNotFoundError, ProcessLookupError):
                seen.extend(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        home.control.page(push_approved=True)

    with pytest.MonkeyPatch.context() as patch, meanwhile(read):
        patch.setenv("NOTIFY_SOCKET_TEST", "must-not-be-inherited")
        home.login()
    assert len(seen) > 6
    assert not any(PASSWORD.encode() in one or b"must-not-be-inherited" in one for one in seen)
    for path in home.root.rglob("*"):
        if path.is_file() and path.name != "config.json":
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_login_that_takes_too_long_ends(home: Home) -> None:
    """The whole login has a limit, whatever the page does."""
    home.control.page(dispatcher_delay_ms=120_000)
    with pytest.raises(LoginFailed, match="took longer"):
        # Enough for a busy machine to come to the submission; a page that says that it is done and stands there still
        # has a limit of its own.
        home.login(patience=replace(HURRIED, total=timedelta(seconds=15), loading=timedelta(seconds=60)))
    assert home.results == ["failed"]
    assert home.section.duration_s is not None
    assert home.section.duration_s < 100
    assert len(home.diagnostics) == 2


def test_damaged_login_log_is_a_locked_one(home: Home) -> None:
    """What cannot be read is not taken for empty."""
    home.directories.login.mkdir()
    (home.directories.login / "login_log.json").write_text("{}")
    with pytest.raises(LockedOut, match="cannot be read"):
        home.login()
    assert home.control.submitted() == 0
    assert json.loads(home.directories.status_file.read_bytes())["login"]["state"] == "locked-out"
