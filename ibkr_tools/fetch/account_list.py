"""Which accounts a fetch is about: their numbers, the names that people give them, an advisor's sub-accounts. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ibkr_tools.errors import DataError, IbkrError, UsageError
from ibkr_tools.portal.endpoints import is_account_number

_ALIASES = ("accountAlias", "desc")
_NO_ALIAS = "None"
"""IBKR's documentation writes a missing alias so, and some of its servers do."""

_MASTER_PREFIXES = ("F", "I")
"""What the numbers of advisors and introducing brokers begin with."""

_MAX_LISTED = 10
"""How many accounts a message names."""


class AccountList(msgspec.Struct, frozen=True):
    """The accounts that a user may view: their numbers, and IBKR's rows about them where these are known."""

    numbers: tuple[str, ...]
    rows: tuple[dict[str, Any], ...] = ()

    def with_rows(self, rows: Iterable[dict[str, Any]]) -> "AccountList":
        """Returns these accounts and those of the rows, each once."""
        known = list(self.rows)
        known += [row for row in rows if row.get("id") not in {known_row.get("id") for known_row in known}]
        numbers = dict.fromkeys((*self.numbers, *account_numbers(known)))
        return AccountList(tuple(numbers), tuple(known))


class SnapshotSelection(msgspec.Struct, frozen=True, kw_only=True):
    """Of which accounts a snapshot is, and what it may go without.

    `account` is that of the configuration; `accounts` are those asked for, by number or alias, none: all that the user
    may view; `known` are the numbers that this session's `/portfolio/accounts` has given, if somebody asked it already.
    `error_class` is the error of an account in `accounts` that the user may not view. `partial`: go without an account
    that alone answers nothing. `optional` are the parts that may be missing.
    """

    account: str
    accounts: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    error_class: type[IbkrError] = UsageError
    partial: bool = False
    optional: frozenset[str] = frozenset()


class SelectedAccounts(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts of one fetch, by number: that of the configuration, those asked for, all that the user may view."""

    selection: SnapshotSelection
    account: str
    chosen: tuple[str, ...]
    known: AccountList


def parse_account_list(rows: Sequence[dict[str, Any]]) -> AccountList:
    """Returns what `/portfolio/accounts` lists.

    Raises:
        DataError: see `account_numbers`.
    """
    return AccountList(tuple(account_numbers(rows)), tuple(rows))


def account_numbers(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the account numbers of rows.

    Raises:
        DataError: a row has no account number, or one that does not fit into a path.
    """
    for row in rows:
        name = row.get("id")
        if not isinstance(name, str) or not is_account_number(name):
            raise DataError("GET /portfolio/accounts: a row without an account number")
        yield name


def _aliases(row: Mapping[str, Any]) -> set[str]:
    names = {row.get(key) for key in _ALIASES}
    return {name for name in names if isinstance(name, str) and name.strip() and name != _NO_ALIAS}


def match_accounts(name: str, known: AccountList) -> list[str]:
    """Returns the numbers of the accounts that a number or an alias names; the number goes first."""
    if name in known.numbers:
        return [name]
    return [str(row["id"]) for row in known.rows if name in _aliases(row)]


def has_all_accounts(known: AccountList, names: Sequence[str]) -> bool:
    """Says whether each number or alias names an account."""
    return all(match_accounts(name, known) for name in names)


def resolve_account(name: str, known: AccountList, error_class: type[IbkrError]) -> str:
    """Returns the number of the account that a number or an alias names.

    Raises:
        IbkrError: of the class `error_class`: none has that name, or several have.
    """
    matches = match_accounts(name, known)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise error_class(
            f"account {name!r}: that is what {' and '.join(matches)} are called", hint="Give the number of one."
        )
    raise error_class(f"account {name}: not among those this user may view ({_format_candidates(known) or 'none'})")


def _format_candidates(known: AccountList) -> str:
    aliases = {str(row.get("id")): ", ".join(sorted(_aliases(row) - {str(row.get("id"))})) for row in known.rows}
    candidates = [f"{number} ({aliases[number]})" if aliases.get(number) else number for number in known.numbers]
    more = len(candidates) - _MAX_LISTED
    return ", ".join(candidates[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def master_accounts(known: AccountList) -> list[str]:
    """Returns the accounts that have sub-accounts: an advisor's, or an introducing broker's."""
    parents = {str(row.get("id")): row.get("parent") for row in known.rows}
    numbers = []
    for number in known.numbers:
        parent = parents.get(number)
        is_master = isinstance(parent, Mapping) and parent.get("isMParent") is True
        if is_master or number.startswith(_MASTER_PREFIXES):
            numbers.append(number)
    return numbers
