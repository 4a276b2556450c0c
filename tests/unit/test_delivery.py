"""Delivery: told once when a topic opens and once when it is over, through a real command, whatever dies on the way."""

import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from ibkr_tools import messages
from ibkr_tools.config import NotifyConfig
from ibkr_tools.delivery import command as delivery_command
from ibkr_tools.delivery import run as delivery_run
from ibkr_tools.delivery import told
from ibkr_tools.delivery.letter import SUBJECT_CHARACTERS, compose
from ibkr_tools.delivery.run import Delivery
from ibkr_tools.directories import Directories
from ibkr_tools.errors import ConfigError, DeliveryFailed, OutputError
from ibkr_tools.gateway.child import Waiter
from ibkr_tools.messages import Message
from ibkr_tools.status import utc_now
from tests.support.installation import Installation
from tests.support.simulation import wait_until

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def message(topic: str = "person", **changes: object) -> Message:
    """An open message of now."""
    return Message(**{"topic": topic, "at": utc_now(), "what": "something", "next": "nothing", **changes})  # type: ignore[arg-type]


def is_there(group: int) -> bool:
    """Says whether a process group has a member left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class Post:
    """An outbox, a command that appends its standard input to a file, and what the journal was told."""

    root: Path
    waiter: Waiter
    log: list[str]
    command: tuple[str, ...] = ()
    timeout_s: int = 5
    now: Callable[[], datetime] = utc_now
    directories: Directories = field(init=False)

    def __post_init__(self) -> None:
        self.directories = Directories(configuration=self.root, runtime=self.root / "run", state=self.root / "state")
        self.command = self.command or ("/bin/sh", "-c", f"cat >> {shlex.quote(str(self.root / 'told'))}")

    def put(self, *given: Message) -> None:
        """Puts messages into the outbox."""
        for one in given:
            messages.put(self.directories.outbox, one)

    def delivery(self) -> Delivery:
        """A process that delivers, as new."""
        return Delivery(
            lambda: NotifyConfig(command=self.command, timeout_s=self.timeout_s),
            self.directories,
            self.waiter,
            now=self.now,
        )

    def deliver(self, *given: Message) -> list[str]:
        """Puts messages, delivers, and returns all that was told so far, as `topic` or `topic over`."""
        self.put(*given)
        self.delivery().run()
        return self.told()

    def letters(self) -> list[dict[str, Any]]:
        """What the command was given, in order."""
        path = self.root / "told"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def told(self) -> list[str]:
        """The topics of that."""
        return [letter["topic"] + (" over" if letter["over"] else "") for letter in self.letters()]

    def left(self) -> int:
        """How many messages are waiting."""
        return len(messages.waiting(self.directories.outbox))


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    lines: list[str] = []
    logger.remove()
    sink = logger.add(lambda text: lines.append(str(text)), format="{level}: {message}")
    (tmp_path / "run" / "outbox").mkdir(parents=True)
    with Waiter(str(tmp_path / "run" / "outbox")) as waiter:
        yield Post(tmp_path, waiter, lines)
    logger.remove(sink)


def end(topic: str = "person", **changes: object) -> Message:
    """The message that this topic is over."""
    return message(topic, over=True, **changes)


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


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo no route >&2; exit 7", "ended with exit code 7: no route"),
        ("printf 'a\\033[2J\\nb\\n\\n' >&2; exit 1", "ended with exit code 1: b"),
        ("kill -9 $$", "was killed by SIGKILL"),
        ("exec sleep 60", "took longer than 1 s"),
        ("sleep 60 & exec sleep 60", "took longer than 1 s"),
        ("yes >&2 & sleep 60", "took longer than 1 s: y"),
    ],
)
def test_a_command_that_fails_keeps_the_message(post: Post, script: str, why: str) -> None:
    """Told when it works again, once; and what it has started is gone."""
    good, post.command, post.timeout_s = post.command, ("/bin/sh", "-c", f"echo $$ >> {post.root}/pid; {script}"), 1
    with pytest.raises(DeliveryFailed) as failure:
        post.deliver(message(), message("outage"))
    assert why in failure.value.message
    assert "something" in failure.value.message
    assert post.left() == 2
    group = int((post.root / "pid").read_text())
    wait_until(lambda: not is_there(group), 2.0)
    assert told.read(post.directories.told_file).topics == {}
    post.command, post.timeout_s = good, 5
    assert post.deliver() == ["person", "outage"]


@pytest.mark.parametrize("command", [("/no/such/program",), ("/etc",), ("a\0b",)])
def test_a_command_that_cannot_be_started(post: Post, command: tuple[str, ...]) -> None:
    post.command = command
    with pytest.raises(DeliveryFailed, match="could not be started"):
        post.deliver(message())
    assert post.left() == 1


@pytest.mark.parametrize("script", ["exit 0", "exec 0<&-; sleep 60 & exit 0"])
def test_a_command_need_not_read_nor_clean_up(post: Post, script: str) -> None:
    """A child that it leaves behind does not hold anybody up, and ends with it."""
    post.command = ("/bin/sh", "-c", script)
    begun = time.monotonic()
    post.deliver(message(what="x" * 200_000))
    assert post.left() == 0
    assert time.monotonic() - begun < 3


def test_the_command_hears_nothing_of_systemd(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    post.command = ("/bin/sh", "-c", f"echo ${{NOTIFY_SOCKET:-none}} $(pwd) > {post.root}/env")
    post.deliver(message())
    assert (post.root / "env").read_text() == "none /\n"


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


def test_a_test_needs_a_command(post: Post) -> None:
    assert "this is a test" in post.delivery().test()
    assert post.told() == ["test"]
    with pytest.raises(ConfigError, match=r"notify\.command"):
        Delivery(NotifyConfig, post.directories, post.waiter).test()


def stopping(post: Post, after_s: float) -> AbstractContextManager[object]:
    """Asks this process to end after a while, for the length of the block."""
    timer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGTERM))

    class _Timer(AbstractContextManager[object]):
        def __enter__(self) -> None:
            timer.start()

        def __exit__(self, *_: object) -> None:
            timer.cancel()
            timer.join()

    return _Timer()


def test_unattended_tries_again(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """With growing waits, until it works."""
    monkeypatch.setattr(delivery_run, "RETRY_S", (0.05, 0.1, 0.2))
    post.command = ("/bin/sh", "-c", f"date +%s.%N >> {post.root}/tries; [ $(wc -l < {post.root}/tries) = 4 ]")
    post.put(message())
    post.delivery().run_until_done()
    times = [float(line) for line in (post.root / "tries").read_text().split()]
    assert len(times) == 4
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap >= least for gap, least in zip(gaps, (0.05, 0.1, 0.2), strict=True))
    assert sum("not told yet" in line for line in post.log) == 3


def test_unattended_waits_for_a_configuration(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it cannot be read, nobody knows how to tell anybody; the message is kept until somebody mends it."""
    monkeypatch.setattr(delivery_run, "RETRY_S", (0.05,))
    faults = [ConfigError("config.json: not JSON")] * 3

    def load() -> NotifyConfig:
        if faults:
            raise faults.pop()
        return NotifyConfig(command=post.command)

    post.put(message())
    Delivery(load, post.directories, post.waiter).run_until_done()
    assert post.told() == ["person"]
    assert any("not told yet: config.json" in line for line in post.log)


def test_unattended_tries_news_at_once(post: Post) -> None:
    """What is known already does not hurry it; what is new does."""
    post.command = ("/bin/sh", "-c", f"echo >> {post.root}/tries; [ -e {post.root}/works ]")

    def tries() -> int:
        path = post.root / "tries"
        return len(path.read_text()) if path.exists() else 0

    def others() -> None:
        wait_until(lambda: tries() == 1)
        post.put(message())
        wait_until(lambda: post.left() == 1)
        assert tries() == 1
        (post.root / "works").touch()
        post.put(message("outage"))

    thread = threading.Thread(target=others)
    post.put(message())
    thread.start()
    begun = time.monotonic()
    post.delivery().run_until_done()
    thread.join()
    assert tries() == 3
    assert time.monotonic() - begun < 10
    assert post.left() == 0


def test_unattended_ends_when_asked(post: Post) -> None:
    """During a wait at once; the message is kept."""
    post.command = ("/bin/false",)
    post.put(message())
    begun = time.monotonic()
    with stopping(post, 0.5):
        post.delivery().run_until_done()
    assert time.monotonic() - begun < 3
    assert post.left() == 1


@pytest.mark.parametrize(("lasts", "left"), [("0.8", 0), ("60", 1)])
def test_a_command_may_finish_when_we_are_to_end(
    post: Post, monkeypatch: pytest.MonkeyPatch, lasts: str, left: int
) -> None:
    """It gets some seconds; a message that went out is not sent again at the next start."""
    monkeypatch.setattr(delivery_command, "GRACE_S", 2.0)
    post.command, post.timeout_s = ("/bin/sh", "-c", f"sleep {lasts}"), 30
    post.put(message())
    with stopping(post, 0.3):
        post.delivery().run_until_done()
    assert post.left() == left


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    return Installation(tmp_path, environment)


def test_the_command_line(place: Installation) -> None:
    """0 when told or nothing to tell, 75 when kept, 78 without a configuration; --test says how it went."""
    told_file = place.root / "told"
    place.configure(5000, notify={"command": ["/bin/sh", "-c", f"cat >> {told_file}"]})
    assert place.run("notify").returncode == 0
    messages.put(place.directories.outbox, message())
    result = place.run("notify")
    assert (result.returncode, "told: IBKR on" in result.stderr) == (0, True)
    assert json.loads(told_file.read_text())["topic"] == "person"
    assert messages.waiting(place.directories.outbox) == []
    result = place.run("notify", "--test")
    assert (result.returncode, "sent: IBKR on" in result.stdout) == (0, True)
    place.configure(5000, notify={"command": ["/bin/sh", "-c", "echo no route >&2; exit 3"]})
    result = place.run("notify", "--test")
    assert (result.returncode, "exit code 3: no route" in result.stderr) == (75, True)
    messages.put(place.directories.outbox, message("outage"))
    assert place.run("notify").returncode == 75
    assert len(messages.waiting(place.directories.outbox)) == 1
    place.configure(5000)
    assert place.run("notify", "--test").returncode == 78
    place.directories.config_file.write_text("{")
    assert place.run("notify").returncode == 78


def test_two_at_once_tell_it_once(place: Installation) -> None:
    told_file = place.root / "told"
    place.configure(5000, notify={"command": ["/bin/sh", "-c", f"sleep 0.3; cat >> {told_file}"]})
    for topic in ("a", "b", "c"):
        messages.put(place.directories.outbox, message(topic))
    command = [sys.executable, "-m", "ibkr_tools", *place.options, "notify"]
    both = [subprocess.Popen(command, env=place.environment, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(20) for one in both] == [0, 0]
    assert [json.loads(line)["topic"] for line in told_file.read_text().splitlines()] == ["a", "b", "c"]
