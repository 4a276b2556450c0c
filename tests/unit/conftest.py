"""A unit test starts no process and listens on no port: those are of the layer tests/process."""

import multiprocessing.util
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.spawn", "os.system"})
"""Audit events of a new process. Source: Python's table of audit events."""

_guarded: list[bool] = []


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if not _guarded:
        return
    if event in STARTS:
        raise PermissionError(f"a unit test may not start a process ({event}): put it into tests/process")
    if event == "socket.bind" and isinstance(arguments[1], tuple):
        raise PermissionError(f"a unit test may not listen on {arguments[1]!r}: put it into tests/process")


# Audit hooks cannot be taken back; this one acts only while a unit test runs.
sys.addaudithook(_refuse)


def _refuse_multiprocessing(*_arguments: Any) -> int:
    # Python audits nothing there.
    raise PermissionError("a unit test may not start a process (multiprocessing): put it into tests/process")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fails a unit test that starts a process or a server, in its fixtures too."""
    if not item.path.is_relative_to(Path(__file__).parent):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multiprocessing.util, "spawnv_passfds", _refuse_multiprocessing)
        _guarded.append(True)
        try:
            return (yield)
        finally:
            _guarded.clear()
