"""`ibkr-tools resources`: what can be asked for."""

import shutil
from typing import Annotated

import typer

from ibkr_tools.cli import completers
from ibkr_tools.cli.streams import write_out

_MIN_WIDTH, _MAX_WIDTH = 60, 132
"""In characters; longer lines are hard to follow."""


def _as_json(value: object) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"


def resources(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One of them, with its parameters in full.",
            metavar="[NAME]",
            show_default=False,
            autocompletion=completers.resources,
        ),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            help="Only those that need this tier: portfolio or brokerage.",
            metavar="TIER",
            autocompletion=completers.tiers,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print them as docs/resources.md has them.")] = False,
) -> None:
    """List what can be fetched: every read of IBKR's Web API, its tier, pacing and parameters."""
    from ibkr_tools.cli import resource_tables as view
    from ibkr_tools.errors import UsageError
    from ibkr_tools.fetch.plan import require_resources
    from ibkr_tools.portal.endpoints import Tier

    if tier not in {None, *Tier}:
        raise UsageError(f"--tier {tier!r}: expected one of {', '.join(Tier)}")
    chosen = Tier(tier) if tier else None
    width = max(_MIN_WIDTH, min(shutil.get_terminal_size((_MAX_WIDTH, 24)).columns, _MAX_WIDTH))
    if name is not None:
        (endpoint,) = require_resources([name])
        text = _as_json(view.as_data(endpoint)) if json else view.as_detail(endpoint, width)
    elif json:
        text = _as_json([view.as_data(endpoint) for _, reads in view.families(chosen) for endpoint in reads])
    else:
        text = view.as_markdown() if markdown else view.as_table(chosen, width)
    write_out(text)
