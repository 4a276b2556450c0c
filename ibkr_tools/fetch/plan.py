"""The plan of a snapshot: resources and parameters as a person names them, made into API calls. No I/O."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never

import msgspec

from ibkr_tools.errors import ConfigError, UsageError
from ibkr_tools.portal.endpoints import READS, Endpoint, Pagination, ParamIn, Scope, Tier

REQUIRED_RESOURCES = frozenset({"accounts", "summary", "ledger", "allocation", "positions", "positions2"})
"""The resources of `fetch.resources` that a snapshot never goes without."""


class ApiCall(msgspec.Struct, frozen=True):
    """One call of an endpoint, with all pages of its list; `account`: whose data it is, None for several or none."""

    endpoint: Endpoint
    path_parameters: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    body: Mapping[str, Any] | None = None
    account: str | None = None

    def __str__(self) -> str:
        return f"{self.endpoint.name} of {self.account}" if self.account else self.endpoint.name

    def page(self, number: int | str, last_id: object = None) -> "ApiCall":
        """Returns the call of one page of the list.

        Args:
            number: of the page, from 0.
            last_id: IBKR's id of the last row of the page before, after which a list with a cursor goes on.
        """
        match self.endpoint.pagination:
            case Pagination.PATH:
                return msgspec.structs.replace(self, path_parameters={**self.path_parameters, "page": str(number)})
            case Pagination.QUERY:
                return msgspec.structs.replace(self, query={**self.query, "page": str(number)})
            case Pagination.CURSOR:
                return ApiCall(READS[f"{self.endpoint.name}_more"], query={"id": str(last_id)}) if number else self
            case None:
                return self
            case _:
                assert_never(self.endpoint.pagination)


def account_call(name: str, account: str) -> ApiCall:
    """Returns the call of one small read about an account."""
    return ApiCall(READS[name], {"account": account}, account=account).page(0)


class SnapshotPart(msgspec.Struct, frozen=True):
    """One part of a snapshot: a resource with its parameters, under the name it has there."""

    name: str
    endpoint: Endpoint
    path_parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any] | None

    def calls(self, accounts: Sequence[str]) -> list[ApiCall]:
        """Returns one call for each account, or one for all of them, by whom the endpoint is about."""
        if self.endpoint.scope is Scope.ACCOUNT:
            return [
                ApiCall(self.endpoint, {**self.path_parameters, "account": account}, self.query, self.body, account)
                for account in accounts
            ]
        body = self.body
        if self.endpoint.scope is Scope.ACCOUNTS:
            body = {"acctIds": list(accounts), **(body or {})}
        return [ApiCall(self.endpoint, self.path_parameters, self.query, body)]


def require_resources(names: Iterable[str]) -> tuple[Endpoint, ...]:
    """Returns the reads of these names, each once, in the table's order; `-` stands for `_`.

    Raises:
        UsageError: a name is none; the message suggests the closest.
    """
    requested = [name.replace("-", "_") for name in names]
    for name in requested:
        if name not in READS:
            raise UsageError(
                f"no resource {name!r}{_suggestion(name, READS)}", hint="`ibkr-tools resources` lists them."
            )
    return tuple(endpoint for name, endpoint in READS.items() if name in requested)


def plan_snapshot(
    resources: Iterable[str], parameters: Mapping[str, str], tier: str, *, fresh: bool = False
) -> tuple[SnapshotPart, ...]:
    """Returns the parts of a snapshot, in the table's order.

    Args:
        resources: names of reads.
        parameters: as texts; each belongs to every resource that has one of its name.
        tier: the configuration's `session.tier`.
        fresh: take positions past IBKR's cache, which has other fields.

    Raises:
        UsageError: a resource or parameter that there is not, a value that does not fit, or one that is missing.
        ConfigError: a resource needs the brokerage tier, and the session has not got it.
    """
    endpoints = require_resources(resources)
    if fresh and READS["positions"] not in endpoints:
        raise UsageError("--fresh is for positions, which are not asked for")
    chosen = {
        endpoint.name: READS["positions2"] if fresh and endpoint.name == "positions" else endpoint
        for endpoint in endpoints
    }
    known_parameters = sorted(
        {parameter.name for endpoint in chosen.values() for parameter in endpoint.user_parameters}
    )
    for name in parameters:
        if name not in known_parameters:
            takes = f"It takes {', '.join(known_parameters)}." if known_parameters else "No parameter goes with it."
            raise UsageError(
                f"{', '.join(chosen)}: no parameter {name!r}{_suggestion(name, known_parameters)}", hint=takes
            )
    _require_tier(chosen, tier)
    return tuple(_plan_part(name, endpoint, parameters) for name, endpoint in chosen.items())


def _require_tier(chosen: Mapping[str, Endpoint], tier: str) -> None:
    brokerage = [name for name, endpoint in chosen.items() if endpoint.tier is Tier.BROKERAGE]
    if brokerage and tier != Tier.BROKERAGE.value:
        verb = "needs" if len(brokerage) == 1 else "need"
        raise ConfigError(
            f"{', '.join(brokerage)} {verb} the brokerage tier, and session.tier is {tier!r}",
            hint='Set session.tier to "brokerage", with a user who may trade; see docs/session.md.',
        )


def _plan_part(name: str, endpoint: Endpoint, parameters: Mapping[str, str]) -> SnapshotPart:
    values: dict[ParamIn, dict[str, Any]] = {location: {} for location in ParamIn}
    for parameter in endpoint.user_parameters:
        value_text = parameters.get(parameter.name, parameter.default)
        if value_text is None:
            if parameter.required:
                raise UsageError(
                    f"{name}: --param {parameter.name}=… is missing: {parameter.description}",
                    hint=f"`ibkr-tools resources {name}` lists its parameters.",
                )
            continue
        try:
            values[parameter.location][parameter.name] = parameter.read(value_text)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    return SnapshotPart(name, endpoint, values[ParamIn.PATH], values[ParamIn.QUERY], values[ParamIn.BODY] or None)


def _suggestion(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
