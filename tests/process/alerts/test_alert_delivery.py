"""Delivery: told once when a topic opens and once when it is over, whatever is damaged, full or too much."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ibkr_tools import alert_outbox, files
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.alerts import alert_history
from ibkr_tools.alerts.alert_delivery import AlertDelivery
from ibkr_tools.alerts.alert_rendering import MAX_SUBJECT_CHARACTERS, render_alert
from ibkr_tools.config.schema import AlertsConfig
from ibkr_tools.errors import DeliveryFailed, OutputError
from tests.support.alert_deliveries import DeliverySetup, end, message, set_up_delivery

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def delivery_setup(tmp_path: Path) -> Iterator[DeliverySetup]:
    with set_up_delivery(tmp_path) as made:
        yield made


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
    delivery_setup: DeliverySetup, given: list[AlertMessage], expected: list[str], together: bool
) -> None:
    """Whether they wait together or come one after the other, to one process or to many."""
    for group in [given] if together else [[one] for one in given]:
        delivery_setup.deliver(*group)
    assert delivery_setup.delivered_topics() == expected
    assert delivery_setup.pending_count() == 0


def test_the_rendered_alert(delivery_setup: DeliverySetup) -> None:
    """Everything of the message, and the same ready to be sent."""
    begun = NOW - timedelta(minutes=135)
    first = message(at=begun, what="IBKR refused the password", next="no login", todo="Correct it.", user="demo-reader")
    delivery_setup.deliver(first)
    delivery_setup.deliver(end(at=NOW, what="the session is up again"))
    opened, closed = delivery_setup.rendered_alerts()
    assert opened.keys() == {*AlertMessage.__struct_fields__, "host", "subject", "text", "since"}
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
    alert = render_alert(message(what="several\nlines\x1b[2J " + "word " * 100), NOW, "host")
    assert len(alert.subject) <= MAX_SUBJECT_CHARACTERS
    assert alert.subject.isprintable()
    assert alert.subject.endswith("…")


def test_without_a_command_the_journal_is_told(delivery_setup: DeliverySetup) -> None:
    """A warning when it opens, a note when it is over, each once."""
    delivery_setup.put(message(todo="Do it."), message(todo="Do it."), end())
    AlertDelivery(AlertsConfig, delivery_setup.directories, delivery_setup.event_loop).run()
    assert [line.split(":")[0] for line in delivery_setup.log] == ["WARNING", "INFO"]
    assert "What you have to do: Do it." in delivery_setup.log[0]
    assert delivery_setup.pending_count() == 0


@pytest.mark.parametrize("data", [b"", b"{", b'{"topic": "person"}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_message_is_removed(delivery_setup: DeliverySetup, data: bytes) -> None:
    """One line says so, and what comes after it is told."""
    (delivery_setup.directories.outbox / "0-damaged.json").write_bytes(data)
    assert delivery_setup.deliver(message()) == ["person"]
    assert delivery_setup.pending_count() == 0
    assert sum("was not a message" in line for line in delivery_setup.log) == 1


@pytest.mark.parametrize("data", [b"", b"{", b'{"schema": 7}', b"\xff", b"[" * 100_000])
def test_a_damaged_memory_is_taken_for_empty(delivery_setup: DeliverySetup, data: bytes) -> None:
    delivery_setup.deliver(message())
    delivery_setup.directories.alert_history_file.write_bytes(data)
    assert delivery_setup.deliver(message()) == ["person", "person"]
    assert any("is damaged" in line for line in delivery_setup.log)


def test_what_is_too_old_is_dropped(delivery_setup: DeliverySetup) -> None:
    """A day for what may still be so, ten minutes for a push that was announced."""
    delivery_setup.now = lambda: NOW
    for number, (topic, ago) in enumerate(
        [("a", timedelta(hours=25)), ("b", timedelta(hours=23)), ("approval", timedelta(minutes=11))]
    ):
        path = alert_outbox.put(delivery_setup.directories.outbox, message(topic, at=NOW - ago))
        path.rename(path.with_name(f"put-by-hand-{number}.json"))
    assert delivery_setup.deliver() == ["b"]
    assert sum("could be told in time" in line for line in delivery_setup.log) == 2
    assert delivery_setup.pending_count() == 0


def test_a_flood_is_cut(delivery_setup: DeliverySetup) -> None:
    """The oldest are dropped, and no end is told of what was never told to have begun."""
    for number in range(30):
        delivery_setup.put(message(f"t{number}"))
    delivery_setup.put(*(end(f"t{number}") for number in range(15)))
    delivery_setup.command = ("/bin/false",)
    with pytest.raises(DeliveryFailed):
        delivery_setup.deliver()
    assert delivery_setup.pending_count() <= alert_outbox.OUTBOX_CAPACITY
    del delivery_setup.command
    delivery_setup.__post_init__()
    assert delivery_setup.deliver() == [f"t{number}" for number in range(25, 30)]


def test_an_hour_has_so_many_messages(delivery_setup: DeliverySetup) -> None:
    """A unit that fails and recovers all day does not send all day."""
    delivery_setup.now = lambda: NOW
    for _ in range(alert_history.MAX_ALERTS_PER_HOUR // 2):
        delivery_setup.deliver(message(), end())
    with pytest.raises(DeliveryFailed, match=r"20 messages in an hour; the next in 61 min"):
        delivery_setup.deliver(message())
    assert len(delivery_setup.delivered_topics()) == alert_history.MAX_ALERTS_PER_HOUR
    delivery_setup.now = lambda: NOW + timedelta(minutes=61)
    assert len(delivery_setup.deliver()) == alert_history.MAX_ALERTS_PER_HOUR + 1
    # A clock that is set back does not silence it for longer.
    delivery_setup.now = lambda: NOW - timedelta(days=3)
    assert len(delivery_setup.deliver(end())) == alert_history.MAX_ALERTS_PER_HOUR + 2


def test_a_full_disk_does_not_repeat(delivery_setup: DeliverySetup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told, and remembered by the living process; written down when there is room again."""
    delivery_setup.deliver()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    one = delivery_setup.delivery()
    waiting = [alert_outbox.put(delivery_setup.root / "elsewhere", message()) for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_atomically", full)
        for path in waiting:
            path.rename(delivery_setup.directories.outbox / path.name)
            one.run()
        assert delivery_setup.delivered_topics() == ["person"]
        assert any("No space left" in line for line in delivery_setup.log)
    one.run()
    assert delivery_setup.deliver(message()) == ["person"]


def test_nothing_can_be_kept(delivery_setup: DeliverySetup) -> None:
    delivery_setup.directories.state.write_text("in the way")
    delivery_setup.put(message())
    with pytest.raises(OutputError):
        delivery_setup.delivery().run()
    assert delivery_setup.delivered_topics() == []
