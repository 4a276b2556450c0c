"""`ibkr-tools show`: a saved snapshot for people, without any request."""

import shutil
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ibkr_tools.cli.common import setting_of, write_out

if TYPE_CHECKING:
    from ibkr_tools.fetch.saved import Snapshot

View = Callable[..., str]


class Format(StrEnum):
    """How a part is printed."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


def view_of(resource: str) -> View | None:
    """Returns what makes the table of a resource that has one of its own; no other module of them is loaded."""
    match resource:
        case "positions":
            from ibkr_tools.cli.views import positions

            return positions.view
        case "summary":
            from ibkr_tools.cli.views import summary

            return summary.view
        case "ledger":
            from ibkr_tools.cli.views import ledger

            return ledger.view
        case "allocation":
            from ibkr_tools.cli.views import allocation

            return allocation.view
        case "performance":
            from ibkr_tools.cli.views import performance

            return performance.view
        case "periods":
            from ibkr_tools.cli.views import performance

            return performance.periods
        case _:
            return None


def _table(snapshot: "Snapshot", resource: str, accounts: Sequence[str]) -> str:
    """Returns what is listed in any other resource, in IBKR's words."""
    from ibkr_tools.fetch import formats, tables

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    rows = formats.snapshot_rows(snapshot.narrowed([resource], accounts).encode(), resource)
    return tables.as_table(rows, width=width)


def _write_data(snapshot: "Snapshot", resource: str | None, form: Format) -> None:
    from ibkr_tools.fetch import formats

    rows = formats.snapshot_rows(snapshot.encode(), resource)
    for chunk in formats.as_csv(rows) if form is Format.CSV else formats.as_ndjson(rows):
        write_out(chunk.decode())


def _missing(resource: str, snapshot: "Snapshot", where: Path) -> NoReturn:
    from ibkr_tools.errors import ConfigError
    from ibkr_tools.fetch.calls import require_resources

    # A name that does not exist at all is told with a suggestion.
    require_resources([resource])
    raise ConfigError(
        f"{where}: has no {resource}, only {', '.join(snapshot) or 'nothing'}",
        hint=f'Add "{resource}" to fetch.resources in the configuration; the next saved snapshot has it.',
    )


def show(
    context: typer.Context,
    resource: Annotated[
        str | None,
        typer.Argument(
            help="positions, summary, ledger, allocation, performance, periods or any other part; none: what is there.",
            show_default=False,
        ),
    ] = None,
    account: Annotated[
        list[str] | None, typer.Option("--account", help="Only this account; may be repeated.", metavar="ID")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="The last copy of a day (2026-11-22), or up to a time (2026-11-22T12:00); UTC.", metavar="DATE"
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="This file, packed or not.", metavar="FILE")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All rows and columns of a table.")] = False,
    form: Annotated[Format, typer.Option("-f", "--format", help="A table for people, or the data.")] = Format.TABLE,
    jq: Annotated[str | None, typer.Option(help="Filter the snapshot with a jq program.", metavar="PROGRAM")] = None,
    raw_output: Annotated[bool, typer.Option("-r", "--raw-output", help="Print texts without quotes.")] = False,
    compact_output: Annotated[bool, typer.Option("-c", "--compact-output", help="One line per result.")] = False,
) -> None:
    """Show the last saved snapshot, without any request: tables with totals, and how old they are."""
    from ibkr_tools.cli.views import overview
    from ibkr_tools.errors import UsageError
    from ibkr_tools.fetch import store
    from ibkr_tools.fetch.saved import Snapshot
    from ibkr_tools.status import utc_now

    if at is not None and file is not None:
        raise UsageError("--at and --file both say which snapshot: give one of them")
    if jq is not None and form not in {Format.TABLE, Format.JSON}:
        raise UsageError(f"--jq prints JSON; it does not go with --format {form}")
    directory = setting_of(context).directories.snapshots
    where = file or (store.dated(directory, at) if at else directory / store.LATEST)
    snapshot = Snapshot(store.read(where) if at or file else store.latest(directory), str(where))
    resource = resource.replace("-", "_") if resource else None
    if resource is not None and resource not in snapshot:
        _missing(resource, snapshot, where)
    for name in account or ():
        if name not in snapshot.covers.accounts:
            raise UsageError(f"account {name}: not in the snapshot, which has {', '.join(snapshot.covers.accounts)}")
    if jq is not None or form is Format.JSON:
        from ibkr_tools.fetch.query import Query, as_jq_prints

        document = snapshot.narrowed([resource] if resource else (), account or ()).encode()
        results = Query(jq).run(document) if jq is not None else [document.decode()]
        lines = (as_jq_prints(line, raw=raw_output, compact=compact_output) for line in results)
        write_out("".join(f"{line}\n" for line in lines))
    elif form is not Format.TABLE:
        _write_data(snapshot.narrowed([resource] if resource else (), account or ()), resource, form)
    else:
        accounts = tuple(dict.fromkeys(account or snapshot.covers.accounts))
        if resource is None:
            copies = store.copies(directory) if file is None else []
            text = overview.view(snapshot.narrowed((), account or ()), copies)
        elif view := view_of(resource):
            text = view(snapshot, accounts, everything=everything)
        else:
            text = _table(snapshot, resource, accounts)
        taken = snapshot.part_as_of(resource) if resource else snapshot.as_of
        write_out(f"{text}\n{overview.age(taken, accounts, utc_now())}\n")
