"""`ibkr-tools show`: a saved snapshot for people, without any request."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ibkr_tools.cli import outputs
from ibkr_tools.cli.common import setting_of

if TYPE_CHECKING:
    from ibkr_tools.fetch.formats import Rows
    from ibkr_tools.fetch.saved import Snapshot

View = Callable[..., str]


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


def _rows(document: bytes, resource: str | None) -> "Rows":
    from ibkr_tools.fetch.formats import snapshot_rows

    return snapshot_rows(document, resource)


def _table(document: bytes, resource: str) -> str:
    """Returns what is listed in any other resource, in IBKR's words."""
    from ibkr_tools.fetch.tables import as_table

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return as_table(_rows(document, resource), width=width)


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
    jq: outputs.JqOption = None,
    from_file: outputs.FileOption = None,
    arg: outputs.ArgOption = None,
    argjson: outputs.ArgJsonOption = None,
    raw_output: outputs.RawOption = False,
    join_output: outputs.JoinOption = False,
    compact_output: outputs.CompactOption = False,
    form: outputs.FormatOption = None,
    output: outputs.OutputOption = None,
) -> None:
    """Show the last saved snapshot, without any request: tables with totals, and how old they are."""
    from ibkr_tools.cli.views import overview
    from ibkr_tools.errors import UsageError
    from ibkr_tools.fetch import store
    from ibkr_tools.fetch.saved import Snapshot
    from ibkr_tools.status import utc_now

    if at is not None and file is not None:
        raise UsageError("--at and --file both say which snapshot: give one of them")
    printing = outputs.printing(
        form or (outputs.Format.TABLE if jq is None and from_file is None else None),
        table=False,
        jq=jq,
        from_file=from_file,
        arg=arg,
        argjson=argjson,
        raw=raw_output,
        join=join_output,
        compact=compact_output,
        output=output,
    )
    directory = setting_of(context).directories.snapshots
    where = file or (store.dated(directory, at) if at else directory / store.LATEST)
    snapshot = Snapshot(store.read(where) if at or file else store.latest(directory), str(where))
    resource = resource.replace("-", "_") if resource else None
    if resource is not None and resource not in snapshot:
        _missing(resource, snapshot, where)
    for name in account or ():
        if name not in snapshot.covers.accounts:
            raise UsageError(f"account {name}: not in the snapshot, which has {', '.join(snapshot.covers.accounts)}")
    accounts = tuple(dict.fromkeys(account or snapshot.covers.accounts))

    def document() -> bytes:
        return snapshot.narrowed([resource] if resource else (), account or ()).encode()

    if printing.query is not None or printing.form is not outputs.Format.TABLE:
        printing.put(lambda: [document()], lambda: _rows(document(), resource))
        return
    if resource is None:
        text = overview.view(snapshot.narrowed((), account or ()), store.copies(directory) if file is None else [])
    elif view := view_of(resource):
        # What a position weighs is in other parts.
        text = view(snapshot, accounts, everything=everything)
    else:
        text = _table(document(), resource)
    taken = snapshot.part_as_of(resource) if resource else snapshot.as_of
    printing.write([f"{text}\n{overview.age(taken, accounts, utc_now())}\n".encode()])
