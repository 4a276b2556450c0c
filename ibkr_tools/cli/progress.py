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
from ibkr_tools.text import visible

QUIET_S = 0.4
"""What is over by then needs no progress."""

_EVERY_S = 0.2
_BAR = 20
_ERASE = "\r\033[K"


class Progress(Protocol):
    """What a command tells of itself; from whichever thread."""

    def __call__(self, step: str) -> None:
        """Says what is done now."""

    def count(self, done: int, of: int) -> None:
        """Says how much is done of how much."""

    def wait(self, where: str, seconds: float) -> None:
        """Says that a request has to wait for its turn."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def __call__(self, step: str) -> None:
        """Keeps it to itself."""

    def count(self, done: int, of: int) -> None:
        """Keeps it to itself."""

    def wait(self, where: str, seconds: float) -> None:
        """Keeps it to itself."""


class Line:
    """The line; within a `with` block."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._lock = threading.Lock()
        self._over = threading.Event()
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
        self._over.set()
        self._thread.join()

    def __call__(self, step: str) -> None:
        """Says what is done now."""
        with self._lock:
            self._step = step

    def count(self, done: int, of: int) -> None:
        """Says how much is done of how much."""
        with self._lock:
            self._done, self._of = done, of

    def wait(self, where: str, seconds: float) -> None:
        """Says that a request has to wait for its turn, and counts down."""
        with self._lock:
            self._waits[where] = time.monotonic() + seconds

    def text(self, now: float, width: int) -> str:
        """Returns what the line says at a time of the monotonic clock, in so many columns."""
        with self._lock:
            self._waits = {where: until for where, until in self._waits.items() if until > now}
            waits, step, done, of = dict(self._waits), self._step, self._done, self._of
        said = step
        if waits:
            where = max(waits, key=waits.__getitem__)
            said = f"{where}: its turn comes in {format_duration(math.ceil(waits[where] - now))}"
        if of > 1:
            filled = _BAR * done // of
            said = f"[{'#' * filled}{'.' * (_BAR - filled)}] {done}/{of}  {said}"
        said = visible(said).replace("\n", " ").replace("\t", " ")
        # A terminal may go to the next line once the last column is written.
        return said[: max(0, width - 1)]

    def _show(self) -> None:
        shown, wait_s = "", QUIET_S
        while not self._over.wait(wait_s):
            wait_s = _EVERY_S
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


def progress() -> Line | Silent:
    """Returns what shows progress: a line where standard error is a terminal that can erase one, else nothing."""
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return Silent()
    return Line(sys.stderr)
