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

from ibkr_tools import alert_outbox
from ibkr_tools.alert_outbox import AlertMessage
from ibkr_tools.alerts.alert_delivery import AlertDelivery
from ibkr_tools.config.schema import AlertsConfig
from ibkr_tools.directories import Directories
from ibkr_tools.event_loop import EventLoop
from ibkr_tools.status import utc_now


def message(topic: str = "person", **changes: object) -> AlertMessage:
    """An open message of now."""
    return AlertMessage(**{"topic": topic, "at": utc_now(), "what": "something", "next": "nothing", **changes})  # type: ignore[arg-type]


@dataclass
class DeliverySetup:
    """An outbox, a command that appends its standard input to a file, and what the journal was told."""

    root: Path
    event_loop: EventLoop
    log: list[str]
    command: tuple[str, ...] = ()
    timeout_s: int = 5
    now: Callable[[], datetime] = utc_now
    directories: Directories = field(init=False)

    def __post_init__(self) -> None:
        self.directories = Directories(configuration=self.root, runtime=self.root / "run", state=self.root / "state")
        self.command = self.command or ("/bin/sh", "-c", f"cat >> {shlex.quote(str(self.root / 'told'))}")

    def put(self, *given: AlertMessage) -> None:
        """Puts messages into the outbox."""
        for message in given:
            alert_outbox.put(self.directories.outbox, message)

    def delivery(self) -> AlertDelivery:
        """A process that delivers, as new."""
        return AlertDelivery(
            lambda: AlertsConfig(command=self.command, timeout_s=self.timeout_s),
            self.directories,
            self.event_loop,
            now=self.now,
        )

    def deliver(self, *given: AlertMessage) -> list[str]:
        """Puts messages, delivers, and returns all that was told so far, as `topic` or `topic over`."""
        self.put(*given)
        self.delivery().run()
        return self.delivered_topics()

    def rendered_alerts(self) -> list[dict[str, Any]]:
        """What the command was given, in order."""
        path = self.root / "told"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def delivered_topics(self) -> list[str]:
        """The topics of that."""
        return [alert["topic"] + (" over" if alert["over"] else "") for alert in self.rendered_alerts()]

    def pending_count(self) -> int:
        """How many messages are waiting."""
        return len(alert_outbox.pending(self.directories.outbox))


def end(topic: str = "person", **changes: object) -> AlertMessage:
    """The message that this topic is over."""
    return message(topic, over=True, **changes)


@contextmanager
def set_up_delivery(root: Path) -> Iterator[DeliverySetup]:
    """An outbox below `root`, for the length of the block."""
    lines: list[str] = []
    logger.remove()
    sink = logger.add(lambda text: lines.append(str(text)), format="{level}: {message}")
    (root / "run" / "outbox").mkdir(parents=True)
    with EventLoop(str(root / "run" / "outbox")) as event_loop:
        yield DeliverySetup(root, event_loop, lines)
    logger.remove(sink)
