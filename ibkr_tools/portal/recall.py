"""The last answer of an endpoint that may not be asked again yet: within IBKR's interval there is no fresher one."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ibkr_tools import files
from ibkr_tools.portal.endpoints import Endpoint
from ibkr_tools.portal.pacing import SAME_BOOT_S


class _Remembered(msgspec.Struct):
    """An answer, when it came (seconds of the monotonic clock), and when the machine was booted (Unix time)."""

    booted_at: float
    at_s: float
    payload: Any


class Recall:
    """Answers in files that all processes of one IBKR user share; for endpoints without parameters."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _path(self, endpoint: Endpoint) -> Path:
        return self._directory / f"{endpoint.name}.json"

    def store(self, endpoint: Endpoint, payload: Any) -> None:
        """Remembers an answer; where it cannot be written, the next process has to wait its turn."""
        now_s = time.monotonic()
        remembered = _Remembered(time.time() - now_s, now_s, payload)
        with suppress(OSError):
            files.write_atomically(self._path(endpoint), msgspec.json.encode(remembered), mode=0o640, durable=False)

    def load(self, endpoint: Endpoint) -> Any:
        """Returns the answer if IBKR's interval has not passed since; None otherwise, and for anything damaged."""
        try:
            remembered = msgspec.json.decode(self._path(endpoint).read_bytes(), type=_Remembered)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        now_s = time.monotonic()
        same_boot = abs(remembered.booted_at - (time.time() - now_s)) < SAME_BOOT_S
        young = 0.0 <= now_s - remembered.at_s < endpoint.interval_s
        return remembered.payload if same_boot and young else None
