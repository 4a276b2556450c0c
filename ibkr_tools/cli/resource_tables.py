"""The table of resources for people, for scripts and for the documentation. Pure."""

import textwrap
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from ibkr_tools.portal.endpoints import FAMILIES, Endpoint, Pagination, Parameter, ParamType, RequestKind, Scope, Tier

_NARROW = 100
"""Below this width, in characters, a column for parameters would be too narrow to read."""

_MINUTE = 60.0

_SOURCES = {
    "campus": 'IBKR Campus, "Web API v1.0 Documentation"',
    "oas": "IBKR's published schema",
    "recorded": "answers recorded by public projects",
    "gateway": "IBKR's gateway",
}

_SCOPES = {
    Scope.USER: "one for the user",
    Scope.ACCOUNT: "one for each account",
    Scope.ACCOUNTS: "one for all chosen accounts together",
}

_TYPES = {
    ParamType.TEXT: "text",
    ParamType.INTEGER: "whole number",
    ParamType.NUMBER: "number",
    ParamType.BOOLEAN: "true or false",
    ParamType.LIST: "one or more, with commas between",
    ParamType.INTEGERS: "whole numbers, with commas between",
    ParamType.JSON: "JSON",
}


def families(tier: Tier | None = None) -> Iterator[tuple[str, list[Endpoint]]]:
    """Yields the families of reads, each with its name, as far as they are of a tier."""
    for family, endpoints in FAMILIES.items():
        reads = [
            endpoint for endpoint in endpoints if endpoint.kind is RequestKind.READ and tier in {None, endpoint.tier}
        ]
        if reads:
            yield family, reads


def as_table(tier: Tier | None, width: int) -> str:
    """Returns all resources, one or more lines each, no line wider than `width`."""
    shown = [endpoint for _, reads in families(tier) for endpoint in reads]
    widths = [max(len(endpoint.name) for endpoint in shown) + 2, len(Tier.PORTFOLIO.value), len("15 min")]
    rest = width - sum(widths) - 2 * (len(widths) + 1)
    widths += [rest + 2] if width < _NARROW else [rest * 3 // 5, rest - rest * 3 // 5]
    lines = list(_row(["RESOURCE", "TIER", "EVERY", "DESCRIPTION", "PARAMETERS"][: len(widths)], widths))
    for family, reads in families(tier):
        lines += ["", family]
        for endpoint in reads:
            lines += _row(
                [f"  {endpoint.name}", endpoint.tier, _interval(endpoint), endpoint.description, _parameters(endpoint)],
                widths,
            )
    return "\n".join(lines) + "\n"


def _row(cells: list[str], widths: list[int]) -> Iterator[str]:
    """Yields the lines of one row; cells without a width are left out."""
    pairs = zip(cells, widths, strict=False)
    columns = [[line.ljust(width) for line in textwrap.wrap(cell, width) or [""]] for cell, width in pairs]
    for parts in zip_longest(*columns):
        filled = (part or " " * width for part, width in zip(parts, widths, strict=False))
        yield "  ".join(filled).rstrip()


def _interval(endpoint: Endpoint) -> str:
    every = endpoint.interval_s
    if not every:
        return ""
    return f"{every / _MINUTE:g} min" if every >= _MINUTE else f"{every:g} s"


def _parameters(endpoint: Endpoint) -> str:
    """Names the parameters; those that may be left out in brackets."""
    return " ".join(
        parameter.name if parameter.required else f"[{parameter.name}]"
        for parameter in sorted(endpoint.user_parameters, key=lambda parameter: not parameter.required)
    )


def as_detail(endpoint: Endpoint, width: int) -> str:
    """Returns all that is known of one resource."""
    facts = {
        "endpoint": f"{endpoint.method} /v1/api{endpoint.path}",
        "tier": endpoint.tier.value,
        "pacing": _pacing(endpoint),
        "answers": _answers(endpoint),
        "source": _SOURCES[endpoint.source],
    }
    lines = [*textwrap.wrap(f"{endpoint.name}: {endpoint.description}", width), ""]
    for name, fact in facts.items():
        lines += _row([f"  {name}", fact], [12, width - 14])
    if parameters := endpoint.user_parameters:
        names = max(len(parameter.name) for parameter in parameters)
        lines += ["", "Parameters:"]
        for parameter in sorted(parameters, key=lambda parameter: not parameter.required):
            lines += _row([f"  {parameter.name}", _meaning(parameter)], [names + 2, width - names - 4])
    example = ["ibkr-tools fetch", endpoint.name]
    example += [f"--param {parameter.name}={_sample(parameter)}" for parameter in parameters if parameter.required]
    return "\n".join([*lines, "", "Example:", f"  {' '.join(example)}"]) + "\n"


def _pacing(endpoint: Endpoint) -> str:
    if not endpoint.interval_s:
        return "IBKR's ten requests a second over all"
    once = f"once in {_interval(endpoint)}"
    if endpoint.interval_s >= _MINUTE:
        return f"{once}; asked again within that time, the answer is the remembered one, with its age"
    return once


def _answers(endpoint: Endpoint) -> str:
    facts = [_SCOPES[endpoint.scope]]
    if endpoint.records_path is not None:
        facts.append(f"records in {endpoint.records_path}" if endpoint.records_path else "a list")
    if endpoint.pagination is not None:
        facts.append("page by page, to the end" if endpoint.pagination is not Pagination.CURSOR else "to the last one")
    if endpoint.needs_warm_up:
        facts.append("asked for again where IBKR's first answer is empty")
    return "; ".join(facts)


def _meaning(parameter: Parameter) -> str:
    kind = " | ".join(parameter.choices) or _TYPES[parameter.type]
    default = f", {parameter.default} if not given" if parameter.default is not None else ""
    return f"{parameter.description} ({kind}{', needed' if parameter.required else default})"


def _sample(parameter: Parameter) -> str:
    return parameter.choices[0] if parameter.choices else parameter.name.upper()


def as_data(endpoint: Endpoint) -> dict[str, Any]:
    """Returns one resource as a script reads it: enums as their texts, `scope` with the rest."""
    return {
        "name": endpoint.name,
        "description": endpoint.description,
        "method": endpoint.method,
        "path": endpoint.path,
        "tier": endpoint.tier,
        "scope": endpoint.scope,
        "interval_s": endpoint.interval_s,
        "parameters": endpoint.user_parameters,
        "records_path": endpoint.records_path,
        "pagination": endpoint.pagination,
        "needs_warm_up": endpoint.needs_warm_up,
        "source": endpoint.source,
    }


_PAGE = """\
# Resources

This page lists every read of IBKR's Web API that ibkr-tools can do. `ibkr-tools fetch NAME` takes the name, and the
snapshot has the answer under it. `ibkr-tools resources` prints the list; `ibkr-tools resources NAME` prints one read
with all of its parameters. The page is generated from `ibkr_tools/portal/endpoints/`, the table that decides what may
be sent. Besides these reads, only the calls that keep the session alive leave this machine.

- **Tier**: the part of IBKR's session that answers. `brokerage` needs `session.tier: "brokerage"` in the configuration,
  and a user who may trade.
- **Every**: the shortest time between two calls that IBKR allows. Over all reads it allows ten calls a second. A read
  that IBKR allows once in 15 minutes is answered from the cache until then; the snapshot says how old the answer is.
- **Parameters** are given as `--param NAME=VALUE`; those in brackets are optional. `{account}` is filled in.
"""


def as_markdown() -> str:
    """Returns docs/resources.md."""
    blocks = [_PAGE]
    for family, reads in families():
        lines = [
            f"## {family}",
            "",
            "| resource | description | tier | every | parameters | endpoint |",
            f"|{' --- |' * 6}",
        ]
        for endpoint in reads:
            parameters = f"`{_parameters(endpoint)}`" if endpoint.user_parameters else ""
            cells = [
                f"`{endpoint.name}`",
                endpoint.description,
                endpoint.tier,
                _interval(endpoint),
                parameters,
                f"`{endpoint.method} {endpoint.path}`",
            ]
            lines.append("|" + "".join(f" {cell} |" if cell else " |" for cell in cells))
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)
