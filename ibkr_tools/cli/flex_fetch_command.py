"""`ibkr-tools flex fetch`, and `flex check` without a file: statements from IBKR's Flex Web Service."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli import completers
from ibkr_tools.cli.app_context import AppContext, app_context_of, log_to_stderr
from ibkr_tools.cli.streams import write_report
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.errors import ConfigError, DataError, UsageError

if TYPE_CHECKING:
    from datetime import date

    from ibkr_tools.config.schema import Config
    from ibkr_tools.flex.flex_budget import TokenBudget
    from ibkr_tools.flex.flex_periods import Period
    from ibkr_tools.flex.flex_task import Received
    from ibkr_tools.flex.statement_archive import StatementArchive
    from ibkr_tools.flex.statement_fetcher import StatementFetcher

CHECKED_DAYS = 30
"""How many days `flex check` asks for: sections without rows are not shown."""

_DAY_FORMATS = ["%Y-%m-%d"]


@dataclass(frozen=True)
class _FlexAccess:
    config: "Config"
    budget: "TokenBudget"
    fetcher: "StatementFetcher"


def fetch(
    context: typer.Context,
    days: Annotated[
        int | None, typer.Option(help="So many days, to the last one that is over.", min=1, max=20 * 366)
    ] = None,
    from_: Annotated[
        datetime | None, typer.Option("--from", help="The first day.", metavar="DAY", formats=_DAY_FORMATS)
    ] = None,
    to: Annotated[
        datetime | None, typer.Option("--to", help="The last day, with --from.", metavar="DAY", formats=_DAY_FORMATS)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything that IBKR has, year by year backwards.")] = False,
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
    """Fetch statements from IBKR, keep them for ever, and renew the history; by itself, the days that are due."""
    from ibkr_tools import account_ids
    from ibkr_tools.cli.history_options import rebuild_history
    from ibkr_tools.flex.business_days import last_finished_day
    from ibkr_tools.flex.flex_task import FlexTask
    from ibkr_tools.flex.statement_archive import StatementArchive
    from ibkr_tools.status import utc_now

    more = [account_ids.require_number(number, "--account") for number in account or ()]
    app_context = app_context_of(context)
    recent_day = last_finished_day(utc_now())
    chosen = _chosen_periods(days, from_, to, recent_day, everything=all_)
    with _service(app_context) as service:
        config, directories = service.config, app_context.directories
        archive = StatementArchive(directories.statements)
        periods = _due_periods(archive) if chosen is None else chosen
        task = FlexTask(
            service.fetcher,
            service.budget,
            archive,
            app_context.status_file,
            directories.outbox,
            user=config.username,
            accounts={name for name in (config.account, *config.fetch.accounts, *more) if account_ids.is_number(name)},
            token_expires=config.flex.token_expires,
            rebuild=lambda: rebuild_history(app_context),
        )
        ended = task.run(periods, recent_day, _tell_received, to_end=all_)
    if all_:
        write_report(f"{ended or f'{periods[-1]} is the oldest that IBKR keeps'}; nothing older is asked for\n")
    if not periods:
        write_report("nothing is due: what there is was fetched today; --days N asks for it again\n")


def check_service(context: typer.Context, *, again: bool) -> None:
    """Asks for one statement, says what is in it and what its query lacks, and keeps nothing.

    `again`: in spite of a refusal that stands.
    """
    from ibkr_tools.cli.statement_report import describe, warn
    from ibkr_tools.flex.business_days import last_finished_day
    from ibkr_tools.flex.flex_periods import last_days
    from ibkr_tools.status import utc_now

    period = last_days(CHECKED_DAYS, last_finished_day(utc_now()))
    with _service(app_context_of(context)) as service:
        with service.budget.single_flight():
            if again:
                service.budget.lift()
            service.budget.require_usable()
            file = service.fetcher.fetch(period)
        name = f"query {service.config.flex.query}"
        write_report("\n  ".join([name, *describe(file, with_query=True)]) + "\n")
        if warn(name, file):
            raise DataError(f"the statement of {name} contradicts itself")


@contextmanager
def _service(app_context: AppContext) -> Iterator[_FlexAccess]:
    """Reads what only root may read, becomes the user of the units, and lends what gets statements."""
    from ibkr_tools.cli.progress import progress
    from ibkr_tools.config.secrets import read_token
    from ibkr_tools.flex.flex_budget import TokenBudget, TokenIdentity
    from ibkr_tools.flex.flex_service import FlexServiceClient
    from ibkr_tools.flex.statement_fetcher import StatementFetcher
    from ibkr_tools.login.memory_protection import hide_memory

    # The token: other units run as the same user.
    hide_memory()
    log_to_stderr(app_context)
    app_context.require_rights(app_context.directories.statements)
    config = app_context.load()
    if config.flex.query is None:
        raise ConfigError("flex.query is not set: nothing says what to ask for", hint="docs/flex.md says how.")
    token = read_token(app_context.config_file, config)
    app_context.drop_root()
    # Becoming another user may have undone it.
    hide_memory()
    budget = TokenBudget(app_context.directories.flex_budget, TokenIdentity(token, config.flex.query))
    client = FlexServiceClient(config.flex.upstream, token)
    try:
        with progress() as line:
            yield _FlexAccess(config, budget, StatementFetcher(client, budget, config.flex.query, progress=line))
    finally:
        client.close()


def _chosen_periods(
    days: int | None, from_: datetime | None, to: datetime | None, recent_day: "date", *, everything: bool
) -> "list[Period] | None":
    """Returns what to ask for, the newest first; None: what is due.

    Raises:
        UsageError: two ways to say it, or days that are none or not over.
    """
    from ibkr_tools.flex.flex_periods import Period, last_days, split, years_backwards

    if sum((days is not None, from_ is not None or to is not None, everything)) > 1:
        raise UsageError("--days, --from with --to, and --all say different things: give one of them")
    if everything:
        return list(years_backwards(recent_day))
    if days is not None:
        return list(split(last_days(days, recent_day)))
    if from_ is None:
        if to is not None:
            raise UsageError("--to needs --from")
        return None
    period = Period(from_.date(), to.date() if to is not None else recent_day)
    if period.to_day > recent_day:
        raise UsageError(f"--to {period.to_day}: IBKR has statements until {recent_day} by now")
    if period.days < 1:
        raise UsageError(f"{period.from_day} is after {period.to_day}")
    if not (parts := list(split(period))):
        raise UsageError(f"{period}: markets were closed on these days, of which there are no statements")
    return parts


def _due_periods(archive: "StatementArchive") -> "list[Period]":
    from ibkr_tools.flex.flex_periods import due_period
    from ibkr_tools.status import utc_now

    period = due_period(archive.list_files(), utc_now())
    return [] if period is None else [period]


def _tell_received(received: "Received") -> None:
    from ibkr_tools.cli.statement_report import describe, tell_unknown, warn
    from ibkr_tools.flex.flex_coverage import ShortfallKind

    state = "is there already" if received.archived is None else f"kept as {received.archived.path.name}"
    name = f"statement of {received.period}"
    write_report("\n  ".join([f"{name}: {state}", *describe(received.file)]) + "\n")
    warn(name, received.file)
    if received.archived is not None:
        tell_unknown(name, received.file)
    for shortfall in received.shortfalls:
        if shortfall.kind in {ShortfallKind.BEGINS_LATER, ShortfallKind.NO_STATEMENT}:
            print_stderr(f"warning: {shortfall}", 30)
