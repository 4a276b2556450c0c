"""`fetch --save` of a member of the group: the watchdog is asked, and a fetch that begins after that answers."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer

from ibkr_tools import fetch_answer, shared_request
from ibkr_tools.cli import asked_fetch, member_fetch
from ibkr_tools.cli.app_context import AppContext, create_app_context
from ibkr_tools.directories import Directories
from ibkr_tools.errors import OutputError, SessionUnavailable
from ibkr_tools.fetch_answer import FetchAnswer
from ibkr_tools.polling import poll_until

FAILED = ((40, "error: no session (lost)"), (40, "hint: wait"))


@pytest.fixture
def app_context(tmp_path: Path) -> AppContext:
    context = create_app_context(tmp_path / "config.json", tmp_path / "run", tmp_path / "state")
    context.directories.shared.mkdir(parents=True)
    context.directories.runtime.mkdir()
    return context


@contextmanager
def served(directories: Directories, *answers: FetchAnswer) -> Iterator[None]:
    """Takes one request, as the watchdog does, and then leaves the answers."""

    def serve() -> None:
        assert poll_until(directories.fetch_request.exists, 20, 0.01)
        assert shared_request.take(directories.fetch_request) == b""
        for answer in answers:
            fetch_answer.write(directories.fetch_answer, answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_what_the_fetch_says_is_said(app_context: AppContext, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ((30, "warning: without orders: it is late"), (20, "saved /var/lib/x/latest.json"))
    with served(app_context.directories, FetchAnswer(begun_s=time.monotonic() + 60, lines=lines)):
        member_fetch.ask_watchdog(app_context)
    assert capsys.readouterr() == ("", "warning: without orders: it is late\nsaved /var/lib/x/latest.json\n")


def test_it_ends_as_the_fetch_has_ended(app_context: AppContext, capsys: pytest.CaptureFixture[str]) -> None:
    answer = FetchAnswer(begun_s=time.monotonic() + 60, exit_code=75, lines=FAILED)
    with served(app_context.directories, answer), pytest.raises(typer.Exit) as ended:
        member_fetch.ask_watchdog(app_context)
    assert ended.value.exit_code == 75
    assert capsys.readouterr().err == "error: no session (lost)\nhint: wait\n"


def test_a_fetch_that_began_before_is_no_answer(
    app_context: AppContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(member_fetch, "ANSWERED_WITHIN_S", 0.3)
    with (
        served(app_context.directories, FetchAnswer(begun_s=0.0)),
        pytest.raises(OutputError) as ended,
    ):
        member_fetch.ask_watchdog(app_context)
    assert "has not answered" in ended.value.message
    assert capsys.readouterr().err == ""


def test_what_nobody_takes_is_taken_back(app_context: AppContext, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MIN_FETCH_INTERVAL_S", "TAKEN_WITHIN_S"):
        monkeypatch.setattr(member_fetch, name, 0.1)
    with pytest.raises(OutputError, match="has not taken") as ended:
        member_fetch.ask_watchdog(app_context)
    assert "sudo ibkr-tools fetch --save" in (ended.value.hint or "")
    assert not app_context.directories.fetch_request.exists()


def test_who_may_not_leave_a_request_is_told(tmp_path: Path) -> None:
    context = create_app_context(tmp_path / "config.json", tmp_path / "run", tmp_path / "state")
    with pytest.raises(OutputError, match="fetch-request: No such file or directory"):
        member_fetch.ask_watchdog(context)


# The other side: ibkr-snapshot.service.


def test_the_request_goes_first_and_one_that_comes_meanwhile_stays(app_context: AppContext) -> None:
    """It is for the next fetch: systemd starts that when this one has ended."""
    directories = app_context.directories
    directories.snapshot_request.touch()
    before_s = time.monotonic()
    with asked_fetch.answering(directories, is_asked=True) as told:
        assert not directories.snapshot_request.exists()
        assert fetch_answer.read(directories.fetch_answer) is None
        directories.snapshot_request.touch()
        told.append((20, "saved x"))
    assert directories.snapshot_request.exists()
    answer = fetch_answer.read(directories.fetch_answer)
    assert answer is not None
    assert (answer.exit_code, answer.lines) == (0, ((20, "saved x"),))
    assert before_s <= answer.begun_s <= time.monotonic()
    assert directories.fetch_answer.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (SessionUnavailable("no session (lost)", hint="wait"), 75, FAILED),
        (ZeroDivisionError("a secret"), 70, ((40, "error: the fetch has met a bug of ibkr-tools; "),)),
    ],
)
def test_a_failure_is_an_answer(
    app_context: AppContext, error: Exception, code: int, says: tuple[tuple[int, str], ...]
) -> None:
    with pytest.raises(type(error)), asked_fetch.answering(app_context.directories, is_asked=True):
        raise error
    answer = fetch_answer.read(app_context.directories.fetch_answer)
    assert answer is not None
    assert answer.exit_code == code
    assert [text[: len(start)] for (_, text), (_, start) in zip(answer.lines, says, strict=True)] == [
        start for _, start in says
    ]
    assert "secret" not in str(answer.lines)


def test_who_is_ended_from_outside_has_not_succeeded(app_context: AppContext) -> None:
    with pytest.raises(SystemExit), asked_fetch.answering(app_context.directories, is_asked=True):
        raise SystemExit(1)
    assert fetch_answer.read(app_context.directories.fetch_answer) is None


@pytest.mark.parametrize("trap", ["link", "directory", "fifo"])
def test_what_stands_in_the_requests_place_goes(app_context: AppContext, trap: str, tmp_path: Path) -> None:
    """Otherwise systemd would start it again and again."""
    request = app_context.directories.snapshot_request
    match trap:
        case "link":
            request.symlink_to(tmp_path / "config.json")
        case "directory":
            (request / "x").mkdir(parents=True)
        case _:
            os.mkfifo(request)
    with asked_fetch.answering(app_context.directories, is_asked=True):
        pass
    assert not os.path.lexists(request)


def test_a_persons_own_fetch_answers_nobody(app_context: AppContext) -> None:
    app_context.directories.snapshot_request.touch()
    with asked_fetch.answering(app_context.directories, is_asked=False) as told:
        told.append((20, "saved x"))
    assert app_context.directories.snapshot_request.exists()
    assert not app_context.directories.fetch_answer.exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"begun_s": "x"}', b'{"begun_s": 1.0, "schema": 2}', b"\xff", b"[" * 9000]
)
def test_what_is_no_answer_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "answer").write_bytes(content)
    assert fetch_answer.read(tmp_path / "answer") is None
