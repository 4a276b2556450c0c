"""`ibkr-tools flex …`: statements of IBKR's reporting."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.streams import write_out
from ibkr_tools.entrypoint import print_stderr

if TYPE_CHECKING:
    from ibkr_tools.flex.statement_checks import StatementChecks
    from ibkr_tools.flex.statement_file import StatementFile

app = typer.Typer(no_args_is_help=True, help="Check, keep and list Flex statements.")

FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        help="XML, packed with gzip or not; of a folder every .xml and .xml.gz.", metavar="FILE...", show_default=False
    ),
]


@app.command()
def check(context: typer.Context, files: FilesArgument) -> None:
    """Say what is in statements, what does not add up, and what their query lacks; nothing is kept."""
    from ibkr_tools.cli.statement_files import OpenFiles
    from ibkr_tools.errors import DataError

    with OpenFiles(files) as opened:
        app_context_of(context).drop_root()
        contradicting = []
        for name, file in opened.read_all():
            write_out("\n  ".join([name, *_describe(file, with_query=True)]) + "\n")
            if _warn(name, file):
                contradicting.append(name)
        opened.require_all_read()
    if contradicting:
        verb = "contradicts itself" if len(contradicting) == 1 else "contradict themselves"
        raise DataError(f"{', '.join(contradicting)} {verb}")


@app.command(name="import")
def import_(
    context: typer.Context,
    files: FilesArgument,
    account: Annotated[
        list[str] | None,
        typer.Option("--account", help="Take statements of this account too; may be repeated.", metavar="ID"),
    ] = None,
) -> None:
    """Keep statements that were downloaded by hand, for ever, and renew the history; the same one is kept once."""
    from ibkr_tools import account_ids
    from ibkr_tools.cli.statement_files import OpenFiles
    from ibkr_tools.flex.statement_archive import StatementArchive

    app_context = app_context_of(context)
    config = app_context.load()
    expected = {config.account, *config.fetch.accounts}
    expected.update(account_ids.require_number(number, "--account") for number in account or ())
    archive = StatementArchive(app_context.directories.statements)
    kept = 0
    with OpenFiles(files) as opened:
        app_context.drop_root()
        for name, file in opened.read_all(lambda file: file.require_accounts(expected)):
            archived = archive.keep(file.xml, file.statements)
            state = "is there already" if archived is None else f"kept as {archived.path.name}"
            kept += archived is not None
            write_out("\n  ".join([f"{name}: {state}", *_describe(file)]) + "\n")
            _warn(name, file)
        if kept:
            from ibkr_tools.history.rebuild import rebuild

            rebuild(archive, app_context.directories.snapshots, app_context.directories.history)
        opened.require_all_read()


@app.command(name="list")
def list_(context: typer.Context) -> None:
    """List the statements that are kept: their days, when IBKR made them, and their files."""
    from ibkr_tools.flex.statement_archive import StatementArchive

    app_context = app_context_of(context)
    app_context.drop_root()
    archive = StatementArchive(app_context.directories.statements)
    archived = archive.list_files()
    if not archived:
        write_out(f"no statement is kept in {app_context.directories.statements} yet\n")
        return
    lines = ["from        to          made by IBKR      file"]
    lines += [
        f"{file.from_day}  {file.to_day}  {file.generated_at:%Y-%m-%d %H:%M}  {file.path.name}" for file in archived
    ]
    write_out("\n".join(lines) + "\n")


def _describe(file: "StatementFile", *, with_query: bool = False) -> list[str]:
    """Returns what is in a file, in lines."""
    lines = []
    for statement_check in file.checks:
        lines.append(_describe_statement(statement_check))
        if with_query:
            lines += [f"  {line}" for line in _describe_query(statement_check)]
    return lines


def _describe_statement(statement_check: "StatementChecks") -> str:
    head = statement_check.statement
    days = f"{head.from_day} to {head.to_day}" if head.from_day != head.to_day else f"{head.from_day}"
    rows = f"{statement_check.rows:,} row{'' if statement_check.rows == 1 else 's'}"
    return f"{head.account}, {days}: {rows} in {len(statement_check.sections)} sections, made {head.generated_at}"


def _describe_query(statement_check: "StatementChecks") -> Sequence[str]:
    from ibkr_tools.flex import query_sections

    lines = query_sections.missing_from_query(statement_check.attributes)
    if absent := query_sections.not_shown(statement_check.sections):
        lines.append(f"not ticked, or nothing happened: {', '.join(absent)}")
    return lines


def _warn(name: str, file: "StatementFile") -> bool:
    """Says on standard error what does not add up, and whether something did not."""
    warnings = list(file.warnings())
    for warning in warnings:
        print_stderr(f"warning: {name}: {warning}", 30)
    return bool(warnings)
