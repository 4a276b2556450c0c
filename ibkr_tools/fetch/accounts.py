"""Which accounts a fetch is about: their numbers, the names that people give them, an advisor's sub-accounts. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ibkr_tools.errors import DataError, IbkrError
from ibkr_tools.portal.endpoints import is_account_number

_ALIASES = ("accountAlias", "desc")
_NO_ALIAS = "None"
"""IBKR's documentation writes a missing alias so, and some of its servers do."""

_MASTERS = ("F", "I")
"""What the numbers of advisors and introducing brokers begin with."""

_SHOWN = 10
"""So many accounts are named in a message."""


class AccountList(msgspec.Struct, frozen=True):
    """The accounts that a user may view: their numbers, and IBKR's rows about them where these are known."""

    numbers: tuple[str, ...]
    rows: tuple[dict[str, Any], ...] = ()

    def with_rows(self, rows: Iterable[dict[str, Any]]) -> "AccountList":
        """Returns these and others, each once."""
        known = list(self.rows)
        known += [row for row in rows if row.get("id") not in {one.get("id") for one in known}]
        numbers = dict.fromkeys((*self.numbers, *account_numbers(known)))
        return AccountList(tuple(numbers), tuple(known))


def listed(rows: Sequence[dict[str, Any]]) -> AccountList:
    """Returns what `/portfolio/accounts` lists.

    Raises:
        DataError: see `account_numbers`.
    """
    return AccountList(tuple(account_numbers(rows)), tuple(rows))


def account_numbers(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the account numbers of rows.

    Raises:
        DataError: a row has none, or one that could not be asked for.
    """
    for row in rows:
        name = row.get("id")
        if not isinstance(name, str) or not is_account_number(name):
            raise DataError("GET /portfolio/accounts: a row without an account number")
        yield name


def _aliases(row: Mapping[str, Any]) -> set[str]:
    names = {row.get(key) for key in _ALIASES}
    return {name for name in names if isinstance(name, str) and name.strip() and name != _NO_ALIAS}


def find(name: str, known: AccountList) -> list[str]:
    """Returns the numbers of the accounts that a number or an alias names; the number goes first."""
    if name in known.numbers:
        return [name]
    return [str(row["id"]) for row in known.rows if name in _aliases(row)]


def number_of(name: str, known: AccountList, blame: type[IbkrError]) -> str:
    """Returns the number of the account that a number or an alias names.

    Raises:
        IbkrError: of the class `blame`: none has that name, or several have.
    """
    found = find(name, known)
    if len(found) == 1:
        return found[0]
    if found:
        raise blame(f"account {name!r}: that is what {' and '.join(found)} are called", hint="Give the number of one.")
    raise blame(f"account {name}: not among those this user may view ({_candidates(known) or 'none'})")


def _candidates(known: AccountList) -> str:
    aliases = {str(row.get("id")): ", ".join(sorted(_aliases(row) - {str(row.get("id"))})) for row in known.rows}
    named = [f"{one} ({aliases[one]})" if aliases.get(one) else one for one in known.numbers]
    more = len(named) - _SHOWN
    return ", ".join(named[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def masters(known: AccountList) -> list[str]:
    """Returns the accounts that have sub-accounts: an advisor's, or an introducing broker's."""
    parents = {str(row.get("id")): row.get("parent") for row in known.rows}
    found = []
    for number in known.numbers:
        parent = parents.get(number)
        is_master = isinstance(parent, Mapping) and parent.get("isMParent") is True
        if is_master or number.startswith(_MASTERS):
            found.append(number)
    return found
