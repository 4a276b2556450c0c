"""Whatever is put, fails, and dies in between: a person is told once per opening and once per end.

One message may come twice: where the process died after the command had sent it and before that was written down.
Nobody can know then whether it went out, and saying it twice is better than never.
"""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from ibkr_tools import alert_outbox
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.alerts import alert_delivery, alert_history
from ibkr_tools.alerts.alert_delivery import AlertDelivery
from ibkr_tools.alerts.alert_rendering import RenderedAlert
from ibkr_tools.config.schema import AlertsConfig
from ibkr_tools.directories import Directories
from ibkr_tools.errors import DeliveryFailed
from ibkr_tools.event_loop import EventLoop
from tests.support.examples import examples

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


class Died(BaseException):
    """The process is gone, at this very point."""


News = tuple[str, str | None, bool]
"""Topic, what to do, over."""

news = st.tuples(st.sampled_from(["person", "outage", "approval"]), st.sampled_from([None, "a", "b"]), st.booleans())
ends = st.sampled_from(["well", "failing", "died before it was noted", "died before the file was gone"])
steps = st.lists(st.one_of(news, ends), max_size=alert_outbox.OUTBOX_CAPACITY)


def expected(put: list[News]) -> list[str]:
    """Which of these a person should hear, in order: the promise, in its simplest form."""
    found: list[str] = []
    open_topics: dict[str, set[str | None]] = {}
    for number, (topic, todo, over) in enumerate(put):
        if over:
            if topic in open_topics:
                del open_topics[topic]
                found.append(str(number))
        elif topic == "approval":
            open_topics[topic] = set()
            found.append(str(number))
        elif todo not in open_topics.setdefault(topic, set()) and (todo or not open_topics[topic]):
            open_topics[topic].add(todo)
            found.append(str(number))
    return found


class World:
    """An outbox, and a person who hears what the command is given."""

    def __init__(self, root: Path, event_loop: EventLoop) -> None:
        self.directories = Directories(configuration=root, runtime=root / "run", state=root / "state")
        self.event_loop = event_loop
        self.done: list[News] = []
        self.heard: list[str] = []
        self.twice = 0

    def put(self, one: News) -> None:
        topic, todo, over = one
        what = str(len(self.done))
        alert_outbox.put(
            self.directories.outbox, AlertMessage(topic=topic, at=NOW, what=what, next="y", todo=todo, over=over)
        )
        self.done.append(one)

    @contextmanager
    def going(self, how: str) -> Iterator[None]:
        """What becomes of the first message of a run; the others go well."""
        pending = [how]
        save = AlertDelivery._save_history

        def run(_config: object, alert: RenderedAlert, *_: object) -> None:
            if pending == ["failing"]:
                raise DeliveryFailed("no route")
            self.heard.append(alert.what)

        def note(delivery: AlertDelivery, history: alert_history.AlertHistory) -> None:
            if pending == ["died before it was noted"]:
                self.twice += 1
                raise Died
            save(delivery, history)
            if pending == ["died before the file was gone"]:
                raise Died
            pending.clear()

        with (
            mock.patch.object(alert_delivery, "tell", run),
            mock.patch.object(AlertDelivery, "_save_history", note),
        ):
            yield

    def deliver(self, how: str) -> None:
        """One process that delivers, and its end."""
        one = AlertDelivery(lambda: AlertsConfig(command=("x",)), self.directories, self.event_loop, now=lambda: NOW)
        with self.going(how):
            try:
                one.run()
            except (Died, DeliveryFailed):
                return


@examples(1.5)
@given(steps)
def test_told_once(given_steps: list[News | str]) -> None:
    logger.disable("ibkr_tools")
    with (
        tempfile.TemporaryDirectory() as folder,
        EventLoop(folder) as event_loop,
        mock.patch.object(alert_history, "MAX_ALERTS_PER_HOUR", 999),
    ):
        world = World(Path(folder), event_loop)
        for step in given_steps:
            if isinstance(step, str):
                world.deliver(step)
            else:
                world.put(step)
        world.deliver("well")
        assert alert_outbox.pending(world.directories.outbox) == []
        assert [one for one, _ in itertools.groupby(world.heard)] == expected(world.done)
        assert len(world.heard) - len(expected(world.done)) <= world.twice
    logger.enable("ibkr_tools")
