"""What a snapshot says about currencies: the base currency, rates to it, the value of the whole account."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ibkr_tools.cli.views.grid import number, plain, total


def _record(snapshot: Mapping[str, Any], resource: str, *path: str) -> Any:
    """Returns what is at a path of a resource, None where anything on the way is missing or of another shape."""
    value: Any = snapshot.get(resource)
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


class Money:
    """Currencies of some accounts; where the snapshot does not say, nothing is guessed."""

    def __init__(self, snapshot: Mapping[str, Any], accounts: Sequence[str]) -> None:
        self._snapshot = snapshot
        self._accounts = accounts

    @cached_property
    def base(self) -> str | None:
        """The base currency; None if it is unknown, or not the same for all accounts."""
        found = set()
        listed = self._snapshot.get("accounts")
        rows = listed if isinstance(listed, list) else []
        by_account = {plain(row.get("id")): row.get("currency") for row in rows if isinstance(row, dict)}
        for account in self._accounts:
            stated = _record(self._snapshot, "summary", account, "netliquidation", "currency")
            found.add(plain(stated or by_account.get(account)))
        return found.pop() or None if len(found) == 1 else None

    def rate(self, account: str, currency: str) -> float | None:
        """Returns how much of the base currency one unit is, by the account's ledger."""
        if currency == self.base:
            return 1.0
        return number(_record(self._snapshot, "ledger", account, currency, "exchangerate"))

    def net_liquidation(self) -> float | None:
        """Returns the value of all accounts together in the base currency, by their ledgers or their summaries."""
        if self.base is None:
            return None
        values = []
        for account in self._accounts:
            by_ledger = number(_record(self._snapshot, "ledger", account, "BASE", "netliquidationvalue"))
            by_summary = number(_record(self._snapshot, "summary", account, "netliquidation", "amount"))
            values.append(by_summary if by_ledger is None else by_ledger)
        return None if None in values else total(values)
