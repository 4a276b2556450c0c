"""A person at a terminal: reads what is asked, types, and sees what the terminal shows, echo included."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

__all__ = ["Terminal"]

_PATIENCE_S = 60.0
"""In seconds: against what never asks, not against a busy machine."""

_AGAIN_S = 10.0
"""In seconds: a person has long lost patience by then."""


class Terminal:
    """A program on a terminal of its own, within a `with` block."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._leader, terminal = pty.openpty()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            env=dict(environment) | {"TERM": "dumb"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        self.text = ""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._leader)

    def _read(self, deadline_s: float) -> bool:
        """Reads what there is, waiting for it; says whether more may come."""
        if not select.select([self._leader], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
            raise AssertionError(f"nothing more came than {self.text!r}")
        data = b""
        # A terminal that nobody has open any more is an error to read from.
        with suppress(OSError):
            data = os.read(self._leader, 65536)
        self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def wait_for(self, text: str) -> None:
        """Returns when the terminal shows `text` after what was waited for before."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while (at := self.text.find(text, self._seen)) < 0:
            if not self._read(deadline_s):
                raise AssertionError(f"it ended without {text!r}: {self.text!r}")
        self._seen = at + len(text)

    def answer(self, question: str, typed: str) -> None:
        """Types a line when the terminal shows `question`, and its prompt is complete."""
        self.wait_for(question)
        self.wait_for(": ")
        self.type(f"{typed}\n")

    def type(self, keys: str) -> None:
        """Types keys, such as \x03 for Ctrl-C."""
        os.write(self._leader, keys.encode())

    def interrupt(self, key: str = "\x03") -> int:
        """Types Ctrl-C, again when nothing comes of it, and returns the exit code.

        A signal that arrives after Python has written a prompt and before it reads is noticed with the next one.
        """
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            self.type(key)
            try:
                while self._read(min(deadline_s, time.monotonic() + _AGAIN_S)):
                    pass
            except AssertionError:
                if time.monotonic() >= deadline_s:
                    raise
            else:
                return self._process.wait(_PATIENCE_S)

    def end(self) -> int:
        """Reads to the end, and returns the exit code."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while self._read(deadline_s):
            pass
        return self._process.wait(_PATIENCE_S)
