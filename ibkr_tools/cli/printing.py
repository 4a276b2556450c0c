"""How a result is printed: as JSON, through jq, as a list or a table, to standard output or a file."""

import signal
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ibkr_tools.cli.streams import standard_output, write_pieces
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.errors import DataError, UsageError
from ibkr_tools.terminal_escape import escape_control_characters

if TYPE_CHECKING:
    from ibkr_tools.fetch.formats import Rows
    from ibkr_tools.fetch.jq_program import JqProgram


class Format(StrEnum):
    """How a result is printed."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    TABLE = "table"


class Printing(msgspec.Struct, frozen=True):
    """What is to be done with a result; made before anything is sent.

    `is_chosen`: a person named the form, or -c. `everything`: all rows and columns of a table. `columns`: of CSV.
    `table_width`: how many columns of a terminal a table may have that is printed elsewhere.
    """

    form: Format
    query: "JqProgram | None" = None
    raw: bool = False
    join: bool = False
    compact: bool = False
    file: Path | None = None
    is_chosen: bool = False
    everything: bool = False
    columns: str | None = None
    table_width: int | None = None

    @property
    def shows_table(self) -> bool:
        """Says whether a command that shows a table by itself shows it."""
        return self.query is None and (self.form is Format.TABLE or not self.is_chosen)

    @property
    def is_list(self) -> bool:
        """Says whether IBKR's own answer is to be printed as a list."""
        return self.query is None and self.form is not Format.JSON

    @property
    def is_plain(self) -> bool:
        """Says whether nothing was asked for but the result itself, on standard output."""
        return self.query is None and self.form is Format.JSON and self.file is None

    @property
    def width(self) -> int | None:
        """Returns how many columns the terminal has that it is printed on; None: elsewhere, or all are wanted."""
        if self.table_width is not None:
            return None if self.everything else self.table_width
        if self.everything or self.file is not None or not standard_output().isatty():
            return None
        import shutil

        return shutil.get_terminal_size().columns

    def require_table(self) -> None:
        """Checks that what goes with a table is not asked of something else.

        Raises:
            UsageError: it is.
        """
        if self.everything and self.form is not Format.TABLE:
            raise UsageError(f"--all goes with a table; this prints {self.form}", hint="Add --table.")

    def put(
        self,
        chunks: Callable[[], Iterable[bytes]],
        rows: Callable[[], "Rows"],
        table: Callable[[int | None], str] | None = None,
    ) -> None:
        """Prints a result.

        Args:
            chunks: yields its JSON in pieces.
            rows: makes rows of it.
            table: makes the table of it, for a terminal of so many columns; None: that of the rows.

        Raises:
            UsageError: the jq program does not fit, or there is no list to be printed.
            OutputError: it cannot be written.
        """
        if self.query is None and self.form is Format.TABLE and table is not None:
            self.put_table(table)
        else:
            self._write(lambda: self._pieces(chunks, rows), is_table=self.form is Format.TABLE)

    def put_table(self, table: Callable[[int | None], str]) -> None:
        """Prints a table; `table` makes it, for a terminal of so many columns, None: for none.

        Raises:
            OutputError: it cannot be written.
        """
        self._write(lambda: [self._lines(table(self.width))], is_table=True)

    def put_bytes(self, make_pieces: Callable[[], Iterable[bytes]]) -> None:
        """Prints what is in its form already.

        Raises:
            OutputError: it cannot be written.
        """
        self._write(make_pieces)

    def _lines(self, text: str) -> bytes:
        """Returns a table as it is printed: no line is wider than the terminal, what could move a cursor is shown."""
        from ibkr_tools.views.text_table import wrap_lines

        return as_lines(wrap_lines(text, self.width))

    def _write(self, make_pieces: Callable[[], Iterable[bytes]], *, is_table: bool = False) -> None:
        """Writes a result to where it belongs; a table that is longer than the terminal goes to the pager."""
        try:
            if self.file is not None:
                from ibkr_tools.fetch.output_file import write_output_file

                write_output_file(self.file, make_pieces())
            elif is_table and standard_output().isatty():
                from ibkr_tools.cli.pager import page

                text = b"".join(make_pieces())
                if not page(text):
                    write_pieces([text])
            else:
                write_pieces(make_pieces())
        except RecursionError:
            if self.query is not None:
                raise UsageError(f"{self.query.origin}: the result nests too deeply to be printed") from None
            raise DataError("what IBKR has answered nests too deeply to be printed") from None

    def _pieces(self, chunks: Callable[[], Iterable[bytes]], rows: Callable[[], "Rows"]) -> Iterator[bytes]:
        if self.query is None:
            return self._json(chunks) if self.form is Format.JSON else self._list(rows())
        outputs = _run_interruptible(self.query, b"".join(chunks()))
        if self.form is not Format.JSON:
            from ibkr_tools.fetch.formats import jq_output_rows

            return self._list(jq_output_rows(outputs))
        from ibkr_tools.fetch.jq_program import format_jq_output

        end = "" if self.join else "\n"
        raw = self.raw or self.join
        return ((format_jq_output(line, raw=raw, compact=self.compact) + end).encode() for line in outputs)

    def _json(self, chunks: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
        """Yields JSON as it came, on one line; a person at a terminal gets it indented."""
        if self.compact or self.file is not None or not standard_output().isatty():
            yield from chunks()
        else:
            yield msgspec.json.format(b"".join(chunks()), indent=2)
        yield b"\n"

    def _list(self, rows: "Rows") -> Iterator[bytes]:
        from ibkr_tools.fetch import formats

        if rows.unexpected:
            print_stderr(f"warning: {rows.unexpected}", 30)
        if self.form is Format.NDJSON:
            return formats.as_ndjson(rows)
        if self.form is Format.CSV:
            return formats.as_csv(rows, self.columns)
        from ibkr_tools.views import format_rows

        return iter((self._lines(format_rows(rows, everything=self.everything, width=self.width)),))


def as_lines(text: str) -> bytes:
    """Returns a table as it is printed: what could move a cursor is shown."""
    return escape_control_characters(text).encode() + b"\n"


def _run_interruptible(query: "JqProgram", document: bytes) -> list[str]:
    """Runs a jq program; one without an end can be ended from the keyboard, which Python would only notice after it."""
    before = signal.getsignal(signal.SIGINT)
    # In the background of a script it is ignored, and stays so.
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return query.run(document)
    finally:
        signal.signal(signal.SIGINT, before)
