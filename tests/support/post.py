"""An outbox, a command that appends what it is given to a file, and the process that delivers."""

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from loguru import logger

from ibkr_tools import messages
from ibkr_tools.config import NotifyConfig
from ibkr_tools.delivery.run import Delivery
from ibkr_tools.directories import Directories
from ibkr_tools.gateway.child import Waiter
from ibkr_tools.messages import Message
from ibkr_tools.status import utc_now


def message(topic: str = "person", **changes: object) -> Message:
    """An open message of now."""
    return Message(**{"topic": topic, "at": utc_now(), "what": "something", "next": "nothing", **changes})  # type: ignore[arg-type]


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


def end(topic: str = "person", **changes: object) -> Message:
    """The message that this topic is over."""
    return message(topic, over=True, **changes)


@contextmanager
def posting(root: Path) -> Iterator[Post]:
    """A post office below `root`, for the length of the block."""
    lines: list[str] = []
    logger.remove()
    sink = logger.add(lambda text: lines.append(str(text)), format="{level}: {message}")
    (root / "run" / "outbox").mkdir(parents=True)
    with Waiter(str(root / "run" / "outbox")) as waiter:
        yield Post(root, waiter, lines)
    logger.remove(sink)
