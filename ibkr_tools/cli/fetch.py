"""`ibkr-tools fetch`: one snapshot to standard output, through jq, to a file, to the state directory."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ibkr_tools.cli.common import setting_of, write_out


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
        typer.Argument(help="accounts, summary, ledger, allocation, positions; none: those of the configuration."),
    ] = None,
    account: Annotated[
        list[str] | None, typer.Option("--account", help="Only this account; may be repeated.", metavar="ID")
    ] = None,
    jq: Annotated[str | None, typer.Option(help="Filter the snapshot with a jq program.", metavar="PROGRAM")] = None,
    raw_output: Annotated[bool, typer.Option("-r", "--raw-output", help="Print texts without quotes.")] = False,
    compact_output: Annotated[bool, typer.Option("-c", "--compact-output", help="One line per result.")] = False,
    table: Annotated[bool, typer.Option("--table", help="Print the positions as a table for people.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to a file, in one step.", metavar="FILE")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Store the snapshot as latest.json.")] = False,
    wait: Annotated[
        float, typer.Option(help="Wait so long for the session, if it is not up.", metavar="SECONDS", min=0)
    ] = 0,
) -> None:
    """Fetch one snapshot of the account: complete, or an error and nothing."""
    from ibkr_tools.errors import UsageError
    from ibkr_tools.fetch import output as outputs
    from ibkr_tools.fetch.query import Query, as_jq_prints
    from ibkr_tools.fetch.resources import require_resources

    wanted = require_resources(resources or ())
    query = Query(jq) if jq is not None else None
    if table and query is not None:
        raise UsageError("--table shows positions as they are; it does not go with --jq")

    setting = setting_of(context)
    config = setting.load()
    # What is saved is the whole snapshot of the configuration, however it is shown.
    chosen = wanted or (("positions",) if table and not save else config.fetch.resources)
    if table and "positions" not in chosen:
        raise UsageError(f"--table shows positions, and only {', '.join(chosen)} would be fetched")
    from ibkr_tools.fetch.run import Fetch, wait_for_session

    if wait:
        wait_for_session(setting.status_file, wait)
    progress = _progress()
    with setting.client(config) as client:
        try:
            snapshot, document = Fetch(config, client, setting.status_file, progress=progress).run(
                chosen,
                account or (),
                save_in=setting.directories.snapshots if save else None,
            )
        finally:
            progress("")
    if table:
        text = outputs.positions_table(snapshot["positions"]) + "\n"
    else:
        results = query.run(document) if query else [document.decode()]
        lines = (as_jq_prints(line, raw=raw_output, compact=compact_output) for line in results)
        text = "".join(f"{line}\n" for line in lines)
    if output is not None:
        outputs.write_file(output, text)
    elif save and query is None and not table:
        print(f"saved {setting.directories.snapshots / outputs.LATEST}", file=sys.stderr)
    else:
        write_out(text)
