"""`ibkr-tools flex …`: statements of IBKR's reporting."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli import completers
from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.flex_fetch_command import fetch
from ibkr_tools.cli.help_command import HelpCommand, HelpGroup
from ibkr_tools.cli.statement_report import describe, tell_unknown, warn
from ibkr_tools.cli.streams import write_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ibkr_tools.flex.statement_file import StatementFile

app = typer.Typer(cls=HelpGroup, no_args_is_help=True, help="Fetch, check, keep and list Flex statements.")

FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        help="XML, packed with gzip or not; of a folder every .xml and .xml.gz.",
        metavar="FILE...",
        autocompletion=completers.files,
        show_default=False,
    ),
]


app.command(cls=HelpCommand)(fetch)


@app.command(cls=HelpCommand)
def check(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="XML, packed or not, or a folder; without any, one statement is asked for, and not kept.",
            metavar="[FILE]...",
            autocompletion=completers.files,
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask in spite of a token or query that IBKR has refused.")
    ] = False,
) -> None:
    """Say what is in statements, what does not add up, and what their query lacks; nothing is kept."""
    from ibkr_tools.cli.flex_fetch_command import check_service
    from ibkr_tools.cli.statement_files import OpenFiles
    from ibkr_tools.errors import DataError, UsageError

    if not files:
        check_service(context, again=again)
        return
    if again:
        raise UsageError("--again is about asking IBKR: not with a FILE")
    with OpenFiles(files) as opened:
        app_context_of(context).drop_root()
        contradicting = []
        for name, file in opened.read_all(_require_past):
            write_report("\n  ".join([name, *describe(file, with_query=True)]) + "\n")
            if warn(name, file):
                contradicting.append(name)
        opened.require_all_read()
    if contradicting:
        verb = "contradicts itself" if len(contradicting) == 1 else "contradict themselves"
        raise DataError(f"{', '.join(contradicting)} {verb}")


@app.command(cls=HelpCommand, name="import")
def import_(
    context: typer.Context,
    files: FilesArgument,
    account: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            help="Take statements of this account too; may be repeated.",
            metavar="ID",
            autocompletion=completers.accounts,
        ),
    ] = None,
) -> None:
    """Keep statements that were downloaded by hand, for ever, and renew the history; the same one is kept once."""
    from ibkr_tools import account_ids
    from ibkr_tools.cli.statement_files import OpenFiles
    from ibkr_tools.flex.statement_archive import StatementArchive

    app_context = app_context_of(context)
    app_context.require_rights(app_context.directories.statements)
    config = app_context.load()
    expected = {config.account, *config.fetch.accounts}
    expected.update(account_ids.require_number(number, "--account") for number in account or ())
    archive = StatementArchive(app_context.directories.statements)
    kept = 0
    with OpenFiles(files) as opened:
        app_context.drop_root()

        def require(file: "StatementFile") -> None:
            _require_past(file)
            file.require_accounts(expected)

        for name, file in opened.read_all(require):
            archived = archive.keep(file.xml, file.statements)
            state = "is there already" if archived is None else f"kept as {archived.path.name}"
            kept += archived is not None
            write_report("\n  ".join([f"{name}: {state}", *describe(file)]) + "\n")
            warn(name, file)
            if archived is not None:
                tell_unknown(name, file)
        if kept:
            from ibkr_tools.cli.history_options import rebuild_history

            rebuild_history(app_context)
        opened.require_all_read()


@app.command(cls=HelpCommand, name="list")
def list_(context: typer.Context) -> None:
    """List the statements that are kept: whose they are, their days, when IBKR made them, and their files."""
    from ibkr_tools.flex.statement_archive import StatementArchive

    app_context = app_context_of(context)
    app_context.require_rights(app_context.directories.statements)
    app_context.drop_root()
    archive = StatementArchive(app_context.directories.statements)
    archived = archive.list_files()
    if not archived:
        write_report(
            f"no statement is kept in {app_context.directories.statements} yet; "
            "`ibkr-tools flex fetch --all` or `ibkr-tools flex import FILE` keeps some\n"
        )
        return
    from ibkr_tools.views.text_table import Column, format_table

    columns = [
        Column("Account", is_text=True),
        Column("First day, last day, when IBKR made it: the file", is_text=True),
    ]
    rows = [(_accounts_in(archive.accounts_of(file)), file.path.name) for file in archived]
    write_report(f"{format_table(columns, rows)}\nin {app_context.directories.statements}\n")


def _accounts_in(accounts: "Sequence[str]") -> str:
    """Returns the account of a file, or the first of several."""
    return f"{accounts[0]} +{len(accounts) - 1}" if len(accounts) > 1 else "".join(accounts)


def _require_past(file: "StatementFile") -> None:
    file.require_past(datetime.now(UTC).replace(tzinfo=None))
