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

from ibkr_tools import alert_outbox, user_command
from ibkr_tools.alerts import alert_delivery
from ibkr_tools.alerts.alert_delivery import AlertDelivery
from ibkr_tools.alerts.alert_history import AlertHistory
from ibkr_tools.config.schema import AlertsConfig
from ibkr_tools.errors import ConfigError, DeliveryFailed
from tests.support.alert_deliveries import DeliverySetup, message, set_up_delivery
from tests.support.installation import Installation
from tests.support.patience import within
from tests.support.processes import is_group_alive
from tests.support.simulation import wait_until


@pytest.fixture
def delivery_setup(tmp_path: Path) -> Iterator[DeliverySetup]:
    with set_up_delivery(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("script", "timeout_s", "why"),
    [
        ("echo no route >&2; exit 7", 60, "ended with exit code 7: no route"),
        ("printf 'a\\033[2J\\nb\\n\\n' >&2; exit 1", 60, "ended with exit code 1: b"),
        ("kill -9 $$", 60, "was killed by SIGKILL"),
        ("exec sleep 60", 1, "took longer than 1 s"),
        ("sleep 60 & exec sleep 60", 1, "took longer than 1 s"),
        ("yes >&2 & sleep 60", 2, "took longer than 2 s: y"),
    ],
)
def test_a_command_that_fails_keeps_the_message(
    delivery_setup: DeliverySetup, script: str, timeout_s: int, why: str
) -> None:
    """Told when it works again, once; and what it has started is gone."""
    good, delivery_setup.command, delivery_setup.timeout_s = (
        delivery_setup.command,
        ("/bin/sh", "-c", f"echo $$ >> {delivery_setup.root}/pid; {script}"),
        timeout_s,
    )
    with pytest.raises(DeliveryFailed) as failure:
        delivery_setup.deliver(message(), message("outage"))
    assert why in failure.value.message
    assert "something" in failure.value.message
    assert delivery_setup.pending_count() == 2
    group = int((delivery_setup.root / "pid").read_text())
    wait_until(lambda: not is_group_alive(group))
    history = alert_outbox.read_document(delivery_setup.directories.alert_history_file, AlertHistory)
    assert history is None or history.topics == {}
    delivery_setup.command, delivery_setup.timeout_s = good, 60
    assert delivery_setup.deliver() == ["person", "outage"]


def test_of_what_a_command_says_only_the_last_is_kept(delivery_setup: DeliverySetup) -> None:
    """One that complains for ever must not fill the memory: its standard error is no file that grows."""
    loud = "head -c 20000000 /dev/zero | tr '\\0' x >&2; echo >&2; stat -Lc 'it is a %F' /proc/self/fd/2 >&2; exit 3"
    delivery_setup.command, delivery_setup.timeout_s = ("/bin/sh", "-c", loud), 30
    with pytest.raises(DeliveryFailed, match="ended with exit code 3: it is a fifo"):
        delivery_setup.deliver(message())


@pytest.mark.parametrize("command", [("/no/such/program",), ("/etc",), ("a\0b",)])
def test_a_command_that_cannot_be_started(delivery_setup: DeliverySetup, command: tuple[str, ...]) -> None:
    delivery_setup.command = command
    with pytest.raises(DeliveryFailed, match="could not be started"):
        delivery_setup.deliver(message())
    assert delivery_setup.pending_count() == 1


@pytest.mark.parametrize("script", ["exit 0", "exec 0<&-; sleep 60 & exit 0"])
def test_a_command_need_not_read_nor_clean_up(delivery_setup: DeliverySetup, script: str) -> None:
    """A child that it leaves behind does not throttled_for anybody up, and ends with it."""
    delivery_setup.command = ("/bin/sh", "-c", script)
    delivery_setup.timeout_s = 60
    with within(delivery_setup.timeout_s / 2):
        delivery_setup.deliver(message(what="x" * 200_000))
        assert delivery_setup.pending_count() == 0


def test_the_command_hears_nothing_of_systemd(delivery_setup: DeliverySetup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    delivery_setup.command = ("/bin/sh", "-c", f"echo ${{NOTIFY_SOCKET:-none}} $(pwd) > {delivery_setup.root}/env")
    delivery_setup.deliver(message())
    assert (delivery_setup.root / "env").read_text() == "none /\n"


def test_a_test_needs_a_command(delivery_setup: DeliverySetup) -> None:
    assert "this is a test" in delivery_setup.delivery().test()
    assert delivery_setup.delivered_topics() == ["test"]
    with pytest.raises(ConfigError, match=r"alerts\.command"):
        AlertDelivery(AlertsConfig, delivery_setup.directories, delivery_setup.event_loop).test()


@contextmanager
def meanwhile(delivery_setup: DeliverySetup, action: Callable[[], None]) -> Iterator[None]:
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


def tries(delivery_setup: DeliverySetup) -> int:
    """How often a command has been run that writes a line into `tries`."""
    path = delivery_setup.root / "tries"
    return len(path.read_text()) if path.exists() else 0


def test_unattended_tries_again(delivery_setup: DeliverySetup, monkeypatch: pytest.MonkeyPatch) -> None:
    """With growing waits, until it works."""
    monkeypatch.setattr(alert_delivery, "DELIVERY_BACKOFF_S", (0.05, 0.1, 0.2))
    delivery_setup.command = (
        "/bin/sh",
        "-c",
        f"date +%s.%N >> {delivery_setup.root}/tries; [ $(wc -l < {delivery_setup.root}/tries) = 4 ]",
    )
    delivery_setup.put(message())
    delivery_setup.delivery().run_until_done()
    times = [float(line) for line in (delivery_setup.root / "tries").read_text().split()]
    assert len(times) == 4
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap >= least for gap, least in zip(gaps, (0.05, 0.1, 0.2), strict=True))
    assert sum("not told yet" in line for line in delivery_setup.log) == 3


def test_unattended_waits_for_a_configuration(delivery_setup: DeliverySetup, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it cannot be read, nobody knows how to tell anybody; the message is kept until somebody mends it."""
    monkeypatch.setattr(alert_delivery, "DELIVERY_BACKOFF_S", (0.05,))
    faults = [ConfigError("config.json: not JSON")] * 3

    def load() -> AlertsConfig:
        if faults:
            raise faults.pop()
        return AlertsConfig(command=delivery_setup.command)

    delivery_setup.put(message())
    AlertDelivery(load, delivery_setup.directories, delivery_setup.event_loop).run_until_done()
    assert delivery_setup.delivered_topics() == ["person"]
    assert any("not told yet: config.json" in line for line in delivery_setup.log)


def test_unattended_tries_news_at_once(delivery_setup: DeliverySetup) -> None:
    """What is known already does not hurry it; what is new does."""
    delivery_setup.command = (
        "/bin/sh",
        "-c",
        f"echo >> {delivery_setup.root}/tries; [ -e {delivery_setup.root}/works ]",
    )

    def others() -> None:
        wait_until(lambda: tries(delivery_setup) == 1)
        delivery_setup.put(message())
        wait_until(lambda: delivery_setup.pending_count() == 1)
        assert tries(delivery_setup) == 1
        (delivery_setup.root / "works").touch()
        delivery_setup.put(message("outage"))

    delivery_setup.put(message())
    with meanwhile(delivery_setup, others):
        delivery_setup.delivery().run_until_done()
    assert tries(delivery_setup) == 3
    assert delivery_setup.pending_count() == 0


def test_news_that_comes_while_the_command_runs_is_not_left_for_later(
    delivery_setup: DeliverySetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not tried with what failed: the next try comes at once, however long the wait would be."""
    monkeypatch.setattr(alert_delivery, "DELIVERY_BACKOFF_S", (3600.0,))
    delivery_setup.command = (
        *("/bin/sh", "-c"),
        f"cd {delivery_setup.root}; echo >> tries; while [ ! -e go ]; do sleep 0.02; done; [ $(wc -l < tries) -gt 1 ]",
    )
    delivery_setup.timeout_s = 60

    def others() -> None:
        wait_until(lambda: tries(delivery_setup) == 1)
        delivery_setup.put(message("outage"))
        (delivery_setup.root / "go").touch()
        wait_until(lambda: delivery_setup.pending_count() == 0)

    delivery_setup.put(message())
    with meanwhile(delivery_setup, others):
        delivery_setup.delivery().run_until_done()
    assert tries(delivery_setup) == 3


def test_unattended_ends_when_asked(delivery_setup: DeliverySetup) -> None:
    """During a wait at once; the message is kept."""
    delivery_setup.command = ("/bin/false",)
    delivery_setup.put(message())
    with within(alert_delivery.DELIVERY_BACKOFF_S[0] / 2):

        def stop() -> None:
            wait_until(lambda: any("not told yet" in line for line in delivery_setup.log))
            os.kill(os.getpid(), signal.SIGTERM)

        with meanwhile(delivery_setup, stop):
            delivery_setup.delivery().run_until_done()
    assert delivery_setup.pending_count() == 1


@pytest.mark.parametrize(("lasts", "grace_s", "left"), [("0.5", 30.0, 0), ("60", 0.5, 1)])
def test_a_command_may_finish_when_we_are_to_end(
    delivery_setup: DeliverySetup, monkeypatch: pytest.MonkeyPatch, lasts: str, grace_s: float, left: int
) -> None:
    """It gets some seconds; a message that went out is not sent again at the next start."""
    monkeypatch.setattr(user_command, "STOP_GRACE_S", grace_s)
    delivery_setup.command, delivery_setup.timeout_s = (
        ("/bin/sh", "-c", f"echo >> {delivery_setup.root}/tries; sleep {lasts}"),
        60,
    )

    def stop() -> None:
        wait_until(lambda: tries(delivery_setup) == 1)
        os.kill(os.getpid(), signal.SIGTERM)

    delivery_setup.put(message())
    with meanwhile(delivery_setup, stop):
        delivery_setup.delivery().run_until_done()
    assert delivery_setup.pending_count() == left


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    return Installation(tmp_path, environment)


def test_the_command_line(place: Installation) -> None:
    """0 when told or nothing to tell, 75 when kept, 78 without a configuration; --test says how it went."""
    received = place.root / "received"
    place.configure(5000, alerts={"command": ["/bin/sh", "-c", f"cat >> {received}"]})
    assert place.run("alert").returncode == 0
    alert_outbox.put(place.directories.outbox, message())
    result = place.run("alert")
    assert (result.returncode, "told: IBKR on" in result.stderr) == (0, True)
    assert json.loads(received.read_text())["topic"] == "person"
    assert alert_outbox.pending(place.directories.outbox) == []
    result = place.run("alert", "--test")
    assert (result.returncode, "sent: IBKR on" in result.stdout) == (0, True)
    place.configure(5000, alerts={"command": ["/bin/sh", "-c", "echo no route >&2; exit 3"]})
    result = place.run("alert", "--test")
    assert (result.returncode, "exit code 3: no route" in result.stderr) == (75, True)
    alert_outbox.put(place.directories.outbox, message("outage"))
    assert place.run("alert").returncode == 75
    assert len(alert_outbox.pending(place.directories.outbox)) == 1
    place.configure(5000)
    assert place.run("alert", "--test").returncode == 78
    place.directories.config_file.write_text("{")
    assert place.run("alert").returncode == 78


def test_two_at_once_tell_it_once(place: Installation) -> None:
    received = place.root / "received"
    place.configure(5000, alerts={"command": ["/bin/sh", "-c", f"sleep 0.3; cat >> {received}"]})
    for topic in ("a", "b", "c"):
        alert_outbox.put(place.directories.outbox, message(topic))
    command = [sys.executable, "-m", "ibkr_tools", *place.options, "alert"]
    both = [subprocess.Popen(command, env=place.environment, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert [json.loads(line)["topic"] for line in received.read_text().splitlines()] == ["a", "b", "c"]


def test_a_message_goes_out_while_the_configuration_is_wrong(place: Installation) -> None:
    """Which is what it may be about."""
    told = place.root / "told"
    command = ["/bin/sh", "-c", f"cat >{told}"]
    place.configure(5000, nonsense="U1234567", alerts={"command": command})
    assert place.run("config", "check").returncode == 78
    done = place.run("alert", "--test")
    assert (done.returncode, json.loads(told.read_text())["topic"]) == (0, "test")
