"""What a fetch says in the status of how it went, and of what is missing until a fetch finds that it is there. Pure."""

from collections.abc import Collection

import msgspec

from ibkr_tools.fetch.document import Covers
from ibkr_tools.status import FetchSection


class MissingData(msgspec.Struct, frozen=True, kw_only=True):
    """What one fetch has found out about what is missing: of which accounts and resources; `all`: of the usual ones.

    `missing_accounts` and `missing` say why; None: nothing was found out.
    """

    accounts: frozenset[str]
    resources: frozenset[str]
    all: bool
    missing_accounts: dict[str, str] | None = None
    missing: dict[str, str] | None = None

    def failed(self, dead: dict[str, str]) -> "MissingData":
        """Returns what a fetch has found out that failed: only which accounts answer nothing."""
        return msgspec.structs.replace(self, accounts=frozenset(dead), all=False, missing_accounts=dead or None)

    def came(self, covers: Covers) -> "MissingData":
        """Returns what a fetch has found out that succeeded."""
        asked = frozenset((*covers.accounts, *covers.missing_accounts))
        return msgspec.structs.replace(
            self, accounts=asked, missing_accounts=covers.missing_accounts, missing=covers.missing
        )

    def carried(self, before: FetchSection | None) -> tuple[dict[str, str], dict[str, str]]:
        """Returns the accounts and the parts that are missing now, given what was missing before."""
        accounts = _after(
            before.missing_accounts if before else {}, self.missing_accounts, self.accounts, everything=self.all
        )
        return accounts, _after(before.missing if before else {}, self.missing, self.resources, everything=self.all)


NOTHING_KNOWN = MissingData(accounts=frozenset(), resources=frozenset(), all=False)


def _after(
    before: dict[str, str], now: dict[str, str] | None, asked: Collection[str], everything: bool
) -> dict[str, str]:
    if now is None:
        return before
    return ({} if everything else {name: why for name, why in before.items() if name not in asked}) | now


def outcome(covers: Covers) -> str:
    """Returns what a fetch that succeeded says in the status."""
    more = [
        *(f"unexpected: {line}" for line in covers.unexpected),
        *(f"without {name}: {why}" for name, why in (covers.missing_accounts | covers.missing).items()),
        *(f"{count} rows of {name} without their contract's details" for name, count in covers.short_rows.items()),
    ]
    return "; ".join((f"{', '.join(covers.resources)} of {', '.join(covers.accounts)}", *more))
