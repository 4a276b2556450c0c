"""What a fetch reports in the status file: how it went, and what is missing until a later fetch gets it. Pure."""

from collections.abc import Collection

import msgspec

from ibkr_tools.fetch.snapshot_document import SnapshotMetadata
from ibkr_tools.status import FetchSection


class MissingData(msgspec.Struct, frozen=True, kw_only=True):
    """What one fetch has found out about what is missing, of which accounts and resources.

    `is_default`: those of the configuration. `missing_accounts` and `missing` say why; None: the fetch has found out
    nothing.
    """

    accounts: frozenset[str]
    resources: frozenset[str]
    is_default: bool
    missing_accounts: dict[str, str] | None = None
    missing: dict[str, str] | None = None

    def after_failure(self, unavailable: dict[str, str]) -> "MissingData":
        """Returns what a fetch has found out that failed: only which accounts answer nothing."""
        return msgspec.structs.replace(
            self, accounts=frozenset(unavailable), is_default=False, missing_accounts=unavailable or None
        )

    def after_success(self, covers: SnapshotMetadata) -> "MissingData":
        """Returns what a fetch has found out that succeeded."""
        requested = frozenset((*covers.accounts, *covers.missing_accounts))
        return msgspec.structs.replace(
            self, accounts=requested, missing_accounts=covers.missing_accounts, missing=covers.missing
        )

    def merged_with(self, before: FetchSection | None) -> tuple[dict[str, str], dict[str, str]]:
        """Returns the accounts and the parts that are missing now, given what was missing before."""
        accounts = _merge(
            before.missing_accounts if before else {}, self.missing_accounts, self.accounts, everything=self.is_default
        )
        return accounts, _merge(
            before.missing if before else {}, self.missing, self.resources, everything=self.is_default
        )


NO_FINDINGS = MissingData(accounts=frozenset(), resources=frozenset(), is_default=False)


def _merge(
    before: dict[str, str], now: dict[str, str] | None, requested: Collection[str], everything: bool
) -> dict[str, str]:
    if now is None:
        return before
    return ({} if everything else {name: why for name, why in before.items() if name not in requested}) | now


def success_message(covers: SnapshotMetadata) -> str:
    """Returns what a fetch that succeeded says in the status."""
    remarks = [
        *(f"unexpected: {line}" for line in covers.unexpected),
        *(f"without {name}: {why}" for name, why in (covers.missing_accounts | covers.missing).items()),
        *(f"{count} rows of {name} without their contract's details" for name, count in covers.short_rows.items()),
    ]
    return "; ".join((f"{', '.join(covers.resources)} of {', '.join(covers.accounts)}", *remarks))
