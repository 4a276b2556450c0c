"""From the watchdog to a person's ears: real watchdog, real command, and whoever is asked to log in is refused."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools import alert_outbox
from ibkr_tools.status import LoginSection, SessionState, utc_now
from tests.support.installation import Installation
from tests.support.portal import signed_in
from tests.support.simulation import wait_until
from tests.support.watchdog import WatchdogProcess, running


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    return Installation(tmp_path, environment)


@pytest.fixture
def hear(place: Installation) -> Callable[[], list[tuple[str, bool]]]:
    """Delivers what there is, and returns topics and ends that were heard so far."""

    def deliver() -> list[tuple[str, bool]]:
        result = place.run("alert")
        assert result.returncode == 0, result.stderr
        heard = place.root / "heard"
        letters: list[dict[str, Any]] = (
            [json.loads(line) for line in heard.read_text().splitlines()] if heard.exists() else []
        )
        assert all(letter["user"] == "demo-reader" for letter in letters)
        return [(letter["topic"], letter["over"]) for letter in letters]

    return deliver


def test_told_once_across_watchdogs(place: Installation, hear: Callable[[], list[tuple[str, bool]]]) -> None:
    """A refusal is told once, however many watchdogs see it; its end is told by one that did not see its beginning."""
    command = ["/bin/sh", "-c", f"cat >> {shlex.quote(str(place.root / 'heard'))}"]
    with signed_in(place.root / "tls", user=None) as simulator:
        place.configure(simulator.port, simulator.options.certificate, alerts={"command": command})

        def waiting() -> bool:
            return alert_outbox.pending(place.directories.outbox) != []

        def refused(dog: WatchdogProcess) -> None:
            dog.wait_for(SessionState.LOCKED_OUT)
            wait_until(waiting)

        with running(place, simulator, outcome="refused") as dog:
            refused(dog)
            assert hear() == [("person", False)]
        with running(place, simulator, outcome="refused") as dog:
            refused(dog)
            assert hear() == [("person", False)]
        with running(place, simulator) as dog:
            dog.login.say(LoginSection(updated_at=utc_now(), state="unlocked", why="a person cleared the login budget"))
            dog.wait_for(SessionState.UP)
            wait_until(waiting)
            wait_until(lambda: hear() == [("person", False), ("person", True)])
            assert dog.stop() == 0
        assert hear() == [("person", False), ("person", True)]
