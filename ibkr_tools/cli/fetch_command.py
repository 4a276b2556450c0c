"""`ibkr-tools fetch`: one snapshot to standard output, through jq, as a list, to a file, to the state directory."""

from collections.abc import Iterator, Sequence
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
    from ibkr_tools.fetch_answer import AnswerLine

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
    unattended: Annotated[
        bool,
        typer.Option(
            "--unattended", help="With --save: answer the members who have asked, as ibkr-snapshot.service does."
        ),
    ] = False,
    most: Annotated[
        int | None, typer.Option(hidden=True, help="So many rows of the table of positions at the most.", min=1)
    ] = None,
) -> None:
    """Fetch one snapshot of the account: complete, or an error and nothing."""
    from ibkr_tools.account_ids import require_name
    from ibkr_tools.cli import asked_fetch, member_fetch, member_rights
    from ibkr_tools.fetch.plan import require_resources

    printing = output_options.printing_of(context)
    printing.require_table()
    accounts = [require_name(name, "--account") for name in account or ()]
    names = [endpoint.name for endpoint in require_resources(resources or ())]
    parameters = output_options.parse_parameters(param or [])
    app_context = app_context_of(context)
    if unattended and not save:
        raise UsageError("--unattended is for --save", hint="ibkr-tools fetch --save --unattended")
    if save:
        is_as_configured = not (names or accounts or parameters or fresh or wait or partial is not None)
        is_as_unit = is_as_configured and retry_for == DEFAULT_RETRY_S and printing.is_plain and not unattended
        if is_as_unit and member_rights.may_ask_watchdog(app_context):
            member_fetch.ask_watchdog(app_context)
            return
        app_context.require_rights(app_context.directories.snapshots)
    with asked_fetch.answering(app_context.directories, is_asked=unattended) as told:
        config = app_context.load()
        chosen, shown = _choose_resources(printing, names, config.fetch.resources, save=save)
        # This loads requests, and not the end of a chain of imports: at some depths of its stack CPython maps and
        # unmaps memory with every call, 8 ms of a fetch. Source: https://github.com/python/cpython/issues/142183
        clients = app_context.clients(config)
        from ibkr_tools.cli.progress import progress
        from ibkr_tools.fetch.fetch_task import FetchTask

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
        told.extend(_remarks(document.covers))
        is_told_only = save and printing.is_plain
        if is_told_only:
            from ibkr_tools.fetch.snapshot_store import LATEST_FILE

            told.append((20, f"saved {app_context.directories.snapshots / LATEST_FILE}"))
    for level, text in told:
        print_stderr(text, level)
    if not is_told_only:
        _print(printing, document, shown, most, app_context.instance)


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


def _print(
    printing: Printing, document: "SnapshotDocument", shown: str, most: int | None, instance: str | None
) -> None:
    """Prints the snapshot; a list or a table is of the resource `shown`, and of `most` positions."""

    def rows() -> "Rows":
        from ibkr_tools.fetch.formats import snapshot_rows

        return snapshot_rows(document.encode(), shown)

    def table(width: int | None) -> str:
        from ibkr_tools.fetch.snapshot import Snapshot
        from ibkr_tools.instance import in_names_of
        from ibkr_tools.views import format_resource

        snapshot = Snapshot(document.encode())
        text = format_resource(snapshot, shown, everything=printing.everything, width=width, most=most)
        return text if most is None else in_names_of(text, instance)

    printing.put(document.chunks, rows, table)


def _remarks(covers: "SnapshotMetadata") -> "Iterator[AnswerLine]":
    """Yields, for standard error, what the snapshot has not got, or not as one would expect."""
    for warning in covers.unexpected:
        yield 30, f"warning: {warning}; kept as it came"
    for name, why in covers.missing_accounts.items():
        yield 30, f"warning: without account {name}, which answers nothing but errors: {why}"
    for name, why in covers.missing.items():
        yield 30, f"warning: without {name}: {why}"
    if count := covers.subaccounts_not_asked:
        noun = "sub-account was" if count == 1 else "sub-accounts were"
        note = f"{count} {noun} not asked: name those to fetch in fetch.accounts or with --account; "
        yield 20, f"note: {note}`ibkr-tools fetch subaccounts2` lists them"
