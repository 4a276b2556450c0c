"""How a result is printed: the options that `fetch`, `api` and `show` share, and what they do."""

import functools
import inspect
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from typer.core import TyperCommand

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


class PrintingCommand(TyperCommand):
    """A command with --arg and --argjson, which take two values each and may be repeated: Typer has no words for it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for parameter in self.params:
            if parameter.name in {"arg", "argjson"}:
                parameter.nargs = 2


DEFAULT_RETRY_S = 30.0
"""As `fetch.retry` has it, which is not imported for a help text."""

RetryOption = Annotated[
    float,
    typer.Option(
        "--retry-for",
        help="Try each read again for so long after trouble that passes; 0: not at all.",
        metavar="SECONDS",
        min=0,
    ),
]
_NamedValues = list[Any] | None
FormatOption = Annotated[
    Format | None,
    typer.Option("-f", "--format", help="json; or of a list: ndjson, csv, or a table for people.", show_default=False),
]
TableOption = Annotated[bool, typer.Option("--table", help="Short for --format table.")]
JqOption = Annotated[str | None, typer.Option("--jq", help="Filter it with a jq program.", metavar="PROGRAM")]
FileOption = Annotated[
    Path | None, typer.Option("--from-file", help="Read the jq program from a file.", metavar="FILE")
]
ArgOption = Annotated[
    _NamedValues, typer.Option("--arg", help="Have $NAME be a text in the jq program.", metavar="NAME TEXT", parser=str)
]
ArgJsonOption = Annotated[
    _NamedValues,
    typer.Option("--argjson", help="Have $NAME be JSON in the jq program.", metavar="NAME JSON", parser=str),
]
RawOption = Annotated[bool, typer.Option("-r", "--raw-output", help="Print texts of jq without quotes.")]
JoinOption = Annotated[bool, typer.Option("-j", "--join-output", help="The same, and no newline after each.")]
CompactOption = Annotated[bool, typer.Option("-c", "--compact-output", help="One line per result.")]
AllOption = Annotated[bool, typer.Option("--all", help="All rows and columns of a table.")]
ColumnsOption = Annotated[
    str | None, typer.Option("--columns", help="Of CSV, with commas between them; all: every one.", metavar="NAMES")
]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="Write to a file, in one step; -: print it.", metavar="FILE")
]


class Printing(msgspec.Struct, frozen=True):
    """What is to be done with a result; made before anything is sent.

    `is_chosen`: a person named the form, or -c. `everything`: all rows and columns of a table. `columns`: of CSV.
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
        """Returns how many columns the terminal has that it is printed on; None: it is printed elsewhere."""
        import shutil

        return shutil.get_terminal_size().columns if self.file is None and standard_output().isatty() else None

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
            self.write([as_lines(table(self.width))])
        else:
            self.write(self._pieces(chunks, rows))

    def write(self, pieces: Iterable[bytes]) -> None:
        """Writes what has been made of it to where it belongs.

        Raises:
            OutputError: it cannot be written.
        """
        if self.file is not None:
            from ibkr_tools.fetch.output_file import write_output_file

            write_output_file(self.file, pieces)
        else:
            write_pieces(pieces)

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

        return iter((as_lines(format_rows(rows, everything=self.everything, width=self.width)),))


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


def printing(
    *,
    jq: JqOption = None,
    from_file: FileOption = None,
    arg: ArgOption = None,
    argjson: ArgJsonOption = None,
    raw_output: RawOption = False,
    join_output: JoinOption = False,
    compact_output: CompactOption = False,
    form: FormatOption = None,
    table: TableOption = False,
    everything: AllOption = False,
    columns: ColumnsOption = None,
    output: OutputOption = None,
) -> Printing:
    """Returns what the options mean.

    Raises:
        UsageError: they contradict each other, or the jq program is wrong.
    """
    if table and form not in {None, Format.TABLE}:
        raise UsageError(f"--table and --format {form} are two different things")
    chosen = Format.TABLE if table else form or Format.JSON
    if columns is not None and chosen is not Format.CSV:
        raise UsageError("--columns goes with --format csv")
    if jq is not None and from_file is not None:
        raise UsageError("--jq and --from-file are two programs: give one of them")
    is_program = jq is not None or from_file is not None
    for value, name in ((raw_output, "-r"), (join_output, "-j"), (arg, "--arg"), (argjson, "--argjson")):
        if value and not is_program:
            raise UsageError(f"{name} goes with a jq program: --jq or --from-file")
        if value and name in {"-r", "-j"} and chosen is not Format.JSON:
            raise UsageError(f"{name} prints as jq does; it does not go with --format {chosen}")
    query = None
    if is_program:
        from ibkr_tools.fetch.jq_program import JqProgram, parse_variables, read_program

        args = parse_variables(arg or (), argjson or ())
        query = (
            JqProgram(read_program(from_file), args, origin=f"--from-file {from_file}")
            if from_file
            else JqProgram(jq or "", args)
        )
    file = None if output is None or str(output) == "-" else output
    return Printing(
        chosen,
        query,
        raw=raw_output,
        join=join_output,
        compact=compact_output,
        file=file,
        is_chosen=table or form is not None or compact_output,
        everything=everything,
        columns=columns,
    )


def with_printing(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of `printing` for the parameter of that name, which gets what they mean."""
    options = inspect.signature(printing).parameters
    command_signature = inspect.signature(command)

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        chosen = printing(**{name: arguments.pop(name) for name in options})
        try:
            command(**arguments, printing=chosen)
        except RecursionError:
            if chosen.query is not None:
                raise UsageError(f"{chosen.query.origin}: the result nests too deeply to be printed") from None
            raise DataError("what IBKR has answered nests too deeply to be printed") from None

    others = [parameter for parameter in command_signature.parameters.values() if parameter.name != "printing"]
    # Typer reads a command's options from its signature.
    signature = command_signature.replace(parameters=[*others, *options.values()])
    run.__dict__["__signature__"] = signature
    run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return run


def parse_parameters(texts: Sequence[str]) -> dict[str, str]:
    """Returns what `--param` says, by name.

    Raises:
        UsageError: one is not NAME=VALUE, or there twice.
    """
    parameters: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UsageError(f"--param {text!r}: expected NAME=VALUE")
        if name in parameters:
            raise UsageError(
                f"--param {name} is given twice", hint="Several values of one go with commas between them."
            )
        parameters[name] = value
    return parameters
