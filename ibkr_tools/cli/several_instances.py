"""One result of several IBKR users on this machine: the same command for each, in a process of its own.

Each instance belongs to another user. Root has to become that user before it opens anything there, and cannot come back
from it. Nothing is added up over instances: their currencies and days differ.
"""

import csv
import io
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ibkr_tools.cli.app_context import SeveralInstances
from ibkr_tools.cli.printing import Format, Printing
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.errors import OutputError, UsageError
from ibkr_tools.number_format import display_width

COLUMN = "instance"
"""The first column of rows of several."""


class InstanceResult(msgspec.Struct, frozen=True):
    """What a command came to for one instance: what it has printed, what it has said besides, and its exit code."""

    name: str
    output: bytes
    messages: str
    exit_code: int


def ask_instance(name: str, words: Sequence[str], *, timeout_s: float | None = None) -> InstanceResult:
    """Runs a command of `ibkr-tools` for an instance.

    Args:
        name: of the instance, or `PLAIN`.
        words: the command and its options.
        timeout_s: how long it may take, in seconds; None: as long as it wants.

    Raises:
        OSError, subprocess.SubprocessError: it cannot be started, or took too long.
    """
    told = subprocess.run(
        [sys.executable, "-I", "-m", "ibkr_tools", "--instance", name, *words],
        capture_output=True,
        check=False,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
    )
    return InstanceResult(name, told.stdout, told.stderr.decode(errors="replace"), told.returncode)


def put_over_several(
    several: SeveralInstances, command: Sequence[str], operands: Sequence[str], printing: Printing
) -> int:
    """Prints one result of several instances, and returns the highest exit code of theirs.

    Args:
        several: which.
        command: the command with its own options.
        operands: what stands after its options.
        printing: how the result is to be printed.

    Raises:
        OutputError: it cannot be written, or no process can be started.
        UsageError: the jq program does not fit, or there is no list to be printed.
    """
    if not printing.shows_table:
        printing.require_table()
    prefix = max(display_width(name) for name in (*several.names, COLUMN)) + len(_GAP)
    words = [*command, *_format_words(printing, prefix), "--", *operands]
    results = []
    for name in several.names:
        try:
            results.append(ask_instance(name, words))
        except OSError as error:
            raise OutputError(f"{sys.executable}: {error.strerror}") from error
    _become_nobody()
    for result in results:
        for line in result.messages.splitlines():
            print_stderr(f"{result.name}: {line}", 40 if result.exit_code else 20)
    _put(results, printing)
    return max(result.exit_code for result in results)


def _become_nobody() -> None:
    """Has root become nobody: what follows reads what users of several instances have written."""
    if os.geteuid() != 0:
        return
    import pwd

    from ibkr_tools.privileges import switch_user

    switch_user(pwd.getpwnam("nobody"))


def _format_words(printing: Printing, prefix: int) -> list[str]:
    """Returns the options with which an instance prints what is put together here; `prefix`: columns of its name."""
    if printing.shows_table:
        width = printing.width
        narrow = [] if width is None else [f"--table-width={max(width - prefix, 1)}"]
        return ["--table", *(["--all"] if printing.everything else []), *narrow]
    if printing.query is not None or printing.form is Format.JSON:
        return ["--format=json"]
    return [f"--format={printing.form}", *([] if printing.columns is None else [f"--columns={printing.columns}"])]


def _put(results: Sequence[InstanceResult], printing: Printing) -> None:
    if printing.shows_table:
        texts = [(result.name, result.output.decode(errors="replace")) for result in results if result.output]
        if texts:
            printing.put_table(lambda _: named_lines(texts))
    elif printing.query is not None or printing.form is Format.JSON:
        from ibkr_tools.fetch.formats import Rows

        def rows() -> Rows:
            raise UsageError("several instances are no list", hint="--jq can make one.")

        printing.put(lambda: [named_documents(results)], rows)
    elif printing.form is Format.CSV:
        printing.put_bytes(lambda: named_csv((result.name, result.output) for result in results))
    else:
        printing.put_bytes(lambda: named_ndjson((result.name, result.output) for result in results))


_GAP = "  "


def named_lines(texts: Sequence[tuple[str, str]]) -> str:
    """Returns tables as one text in which each line begins with the name of its instance, under a title.

    A line before a rule is a title, unless the rule is the one above the sums.
    """
    size = max(display_width(name) for name in (*(name for name, _ in texts), COLUMN))
    parts = []
    for name, text in texts:
        lines = text.rstrip("\n").split("\n")
        has_title, labelled = False, []
        for number, line in enumerate(lines):
            if not line:
                has_title = False
                labelled.append("")
                continue
            label = name
            if _is_rule(line):
                label, has_title = "─" * size, True
            elif not has_title and number + 1 < len(lines) and _is_rule(lines[number + 1]):
                label = COLUMN.capitalize()
            labelled.append(f"{label}{' ' * (size - display_width(label))}{_GAP}{line}")
        parts.append("\n".join(labelled))
    return "\n\n".join(parts)


def _is_rule(line: str) -> bool:
    return "─" in line and not line.strip("─ ")


def named_documents(results: Sequence[InstanceResult]) -> bytes:
    """Returns one JSON object: the result of each instance by its name; null where there is none.

    The numbers have the digits that they came with.
    """
    members = []
    for result in results:
        document = result.output.strip()
        try:
            msgspec.json.decode(document)
        except (msgspec.DecodeError, RecursionError):
            document = b"null"
        members.append(msgspec.json.encode(result.name) + b":" + document)
    return b"{" + b",".join(members) + b"}"


def named_ndjson(outputs: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yields rows, a line each, with the name of their instance as the first member."""
    for name, output in outputs:
        label = msgspec.json.encode(COLUMN) + b":" + msgspec.json.encode(name)
        for line in output.splitlines():
            rest = line[1:] if line.startswith(b"{") else b'"value":' + line + b"}"
            yield b"{" + label + (b"" if rest == b"}" else b",") + rest + b"\n"


def named_csv(outputs: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yields CSV with the instance in the first column; one header, of all columns in the order they came."""
    tables = []
    columns: dict[str, None] = {}
    for name, output in outputs:
        rows = csv.reader(io.StringIO(output.decode(errors="replace"), newline=""))
        header = next(rows, [])
        columns.update(dict.fromkeys(header))
        tables.append((name, header, rows))
    if not columns:
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([COLUMN, *columns])
    for name, header, rows in tables:
        for row in rows:
            cells = dict(zip(header, row, strict=False))
            writer.writerow([name, *(cells.get(column, "") for column in columns)])
    yield text.getvalue().encode()
