"""`ibkr-tools fetch`: one snapshot to standard output, through jq, to a file, to the state directory."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli.common import setting_of, write_out

if TYPE_CHECKING:
    from ibkr_tools.fetch.document import Document
    from ibkr_tools.fetch.query import Query


def _progress() -> Callable[[str], None]:
    """Returns what shows progress: one line that is written over on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda _: None

    def show(text: str) -> None:
        sys.stderr.write(f"\r\033[K{text} " if text else "\r\033[K")
        sys.stderr.flush()

    return show


def fetch(
    context: typer.Context,
    resources: Annotated[
        list[str] | None,
        typer.Argument(help="What to take: see `ibkr-tools resources`; none: what the configuration says."),
    ] = None,
    account: Annotated[
        list[str] | None, typer.Option("--account", help="Only this account; may be repeated.", metavar="ID")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", help="A resource's parameter; may be repeated.", metavar="NAME=VALUE")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Take positions past IBKR's cache, in fewer words.")] = False,
    jq: Annotated[str | None, typer.Option(help="Filter the snapshot with a jq program.", metavar="PROGRAM")] = None,
    raw_output: Annotated[bool, typer.Option("-r", "--raw-output", help="Print texts without quotes.")] = False,
    compact_output: Annotated[bool, typer.Option("-c", "--compact-output", help="One line per result.")] = False,
    table: Annotated[bool, typer.Option("--table", help="Print the positions as a table for people.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to a file, in one step.", metavar="FILE")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Store the snapshot as latest.json.")] = False,
    wait: Annotated[
        float, typer.Option(help="Wait so long for the session, if it is not up or lost.", metavar="SECONDS", min=0)
    ] = 0,
) -> None:
    """Fetch one snapshot of the account: complete, or an error and nothing."""
    from ibkr_tools.errors import UsageError
    from ibkr_tools.fetch.calls import require_resources
    from ibkr_tools.fetch.query import Query

    wanted = [one.name for one in require_resources(resources or ())]
    parameters = _parameters(param or [])
    query = Query(jq) if jq is not None else None
    if table and query is not None:
        raise UsageError("--table shows positions as they are; it does not go with --jq")

    setting = setting_of(context)
    config = setting.load()
    # What is saved is the whole snapshot of the configuration, however it is shown.
    chosen = wanted or (("positions",) if table and not save else config.fetch.resources)
    if table and "positions" not in chosen:
        raise UsageError(f"--table shows positions, and only {', '.join(chosen)} would be fetched")
    progress = _progress()
    from ibkr_tools.fetch.run import Fetch
    from ibkr_tools.fetch.store import LATEST

    try:
        document = Fetch(config, lambda: setting.client(config), setting.status_file, progress=progress).run(
            chosen,
            account or (),
            parameters=parameters,
            fresh=fresh,
            wait_s=wait,
            save_in=setting.directories.snapshots if save else None,
        )
    finally:
        progress("")
    saved = setting.directories.snapshots / LATEST if save else None
    for line in document.covers.unexpected:
        print(f"warning: {line}; kept as it came", file=sys.stderr)
    _show(document, query, raw=raw_output, compact=compact_output, table=table, file=output, saved=saved)


def _parameters(given: Sequence[str]) -> dict[str, str]:
    """Returns what `--param` says, by name."""
    from ibkr_tools.errors import UsageError

    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals):
            raise UsageError(f"--param {one!r}: expected NAME=VALUE")
        if name in found:
            raise UsageError(
                f"--param {name} is given twice", hint="Several values of one go with commas between them."
            )
        found[name] = value
    return found


def _show(
    document: "Document",
    query: "Query | None",
    *,
    raw: bool,
    compact: bool,
    table: bool,
    file: Path | None,
    saved: Path | None,
) -> None:
    """Prints the snapshot, or writes it to a file."""
    from ibkr_tools.fetch import output as outputs
    from ibkr_tools.fetch.query import as_jq_prints

    if table:
        text = outputs.positions_table(document.decode()["positions"]) + "\n"
    else:
        encoded = document.encode()
        results = query.run(encoded) if query else [encoded.decode()]
        lines = (as_jq_prints(line, raw=raw, compact=compact) for line in results)
        text = "".join(f"{line}\n" for line in lines)
    if file is not None:
        outputs.write_file(file, text)
    elif saved and query is None and not table:
        print(f"saved {saved}", file=sys.stderr)
    else:
        write_out(text)
