"""The command that tells a person, and the process that runs it: failures, time-outs, retries, the way out."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ibkr_tools import messages
from ibkr_tools.config import NotifyConfig
from ibkr_tools.delivery import command as delivery_command
from ibkr_tools.delivery import run as delivery_run
from ibkr_tools.delivery import told
from ibkr_tools.delivery.run import Delivery
from ibkr_tools.errors import ConfigError, DeliveryFailed
from tests.support.installation import Installation
from tests.support.patience import within
from tests.support.post import Post, message, posting
from tests.support.processes import is_group_alive
from tests.support.simulation import wait_until


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with posting(tmp_path) as one:
        yield one


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
    wait_until(lambda: not is_group_alive(group))
    assert told.read(post.directories.told_file).topics == {}
    post.command, post.timeout_s = good, 5
    assert post.deliver() == ["person", "outage"]


def test_of_what_a_command_says_only_the_last_is_kept(post: Post) -> None:
    """One that complains for ever must not fill the memory: its standard error is no file that grows."""
    loud = "head -c 20000000 /dev/zero | tr '\\0' x >&2; echo >&2; stat -Lc 'it is a %F' /proc/self/fd/2 >&2; exit 3"
    post.command, post.timeout_s = ("/bin/sh", "-c", loud), 30
    with pytest.raises(DeliveryFailed, match="ended with exit code 3: it is a fifo"):
        post.deliver(message())
    with delivery_command._Tail() as tail:
        for _ in range(100):
            os.write(tail.write_end, b"x" * 5000 + b"\nend")
            assert tail.take()
        assert len(tail._kept) <= 4096
        assert tail.last_line() == "end"


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
    post.timeout_s = 60
    with within(post.timeout_s / 2):
        post.deliver(message(what="x" * 200_000))
        assert post.left() == 0


def test_the_command_hears_nothing_of_systemd(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    post.command = ("/bin/sh", "-c", f"echo ${{NOTIFY_SOCKET:-none}} $(pwd) > {post.root}/env")
    post.deliver(message())
    assert (post.root / "env").read_text() == "none /\n"


def test_a_test_needs_a_command(post: Post) -> None:
    assert "this is a test" in post.delivery().test()
    assert post.told() == ["test"]
    with pytest.raises(ConfigError, match=r"notify\.command"):
        Delivery(NotifyConfig, post.directories, post.waiter).test()


@contextmanager
def meanwhile(post: Post, action: Callable[[], None]) -> Iterator[None]:
    """Runs `action` in a thread beside the block; should it fail, the delivery is ended and the test fails."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=guarded)
    thread.start()
    yield
    thread.join()
    assert not failures, failures


def tries(post: Post) -> int:
    """How often a command has been run that writes a line into `tries`."""
    path = post.root / "tries"
    return len(path.read_text()) if path.exists() else 0


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

    def others() -> None:
        wait_until(lambda: tries(post) == 1)
        post.put(message())
        wait_until(lambda: post.left() == 1)
        assert tries(post) == 1
        (post.root / "works").touch()
        post.put(message("outage"))

    post.put(message())
    with meanwhile(post, others):
        post.delivery().run_until_done()
    assert tries(post) == 3
    assert post.left() == 0


def test_news_that_comes_while_the_command_runs_is_not_left_for_later(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not tried with what failed: the next try comes at once, however long the wait would be."""
    monkeypatch.setattr(delivery_run, "RETRY_S", (3600.0,))
    post.command = (
        *("/bin/sh", "-c"),
        f"cd {post.root}; echo >> tries; while [ ! -e go ]; do sleep 0.02; done; [ $(wc -l < tries) -gt 1 ]",
    )
    post.timeout_s = 60

    def others() -> None:
        wait_until(lambda: tries(post) == 1)
        post.put(message("outage"))
        (post.root / "go").touch()
        wait_until(lambda: post.left() == 0)

    post.put(message())
    with meanwhile(post, others):
        post.delivery().run_until_done()
    assert tries(post) == 3


def test_unattended_ends_when_asked(post: Post) -> None:
    """During a wait at once; the message is kept."""
    post.command = ("/bin/false",)
    post.put(message())
    with within(delivery_run.RETRY_S[0] / 2):

        def stop() -> None:
            wait_until(lambda: any("not told yet" in line for line in post.log))
            os.kill(os.getpid(), signal.SIGTERM)

        with meanwhile(post, stop):
            post.delivery().run_until_done()
    assert post.left() == 1


@pytest.mark.parametrize(("lasts", "grace_s", "left"), [("0.5", 30.0, 0), ("60", 0.5, 1)])
def test_a_command_may_finish_when_we_are_to_end(
    post: Post, monkeypatch: pytest.MonkeyPatch, lasts: str, grace_s: float, left: int
) -> None:
    """It gets some seconds; a message that went out is not sent again at the next start."""
    monkeypatch.setattr(delivery_command, "GRACE_S", grace_s)
    post.command, post.timeout_s = ("/bin/sh", "-c", f"echo >> {post.root}/tries; sleep {lasts}"), 60

    def stop() -> None:
        wait_until(lambda: tries(post) == 1)
        os.kill(os.getpid(), signal.SIGTERM)

    post.put(message())
    with meanwhile(post, stop):
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
