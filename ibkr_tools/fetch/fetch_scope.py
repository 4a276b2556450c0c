"""What one fetch is about, decided before anything is sent: its parts, its accounts, what it may go without. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from ibkr_tools.config.schema import Config
from ibkr_tools.errors import ConfigError, UsageError
from ibkr_tools.fetch.account_list import SnapshotSelection
from ibkr_tools.fetch.fetch_status import MissingData
from ibkr_tools.fetch.plan import REQUIRED_RESOURCES, SnapshotPart, plan_snapshot
from ibkr_tools.fetch.snapshot_document import SnapshotMetadata
from ibkr_tools.portal.endpoints import Tier


class FetchScope(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a snapshot, and of which accounts it is.

    `required_tier`: what the session must have, since a part that needs it may not be missing. `selection`: the
    accounts, none of which is known yet. `covers`: what the snapshot will say of itself, without what the answers tell.
    `missing_data`: what the fetch will have looked for, found or not.
    """

    parts: tuple[SnapshotPart, ...]
    required_tier: Tier
    selection: SnapshotSelection
    covers: SnapshotMetadata
    missing_data: MissingData


def plan_fetch(
    config: Config,
    resources: Sequence[str],
    accounts: Sequence[str],
    *,
    parameters: Mapping[str, str],
    fresh: bool,
    partial: bool | None,
) -> FetchScope:
    """Returns what a fetch is about; for the arguments see `fetch_task.FetchTask.run`.

    Raises:
        UsageError, ConfigError: see `plan.plan_snapshot`.
    """
    settings, requested_parameters = config.fetch, dict(parameters)
    parts = plan_snapshot(resources or settings.resources, requested_parameters, config.session.tier, fresh=fresh)
    optional = frozenset[str]() if resources else frozenset(part.name for part in parts) - REQUIRED_RESOURCES
    required_tiers = [part.endpoint.tier for part in parts if part.name not in optional]
    return FetchScope(
        parts=parts,
        required_tier=Tier.BROKERAGE if Tier.BROKERAGE in required_tiers else Tier.PORTFOLIO,
        selection=SnapshotSelection(
            account=config.account,
            accounts=tuple(accounts) or settings.accounts,
            error_class=UsageError if accounts else ConfigError,
            partial=settings.partial if partial is None else partial,
            optional=optional,
        ),
        covers=SnapshotMetadata(accounts=(), resources=(), parameters=requested_parameters, fresh=fresh),
        missing_data=MissingData(
            accounts=frozenset(accounts),
            resources=frozenset(part.name for part in parts),
            is_default=not (resources or accounts),
        ),
    )
