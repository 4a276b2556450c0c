"""Processes that write and read one status file."""

import multiprocessing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ibkr_tools.status import (
    FetchSection,
    GatewaySection,
    SessionSection,
    SessionState,
    StatusFile,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def gateway(**changes: Any) -> GatewaySection:
    """Returns a section of the gateway's parent."""
    fields: dict[str, Any] = {
        "updated_at": NOW,
        "state": "up",
        "since": NOW,
        "port": 5000,
        "upstream": "https://api.ibkr.com",
    }
    return GatewaySection(**(fields | changes))


def session(**changes: Any) -> SessionSection:
    """Returns a section of the watchdog."""
    fields: dict[str, Any] = {
        "updated_at": NOW,
        "fresh_for_s": 30.0,
        "state": SessionState.UP,
        "since": NOW,
        "why": "both answer",
    }
    return SessionSection(**(fields | changes))


def _write(path: Path, kind: int, times: int) -> None:
    file = StatusFile(path)
    for number in range(times):
        if kind == 0:
            file.write(gateway(port=1 + number))
        elif kind == 1:
            file.write(session(losses=number + 1, why="x" * 2000))
        else:
            file.write(FetchSection(updated_at=NOW, state="failed", why=str(number + 1)))


def test_concurrent_writers_lose_nothing_and_readers_see_wholes(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, kind, 60)) for kind in (0, 1, 2)]
    for writer in writers:
        writer.start()
    seen: list[set[str]] = []
    while any(writer.is_alive() for writer in writers):
        found = StatusFile(path).read()
        present = {name for name in ("gateway", "session", "fetch") if getattr(found, name) is not None}
        assert not seen or present >= seen[-1], "a section that was there has gone"
        seen.append(present)
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    found = StatusFile(path).read()
    assert found.gateway
    assert found.session
    assert found.fetch
    assert (found.gateway.port, found.session.losses, found.fetch.why) == (60, 60, "60")
