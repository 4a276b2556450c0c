"""What values of options and arguments can be: resources, parts, accounts, days. For shells; see `completion`.

Each function is given the command's context and what is typed so far, and returns words with their meanings. It asks
nobody but the files of this machine. What cannot be read has no words.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ibkr_tools.errors import IbkrError

if TYPE_CHECKING:
    from ibkr_tools.cli.app_context import AppContext
    from ibkr_tools.fetch.snapshot import Snapshot

FILE, DIRECTORY = ":file", ":directory"
"""Meanings of a word that stand for all names of files, or of directories."""

Words = list[tuple[str, str]]
Source = Callable[[typer.Context], Iterable[tuple[str, str]]]
Completer = Callable[[typer.Context, str], Words]


def _completer(source: Source) -> Completer:
    """Makes a function for Typer of one that yields all words: those that begin as typed, once each."""

    # Typer finds out by the annotations what to give.
    def complete(ctx: typer.Context, incomplete: str) -> Words:
        found: dict[str, str] = {}
        with suppress(IbkrError, OSError):
            for word, meaning in source(ctx):
                if word.startswith(incomplete):
                    found.setdefault(word, meaning)
        return list(found.items())

    complete.__doc__ = source.__doc__
    return complete


def _app_context(ctx: typer.Context) -> "AppContext":
    """Returns what the global options mean; root becomes the user of the units before it reads what is theirs.

    Raises:
        IbkrError: the directories are a person's, or those of another configuration.
    """
    from ibkr_tools.cli.app_context import create_app_context

    given: dict[str, Any] = ctx.find_root().params

    def path(name: str) -> Path | None:
        return Path(given[name]) if given.get(name) else None

    app_context = create_app_context(
        path("config"), path("runtime_dir"), path("state_dir"), instance=next(iter(given.get("instance") or ()), None)
    )
    app_context.drop_root()
    return app_context


def _latest(app_context: "AppContext") -> "Snapshot | None":
    from ibkr_tools.fetch import snapshot_store
    from ibkr_tools.fetch.snapshot import Snapshot

    with suppress(IbkrError, OSError):
        return Snapshot(snapshot_store.read_latest(app_context.directories.snapshots))
    return None


@_completer
def instances(_ctx: typer.Context) -> Iterator[tuple[str, str]]:
    """Yields the instances on this machine that this user may look at."""
    from ibkr_tools.directories import SYSTEM_RUNTIME
    from ibkr_tools.instance import PLAIN, visible_instances

    for name in visible_instances(SYSTEM_RUNTIME):
        yield name, "the instance without a name" if name == PLAIN else ""


@_completer
def resources(_ctx: typer.Context) -> Iterator[tuple[str, str]]:
    """Yields every read, with its description."""
    from ibkr_tools.portal.endpoints import READS

    for name, endpoint in READS.items():
        yield name, endpoint.description


@_completer
def paths(_ctx: typer.Context) -> Iterator[tuple[str, str]]:
    """Yields the path of every read."""
    from ibkr_tools.portal.endpoints import READS

    for endpoint in READS.values():
        yield endpoint.path, endpoint.description


@_completer
def tiers(_ctx: typer.Context) -> Iterator[tuple[str, str]]:
    """Yields the tiers."""
    from ibkr_tools.portal.endpoints import Tier

    for tier in Tier:
        yield tier.value, ""


@_completer
def parameters(ctx: typer.Context) -> Iterator[tuple[str, str]]:
    """Yields the parameters of the resources that are named already, with what they take."""
    from ibkr_tools.portal.endpoints import READS

    # The words so far: without a value after `--param`, Typer has not parsed what stands before it.
    for name in ctx.find_root().obj or ():
        for parameter in READS[name].user_parameters if name in READS else ():
            if parameter.choices:
                for choice in parameter.choices:
                    yield f"{parameter.name}={choice}", parameter.description
            else:
                yield f"{parameter.name}=", parameter.description


@_completer
def parts(ctx: typer.Context) -> Iterator[tuple[str, str]]:
    """Yields the parts of the last saved snapshot; without one, what a snapshot has by itself."""
    from ibkr_tools.config.schema import DEFAULT_RESOURCES
    from ibkr_tools.portal.endpoints import READS

    snapshot = _latest(_app_context(ctx))
    for name in DEFAULT_RESOURCES if snapshot is None else snapshot:
        yield name, READS[name].description if name in READS else ""


@_completer
def accounts(ctx: typer.Context) -> Iterator[tuple[str, str]]:
    """Yields the accounts of the instance's configuration and those of the last saved snapshot."""
    app_context = _app_context(ctx)
    with suppress(IbkrError):
        config = app_context.load()
        for name in (config.account, *config.fetch.accounts):
            yield name, "of the configuration"
    if (snapshot := _latest(app_context)) is not None:
        for name in snapshot.covers.accounts:
            yield name, "of the last snapshot"


@_completer
def copies(ctx: typer.Context) -> Iterator[tuple[str, str]]:
    """Yields the days of which a copy is saved, the newest first, then the times."""
    from ibkr_tools.fetch import snapshot_store

    found = snapshot_store.list_copies(_app_context(ctx).directories.snapshots)[::-1]
    for copy in found:
        yield f"{copy.saved_at:%Y-%m-%d}", "the last copy of the day"
    for copy in found:
        yield f"{copy.saved_at:%Y-%m-%dT%H:%M}", "a copy (UTC)"


@_completer
def periods(_ctx: typer.Context) -> Iterator[tuple[str, str]]:
    """Yields some periods."""
    from datetime import UTC, datetime

    year = datetime.now(UTC).year
    yield "ytd", "this year"
    yield from (("1m", "a month"), ("3m", "three months"), ("1y", "a year"), ("5y", "five years"))
    for number in range(year - 1, year - 6, -1):
        yield str(number), "a calendar year"


def files(_ctx: typer.Context, incomplete: str) -> Words:
    """Leaves the names of files to the shell."""
    return [(incomplete, FILE)]


def directories(_ctx: typer.Context, incomplete: str) -> Words:
    """Leaves the names of directories to the shell."""
    return [(incomplete, DIRECTORY)]


def choices(*words: str) -> Completer:
    """Returns what completes these words."""
    return _completer(lambda _: ((word, "") for word in words))
