"""`ibkr-tools api`: one listed read by its raw path."""

from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli import completers, output_options
from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.fetch.retry_limits import DEFAULT_RETRY_S

if TYPE_CHECKING:
    from ibkr_tools.fetch.formats import Rows


def api(
    context: typer.Context,
    path: Annotated[
        str,
        typer.Argument(
            help="Such as /portfolio/accounts; /v1/api before it and a query string after it may be.",
            metavar="PATH",
            autocompletion=completers.paths,
        ),
    ],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", help="A parameter of the query or the body; may be repeated.", metavar="NAME=VALUE"),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "-X",
            "--method",
            help="Only if it is listed with this method.",
            metavar="METHOD",
            autocompletion=completers.choices("GET", "POST"),
        ),
    ] = None,
    paginate: Annotated[bool, typer.Option("--paginate", help="Take all pages, as one list.")] = False,
    retry_for: output_options.RetryOption = DEFAULT_RETRY_S,
) -> None:
    """Ask IBKR for one listed read by its path, and print the answer as it came."""
    from ibkr_tools.account_ids import require_numbers
    from ibkr_tools.fetch.api_paths import match_path

    printing = output_options.printing_of(context)
    printing.require_table()
    call = match_path(path, method)
    parameters = output_options.parse_parameters(param or [])
    require_numbers({**call.path_parameters, **call.query, **parameters})
    app_context = app_context_of(context)
    config = app_context.load()
    from ibkr_tools.cli.progress import progress
    from ibkr_tools.fetch.raw_request import RawRequest
    from ibkr_tools.fetch.session_wait import known_session_error
    from ibkr_tools.status import utc_now

    single = RawRequest(call, parameters, tier=config.session.tier, account=config.account)
    if paginate:
        single.require_paginated()
    if obstacle := known_session_error(app_context.status_file, utc_now()):
        raise obstacle
    age_s = 0.0
    clients = app_context.clients(config)
    with progress() as line:
        if paginate:
            payload = single.read_all_pages(
                lambda: clients.create(line.wait), now=utc_now, progress=line, retry_s=retry_for
            )
        else:
            line(str(single.call))
            with clients.create(line.wait) as client:
                answer = single.read(client, retry_s=retry_for, on_retry=line)
            payload, age_s = answer.body.strip() or b"null", answer.age_s
    if age_s:
        from ibkr_tools.cli.durations import format_duration

        print_stderr(f"note: IBKR was asked {format_duration(age_s)} ago, and may not be asked again yet", 20)

    def rows() -> "Rows":
        from ibkr_tools.fetch.formats import response_rows

        return response_rows(payload, call.endpoint)

    printing.put(lambda: (payload,), rows)
