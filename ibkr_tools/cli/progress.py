"""How far a command is: one line on a terminal that is written over, and gone in the end; nothing anywhere else."""

import math
import os
import shutil
import sys
import threading
import time
from types import TracebackType
from typing import Protocol, Self, TextIO

from ibkr_tools.cli.durations import format_duration
from ibkr_tools.terminal_escape import escape_control_characters

SHOW_AFTER_S = 0.4
"""What is over by then needs no progress."""

_REFRESH_S = 0.2
_BAR_WIDTH = 20
_ERASE = "\r\033[K"


class Progress(Protocol):
    """What a command tells of itself; from whichever thread."""

    def __call__(self, step: str) -> None:
        """Says what is done now."""

    def count(self, done: int, total: int) -> None:
        """Says how much is done of how much."""

    def wait(self, where: str, seconds: float) -> None:
        """Says that a request has to wait for its turn."""


class NoProgress:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __call__(self, step: str) -> None:
        """Keeps it to itself."""

    def count(self, done: int, total: int) -> None:
        """Keeps it to itself."""

    def wait(self, where: str, seconds: float) -> None:
        """Keeps it to itself."""


class ProgressLine:
    """The line; within a `with` block."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)
        self._step = ""
        self._done = self._of = 0
        self._waits: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finished.set()
        self._thread.join()

    def __call__(self, step: str) -> None:
        """Says what is done now."""
        with self._lock:
            self._step = step

    def count(self, done: int, total: int) -> None:
        """Says how much is done of how much."""
        with self._lock:
            self._done, self._of = done, total

    def wait(self, where: str, seconds: float) -> None:
        """Says that a request has to wait for its turn, and counts down."""
        with self._lock:
            self._waits[where] = time.monotonic() + seconds

    def text(self, now: float, width: int) -> str:
        """Returns what the line says at a time of the monotonic clock, in so many columns."""
        with self._lock:
            self._waits = {where: until for where, until in self._waits.items() if until > now}
            waits, step, done, total = dict(self._waits), self._step, self._done, self._of
        text = step
        if waits:
            where = max(waits, key=waits.__getitem__)
            text = f"{where}: its turn comes in {format_duration(math.ceil(waits[where] - now))}"
        if total > 1:
            filled = _BAR_WIDTH * done // total
            text = f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {done}/{total}  {text}"
        text = escape_control_characters(text).replace("\n", " ").replace("\t", " ")
        # A terminal may go to the next line once the last column is written.
        return text[: max(0, width - 1)]

    def _show(self) -> None:
        shown, wait_s = "", SHOW_AFTER_S
        while not self._finished.wait(wait_s):
            wait_s = _REFRESH_S
            text = self.text(time.monotonic(), shutil.get_terminal_size().columns)
            if text != shown and not self._write(_ERASE + text):
                return
            shown = text
        if shown:
            self._write(_ERASE)

    def _write(self, text: str) -> bool:
        try:
            self._terminal.write(text)
            self._terminal.flush()
        except OSError:
            # The terminal is gone; the work goes on.
            return False
        return True


def progress() -> ProgressLine | NoProgress:
    """Returns what shows progress: a line where standard error is a terminal that can erase one, else nothing."""
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return NoProgress()
    return ProgressLine(sys.stderr)
