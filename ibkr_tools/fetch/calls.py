"""What has to be asked for: resources and parameters as a person names them, made into calls. No I/O."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ibkr_tools.errors import ConfigError, UsageError
from ibkr_tools.portal.endpoints import READS, Endpoint, Parameter, ParamIn, Scope, Tier

ESSENTIAL = frozenset({"accounts", "summary", "ledger", "allocation", "positions", "positions2"})
"""What a snapshot of `fetch.resources` never goes without, where it is among them."""

FILLED_IN = frozenset({"acctIds"})
"""Parameters that nobody gives: they are the chosen accounts."""


class Call(msgspec.Struct, frozen=True):
    """One request, or one list of pages of it; `account` is whose, None if it is about several or none."""

    endpoint: Endpoint
    names: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    body: Mapping[str, Any] | None = None
    account: str | None = None

    def __str__(self) -> str:
        return f"{self.endpoint.name} of {self.account}" if self.account else self.endpoint.name


def account_call(name: str, account: str) -> Call:
    """Returns one small read about an account."""
    page = {"page": "0"} if name == "positions" else {}
    return Call(READS[name], {"account": account, **page}, account=account)


class Part(msgspec.Struct, frozen=True):
    """One part of a snapshot: a resource with its parameters, under the name it has there."""

    name: str
    endpoint: Endpoint
    names: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any] | None

    def calls(self, accounts: Sequence[str]) -> list[Call]:
        """Returns one call for each account, or one for all of them, by whom the endpoint is about."""
        if self.endpoint.scope is Scope.ACCOUNT:
            return [
                Call(self.endpoint, {**self.names, "account": account}, self.query, self.body, account)
                for account in accounts
            ]
        body = self.body
        if self.endpoint.scope is Scope.ACCOUNTS:
            body = {"acctIds": list(accounts), **(body or {})}
        return [Call(self.endpoint, self.names, self.query, body)]


def parameters_of(endpoint: Endpoint) -> tuple[Parameter, ...]:
    """Returns what a person may give with a resource."""
    return tuple(one for one in endpoint.parameters if one.name not in FILLED_IN)


def require_resources(names: Iterable[str]) -> tuple[Endpoint, ...]:
    """Returns the reads of these names, each once, in the table's order; `-` stands for `_`.

    Raises:
        UsageError: a name is none; the message suggests the closest.
    """
    given = [name.replace("-", "_") for name in names]
    for name in given:
        if name not in READS:
            raise UsageError(f"no resource {name!r}{_closest(name, READS)}", hint="`ibkr-tools resources` lists them.")
    return tuple(endpoint for name, endpoint in READS.items() if name in given)


def plan(
    resources: Iterable[str], parameters: Mapping[str, str], tier: str, *, fresh: bool = False
) -> tuple[Part, ...]:
    """Returns the parts of a snapshot, in the table's order.

    Args:
        resources: names of reads.
        parameters: what was given; each belongs to every resource that has one of its name.
        tier: the configuration's `session.tier`.
        fresh: take positions past IBKR's cache, which has other fields.

    Raises:
        UsageError: a resource or parameter that there is not, a value that does not fit, or one that is missing.
        ConfigError: a resource needs the brokerage tier, and the session has not got it.
    """
    endpoints = require_resources(resources)
    if fresh and READS["positions"] not in endpoints:
        raise UsageError("--fresh is for positions, which are not asked for")
    asked = {one.name: READS["positions2"] if fresh and one.name == "positions" else one for one in endpoints}
    known = sorted({one.name for endpoint in asked.values() for one in parameters_of(endpoint)})
    for name in parameters:
        if name not in known:
            takes = f"It takes {', '.join(known)}." if known else "No parameter goes with it."
            raise UsageError(f"{', '.join(asked)}: no parameter {name!r}{_closest(name, known)}", hint=takes)
    _require_tier(asked, tier)
    return tuple(_part(name, endpoint, parameters) for name, endpoint in asked.items())


def _require_tier(asked: Mapping[str, Endpoint], tier: str) -> None:
    brokerage = [name for name, endpoint in asked.items() if endpoint.tier is Tier.BROKERAGE]
    if brokerage and tier != Tier.BROKERAGE.value:
        verb = "needs" if len(brokerage) == 1 else "need"
        raise ConfigError(
            f"{', '.join(brokerage)} {verb} the brokerage tier, and session.tier is {tier!r}",
            hint='Set session.tier to "brokerage", with a user who may trade; see docs/session.md.',
        )


def _part(name: str, endpoint: Endpoint, parameters: Mapping[str, str]) -> Part:
    values: dict[ParamIn, dict[str, Any]] = {location: {} for location in ParamIn}
    for parameter in parameters_of(endpoint):
        text = parameters.get(parameter.name, parameter.default)
        if text is None:
            if parameter.required:
                raise UsageError(
                    f"{name}: --param {parameter.name}=… is missing: {parameter.description}",
                    hint=f"`ibkr-tools resources {name}` lists its parameters.",
                )
            continue
        try:
            values[parameter.location][parameter.name] = parameter.read(text)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    return Part(name, endpoint, values[ParamIn.PATH], values[ParamIn.QUERY], values[ParamIn.BODY] or None)


def _closest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
