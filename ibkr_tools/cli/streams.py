"""Standard output and error that fail in one way, whoever writes to them: we, Typer's help, or Python when it ends."""

import errno
import io
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from ibkr_tools.entrypoint import silence_stdout
from ibkr_tools.errors import OutputError
from ibkr_tools.terminal_escape import escape_for_terminal

__all__ = ["replace_standard_streams", "standard_output", "write_out", "write_pieces", "write_report"]


class _RawStream(io.RawIOBase):
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
    buffer = io.BufferedWriter(_RawStream(fd if stream is not None else -1, is_result=is_result))
    return io.TextIOWrapper(
        buffer,
        encoding=stream.encoding if stream is not None else "utf-8",
        errors=stream.errors if stream is not None else "backslashreplace",
        newline="\n",
        line_buffering=getattr(stream, "line_buffering", not is_result),
        write_through=getattr(stream, "write_through", False),
    )


def replace_standard_streams() -> None:
    """Puts them in place; also where they are closed (`>&-`), which is a failure only of who prints a result."""
    sys.stdout = _text(sys.stdout, 1, is_result=True)
    sys.stderr = _text(sys.stderr, 2, is_result=False)


def standard_output() -> TextIO:
    """Returns it.

    Raises:
        OutputError: whoever started us has closed it (`>&-`).
    """
    stream: TextIO | None = sys.stdout
    if stream is None:
        raise OutputError("standard output: closed")
    return stream


def write_out(text: str, *, is_safe: bool = False) -> None:
    """Writes all of `text` to standard output, now; see `write_pieces`."""
    stream = standard_output()
    try:
        data = text.encode(stream.encoding, stream.errors or "strict")
    except UnicodeEncodeError:
        # A name that is no text, or a locale with few letters.
        data = text.encode(stream.encoding, "backslashreplace")
    write_pieces([data], is_safe=is_safe)


def write_report(text: str) -> None:
    """Writes lines for a person: no one is wider than the terminal, words stay whole, what goes on is indented."""
    if standard_output().isatty():
        import shutil

        from ibkr_tools.number_format import wrap_text

        width = shutil.get_terminal_size().columns
        lines = (wrap_text(line, width, indent=_indent(line) + _MORE_INDENT) for line in text.split("\n"))
        text = "\n".join(part for parts in lines for part in parts)
    write_out(text)


_MORE_INDENT = " " * 4


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def write_pieces(pieces: Iterable[bytes], *, is_safe: bool = False) -> None:
    """Writes all of it to standard output, now; a reader that has left early (`| head`) is content with it.

    A terminal is not told what IBKR's texts would have it do; a file or a pipe gets every byte. `is_safe`: what
    there is to tell a terminal is ours, such as colours.

    Raises:
        OutputError: it cannot be written, such as into a file on a full disk.
    """
    stream = standard_output()
    try:
        stream.flush()
        for piece in escape_for_terminal(pieces) if stream.isatty() and not is_safe else pieces:
            stream.buffer.write(piece)
        stream.buffer.flush()
    except BrokenPipeError:
        silence_stdout()
    except OSError as error:
        silence_stdout()
        raise OutputError(f"standard output: {error.strerror}") from error
