"""Standard output and error that fail in one way, whoever writes to them: we, Typer's help, or Python when it ends."""

import errno
import io
import os
import sys
from typing import Any, TextIO

from ibkr_tools.errors import OutputError

__all__ = ["set_up"]


class _Stream(io.RawIOBase):
    """The bytes' way out. After the first failure what is still to be written vanishes."""

    def __init__(self, fd: int, *, is_result: bool) -> None:
        super().__init__()
        self._fd = fd
        self._is_result = is_result
        self._is_over = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, data: Any, /) -> int:
        """Writes what the kernel takes.

        Raises:
            OutputError: it is a result, and it cannot be written. A reader that has left is content with what it has.
        """
        if not self._is_over:
            try:
                return os.write(self._fd, data)
            except OSError as error:
                self._is_over = True
                if self._is_result and error.errno != errno.EPIPE:
                    reason = "closed" if error.errno == errno.EBADF else error.strerror
                    raise OutputError(f"standard output: {reason}") from error
        return len(data)


def _text(stream: TextIO | None, fd: int, *, is_result: bool) -> TextIO:
    buffer = io.BufferedWriter(_Stream(fd if stream is not None else -1, is_result=is_result))
    return io.TextIOWrapper(
        buffer,
        encoding=stream.encoding if stream is not None else "utf-8",
        errors=stream.errors if stream is not None else "backslashreplace",
        newline="\n",
        line_buffering=getattr(stream, "line_buffering", not is_result),
        write_through=getattr(stream, "write_through", False),
    )


def set_up() -> None:
    """Puts them in place; also where they are closed (`>&-`), which is a failure only of who prints a result."""
    sys.stdout = _text(sys.stdout, 1, is_result=True)
    sys.stderr = _text(sys.stderr, 2, is_result=False)
