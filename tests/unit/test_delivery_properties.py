"""Whatever is put, fails, and dies in between: a person is told once per opening and once per end.

One message may come twice: where the process died after the command had sent it and before that was written down.
Nobody can know then whether it went out, and saying it twice is better than never.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from ibkr_tools import messages
from ibkr_tools.config import NotifyConfig
from ibkr_tools.delivery import command, told
from ibkr_tools.delivery.run import OUTBOX_HOLDS, Delivery
from ibkr_tools.directories import Directories
from ibkr_tools.errors import DeliveryFailed
from ibkr_tools.gateway.child import Waiter
from ibkr_tools.messages import Message

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


class Died(BaseException):
    """The process is gone, at this very point."""


News = tuple[str, str | None, bool]
"""Topic, what to do, over."""

news = st.tuples(st.sampled_from(["person", "outage"]), st.sampled_from([None, "a", "b"]), st.booleans())
ends = st.sampled_from(["well", "failing", "died before it was noted", "died before the file was gone"])
steps = st.lists(st.one_of(news, ends), max_size=OUTBOX_HOLDS)


def expected(put: list[News]) -> list[News]:
    """What a person should hear of these, in order: the promise, in its simplest form."""
    found: list[News] = []
    open_topics: dict[str, set[str | None]] = {}
    for topic, todo, over in put:
        if over:
            if topic in open_topics:
                del open_topics[topic]
                found.append((topic, todo, over))
        elif todo not in open_topics.setdefault(topic, set()) and (todo or not open_topics[topic]):
            open_topics[topic].add(todo)
            found.append((topic, todo, over))
    return found


class World:
    """An outbox, and a person who hears what the command is given."""

    def __init__(self, root: Path, waiter: Waiter) -> None:
        self.directories = Directories(configuration=root, runtime=root / "run", state=root / "state")
        self.waiter = waiter
        self.heard: list[News] = []
        self.twice = 0

    def put(self, one: News) -> None:
        topic, todo, over = one
        message = Message(topic=topic, at=NOW, what="x", next="y", todo=todo, over=over)
        messages.put(self.directories.outbox, message)

    @contextmanager
    def going(self, how: str) -> Iterator[None]:
        """What becomes of the first message of a run; the others go well."""
        pending = [how]
        write = told.write

        def run(_: object, document: bytes, **__: object) -> None:
            if pending == ["failing"]:
                raise DeliveryFailed("no route")
            letter = msgspec.json.decode(document)
            self.heard.append((letter["topic"], letter["todo"], letter["over"]))

        def note(path: Path, known: told.Told) -> None:
            if pending == ["died before it was noted"]:
                self.twice += 1
                raise Died
            write(path, known)
            if pending == ["died before the file was gone"]:
                raise Died
            pending.clear()

        with mock.patch.object(command, "run", run), mock.patch.object(told, "write", note):
            yield

    def deliver(self, how: str) -> None:
        """One process that delivers, and its end."""
        one = Delivery(lambda: NotifyConfig(command=("x",)), self.directories, self.waiter, now=lambda: NOW)
        with self.going(how):
            try:
                one.run()
            except (Died, DeliveryFailed):
                return


def without_repeats(heard: list[News]) -> list[News]:
    """The same with one of two in a row left out."""
    return [one for number, one in enumerate(heard) if number == 0 or one != heard[number - 1]]


@settings(max_examples=150, deadline=None)
@given(steps)
def test_told_once(given_steps: list[News | str]) -> None:
    logger.disable("ibkr_tools")
    with tempfile.TemporaryDirectory() as folder, Waiter(folder) as waiter, mock.patch.object(told, "AN_HOUR_HAS", 999):
        world, put = World(Path(folder), waiter), list[News]()
        for step in given_steps:
            if isinstance(step, str):
                world.deliver(step)
            else:
                world.put(step)
                put.append(step)
        world.deliver("well")
        assert messages.waiting(world.directories.outbox) == []
        assert len(world.heard) - len(expected(put)) <= world.twice
        assert without_repeats(world.heard) == without_repeats(expected(put))
    logger.enable("ibkr_tools")
