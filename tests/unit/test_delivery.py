"""Delivery: told once when a topic opens and once when it is over, whatever is damaged, full or too much."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ibkr_tools import messages
from ibkr_tools.config import NotifyConfig
from ibkr_tools.delivery import run as delivery_run
from ibkr_tools.delivery import told
from ibkr_tools.delivery.letter import SUBJECT_CHARACTERS, compose
from ibkr_tools.delivery.run import Delivery
from ibkr_tools.errors import DeliveryFailed, OutputError
from ibkr_tools.messages import Message
from tests.support.post import Post, end, message, posting

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with posting(tmp_path) as one:
        yield one


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([message()], ["person"]),
        ([message(), message()], ["person"]),
        ([message(), message("outage")], ["person", "outage"]),
        ([message(), end()], ["person", "person over"]),
        ([end()], []),
        ([message(), end(), end()], ["person", "person over"]),
        ([message(), end(), message()], ["person", "person over", "person"]),
        ([message(), end("outage")], ["person"]),
        ([message(todo="a"), message(todo="a")], ["person"]),
        ([message(todo="a"), message(todo="b"), message(todo="b")], ["person", "person"]),
        ([message(todo="a"), message(what="in other words", todo="a")], ["person"]),
        ([message(todo="a"), message(), message(todo="a")], ["person"]),
        ([message(todo="a"), message(todo="b"), message(todo="a"), message(todo="b")], ["person", "person"]),
        ([message(todo="a"), end(), message(todo="a")], ["person", "person over", "person"]),
        ([message("approval"), message("approval")], ["approval", "approval"]),
        ([message("approval"), end("approval")], ["approval", "approval over"]),
        ([message("unit:a.service"), message("unit:b.service")], ["unit:a.service", "unit:b.service"]),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_once_when_it_opens_and_once_when_it_is_over(
    post: Post, given: list[Message], expected: list[str], together: bool
) -> None:
    """Whether they wait together or come one after the other, to one process or to many."""
    for group in [given] if together else [[one] for one in given]:
        post.deliver(*group)
    assert post.told() == expected
    assert post.left() == 0


def test_the_letter(post: Post) -> None:
    """Everything of the message, and the same ready to be sent."""
    begun = NOW - timedelta(minutes=135)
    first = message(at=begun, what="IBKR refused the password", next="no login", todo="Correct it.", user="demo-reader")
    post.deliver(first)
    post.deliver(end(at=NOW, what="the session is up again"))
    opened, closed = post.letters()
    assert opened.keys() == {*Message.__struct_fields__, "host", "subject", "text", "since"}
    assert (opened["schema"], opened["topic"], opened["user"], opened["todo"]) == (
        1, "person", "demo-reader", "Correct it."
    )  # fmt: skip
    assert opened["subject"] == f"IBKR on {opened['host']}: IBKR refused the password"
    assert "What you have to do: Correct it.\n" in opened["text"]
    assert "What happens by itself: no login\n" in opened["text"]
    assert closed["subject"] == f"IBKR on {opened['host']}: over: the session is up again"
    assert closed["since"] == opened["at"] == opened["since"]
    assert "lasted 2 h 15 min" in closed["text"]
    assert "What you have to do: nothing" in closed["text"]


def test_a_subject_is_one_short_line() -> None:
    letter = compose(message(what="several\nlines\x1b[2J " + "word " * 100), NOW, "host")
    assert len(letter.subject) <= SUBJECT_CHARACTERS
    assert letter.subject.isprintable()
    assert letter.subject.endswith("…")


def test_without_a_command_the_journal_is_told(post: Post) -> None:
    """A warning when it opens, a note when it is over, each once."""
    post.put(message(todo="Do it."), message(todo="Do it."), end())
    Delivery(NotifyConfig, post.directories, post.waiter).run()
    assert [line.split(":")[0] for line in post.log] == ["WARNING", "INFO"]
    assert "What you have to do: Do it." in post.log[0]
    assert post.left() == 0


@pytest.mark.parametrize("data", [b"", b"{", b'{"topic": "person"}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_message_is_removed(post: Post, data: bytes) -> None:
    """One line says so, and what comes after it is told."""
    (post.directories.outbox / "0-damaged.json").write_bytes(data)
    assert post.deliver(message()) == ["person"]
    assert post.left() == 0
    assert sum("was not a message" in line for line in post.log) == 1


@pytest.mark.parametrize("data", [b"", b"{", b'{"schema": 7}', b"\xff", b"[" * 100_000])
def test_a_damaged_memory_is_taken_for_empty(post: Post, data: bytes) -> None:
    post.deliver(message())
    post.directories.told_file.write_bytes(data)
    assert post.deliver(message()) == ["person", "person"]
    assert any("is damaged" in line for line in post.log)


def test_what_is_too_old_is_dropped(post: Post) -> None:
    """A day for what may still be so, ten minutes for a push that was announced."""
    post.now = lambda: NOW
    for number, (topic, ago) in enumerate(
        [("a", timedelta(hours=25)), ("b", timedelta(hours=23)), ("approval", timedelta(minutes=11))]
    ):
        path = messages.put(post.directories.outbox, message(topic, at=NOW - ago))
        path.rename(path.with_name(f"put-by-hand-{number}.json"))
    assert post.deliver() == ["b"]
    assert sum("could be told in time" in line for line in post.log) == 2
    assert post.left() == 0


def test_a_flood_is_cut(post: Post) -> None:
    """The oldest are dropped, and no end is told of what was never told to have begun."""
    for number in range(30):
        post.put(message(f"t{number}"))
    post.put(*(end(f"t{number}") for number in range(15)))
    post.command = ("/bin/false",)
    with pytest.raises(DeliveryFailed):
        post.deliver()
    assert post.left() <= delivery_run.OUTBOX_HOLDS
    del post.command
    post.__post_init__()
    assert post.deliver() == [f"t{number}" for number in range(25, 30)]


def test_an_hour_has_so_many_messages(post: Post) -> None:
    """A unit that fails and recovers all day does not send all day."""
    post.now = lambda: NOW
    for _ in range(told.AN_HOUR_HAS // 2):
        post.deliver(message(), end())
    with pytest.raises(DeliveryFailed, match=r"20 messages in an hour; the next in 61 min"):
        post.deliver(message())
    assert len(post.told()) == told.AN_HOUR_HAS
    post.now = lambda: NOW + timedelta(minutes=61)
    assert len(post.deliver()) == told.AN_HOUR_HAS + 1
    # A clock that is set back does not silence it for longer.
    post.now = lambda: NOW - timedelta(days=3)
    assert len(post.deliver(end())) == told.AN_HOUR_HAS + 2


def test_a_full_disk_does_not_repeat(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told, and remembered by the living process; written down when there is room again."""
    post.deliver()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    one = post.delivery()
    with monkeypatch.context() as patch:
        patch.setattr(told, "write", full)
        post.put(message())
        one.run()
        post.put(message())
        one.run()
        assert post.told() == ["person"]
        assert any("No space left" in line for line in post.log)
    one.run()
    assert post.deliver(message()) == ["person"]


def test_nothing_can_be_kept(post: Post) -> None:
    post.directories.state.write_text("in the way")
    post.put(message())
    with pytest.raises(OutputError):
        post.delivery().run()
    assert post.told() == []
