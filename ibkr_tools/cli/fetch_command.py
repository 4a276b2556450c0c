"""`ibkr-tools fetch`: one snapshot to standard output, through jq, as a list, to a file, to the state directory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli import completers, output_options
from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.printing import Format, Printing
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.errors import UsageError
from ibkr_tools.fetch.retry_limits import DEFAULT_RETRY_S

if TYPE_CHECKING:
    from ibkr_tools.fetch.formats import Rows
    from ibkr_tools.fetch.snapshot_document import SnapshotDocument, SnapshotMetadata

POSITIONS = "positions"


def fetch(
    context: typer.Context,
    resources: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to take: see `ibkr-tools resources`; none: what the configuration says.",
            metavar="[NAME]...",
            autocompletion=completers.resources,
        ),
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            help="Only this account, by number or alias; may be repeated.",
            metavar="ID",
            autocompletion=completers.accounts,
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param",
            help="A resource's parameter; may be repeated.",
            metavar="NAME=VALUE",
            autocompletion=completers.parameters,
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Take positions past IBKR's cache, in fewer words.")] = False,
    save: Annotated[bool, typer.Option("--save", help="Store the snapshot as latest.json.")] = False,
    wait: Annotated[
        float, typer.Option(help="Wait so long for the session, if it is not up or lost.", metavar="SECONDS", min=0)
    ] = 0,
    retry_for: output_options.RetryOption = DEFAULT_RETRY_S,
    partial: Annotated[
        bool | None,
        typer.Option("--partial/--no-partial", help="Go without an account that alone answers nothing."),
    ] = None,
) -> None:
    """Fetch one snapshot of the account: complete, or an error and nothing."""
    from ibkr_tools.account_ids import require_name
    from ibkr_tools.fetch.plan import require_resources

    printing = output_options.printing_of(context)
    printing.require_table()
    accounts = [require_name(name, "--account") for name in account or ()]
    names = [endpoint.name for endpoint in require_resources(resources or ())]
    parameters = output_options.parse_parameters(param or [])
    app_context = app_context_of(context)
    if save:
        app_context.require_rights(app_context.directories.snapshots)
    config = app_context.load()
    chosen, shown = _choose_resources(printing, names, config.fetch.resources, save=save)
    from ibkr_tools.cli.progress import progress
    from ibkr_tools.fetch.fetch_task import FetchTask

    clients = app_context.clients(config)
    with progress() as line:
        fetching = FetchTask(
            config,
            lambda: clients.create(line.wait),
            app_context.status_file,
            hint=app_context.directories.session_hint,
            progress=line,
            on_count=line.count,
        )
        document = fetching.run(
            () if chosen is config.fetch.resources else chosen,
            accounts,
            parameters=parameters,
            fresh=fresh,
            wait_s=wait,
            retry_s=retry_for,
            partial=partial,
            save_in=app_context.directories.snapshots if save else None,
        )
    _warn(document.covers)
    if save and printing.is_plain:
        from ibkr_tools.fetch.snapshot_store import LATEST_FILE

        print_stderr(f"saved {app_context.directories.snapshots / LATEST_FILE}", 20)
        return
    _print(printing, document, shown)


def _choose_resources(
    printing: Printing, names: Sequence[str], configured: tuple[str, ...], *, save: bool
) -> tuple[tuple[str, ...], str]:
    """Returns what to fetch (`configured` itself without a name), and of which of it a list or table is.

    A list or a table is of one resource; asked for without a name, of the positions. What these weigh is in the other
    resources, without which a list does.

    Raises:
        UsageError: several are named, or there are no positions in what is saved as it is.
    """
    chosen = tuple(names) or configured
    if names or not printing.is_list:
        if printing.is_list and len(chosen) > 1:
            raise UsageError(
                f"--format {printing.form} prints one resource, and {', '.join(chosen)} are named",
                hint="Name one of them, or choose with --jq.",
            )
        return chosen, chosen[0]
    if printing.form is not Format.TABLE and not save:
        return (POSITIONS,), POSITIONS
    if POSITIONS in chosen:
        return chosen, POSITIONS
    if save:
        raise UsageError(
            f"what is printed is of positions, and only {', '.join(chosen)} would be fetched",
            hint="Name one resource.",
        )
    return (*chosen, POSITIONS), POSITIONS


def _print(printing: Printing, document: "SnapshotDocument", shown: str) -> None:
    """Prints the snapshot; a list or a table is of the resource `shown`."""

    def rows() -> "Rows":
        from ibkr_tools.fetch.formats import snapshot_rows

        return snapshot_rows(document.encode(), shown)

    def table(width: int | None) -> str:
        from ibkr_tools.fetch.snapshot import Snapshot
        from ibkr_tools.views import format_resource

        return format_resource(Snapshot(document.encode()), shown, everything=printing.everything, width=width)

    printing.put(document.chunks, rows, table)


def _warn(covers: "SnapshotMetadata") -> None:
    """Says on standard error what the snapshot has not got, or not as one would expect."""
    for warning in covers.unexpected:
        print_stderr(f"warning: {warning}; kept as it came", 30)
    for name, why in covers.missing_accounts.items():
        print_stderr(f"warning: without account {name}, which answers nothing but errors: {why}", 30)
    for name, why in covers.missing.items():
        print_stderr(f"warning: without {name}: {why}", 30)
    if count := covers.subaccounts_not_asked:
        noun = "sub-account was" if count == 1 else "sub-accounts were"
        print_stderr(
            f"note: {count} {noun} not asked: name those to fetch in fetch.accounts or with --account; "
            "`ibkr-tools fetch subaccounts2` lists them",
            20,
        )
