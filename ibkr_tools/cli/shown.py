"""What `show` shows: the parts of a saved snapshot, read without any request."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ibkr_tools.cli.common import Setting

if TYPE_CHECKING:
    from ibkr_tools.fetch.saved import Snapshot


def _missing(resource: str, snapshot: "Snapshot", where: Path) -> NoReturn:
    from typing import get_args

    from ibkr_tools.config import Resource
    from ibkr_tools.errors import ConfigError, SnapshotMissing
    from ibkr_tools.fetch.calls import require_resources

    # A name that does not exist at all is told with a suggestion.
    require_resources([resource])
    if resource in snapshot.covers.missing:
        raise SnapshotMissing(f"{where}: has no {resource}: {snapshot.covers.missing[resource]}")
    hint = f'Add "{resource}" to fetch.resources in the configuration; the next saved snapshot has it.'
    if resource not in get_args(Resource):
        hint = f"It needs a parameter: `ibkr-tools resources {resource}` says how it is fetched."
    raise ConfigError(f"{where}: has no {resource}, only {', '.join(snapshot) or 'nothing'}", hint=hint)


def _number_of(name: str, snapshot: "Snapshot") -> str:
    from ibkr_tools.account_ids import require_name
    from ibkr_tools.errors import UsageError
    from ibkr_tools.fetch.accounts import AccountList, find

    there = snapshot.covers.accounts
    rows = snapshot.get("accounts", ())
    known = AccountList(there, tuple(row for row in rows if isinstance(row, dict) and row.get("id") in there))
    found = find(name, known)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"account {name!r}: that is what {' and '.join(found)} are called")
    require_name(name, "--account")
    if name in snapshot.covers.missing_accounts:
        raise UsageError(f"account {name}: not in the snapshot, for IBKR gave nothing of it")
    raise UsageError(f"account {name}: not in the snapshot, which has {', '.join(there)}")


class Shown:
    """What is to be shown: a part of a saved snapshot, or what there is."""

    def __init__(
        self, setting: Setting, resource: str | None, accounts: Sequence[str], *, at: str | None, file: Path | None
    ) -> None:
        """Reads the snapshot.

        Args:
            setting: where saved snapshots are.
            resource: the part; None: what there is.
            accounts: only these; empty: all that are in it.
            at: the copy of a date, see `store.dated`.
            file: another file.

        Raises:
            UsageError: there is no such part, account, copy or file.
            SnapshotMissing: nothing has been saved yet.
            ConfigError: this snapshot has not got the part, or this user may not read it.
            DataError: the file is damaged.
        """
        from ibkr_tools.errors import UsageError
        from ibkr_tools.fetch import store
        from ibkr_tools.fetch.saved import Snapshot

        if at is not None and file is not None:
            raise UsageError("--at and --file both say which snapshot: give one of them")
        directory = setting.directories.snapshots
        where = file or (directory / store.LATEST if at is None else store.dated(directory, at))
        data = store.latest(directory) if at is None and file is None else store.read(where)
        self._snapshot = Snapshot(data, str(where))
        self._copies = store.copies(directory) if resource is None and file is None else []
        self.resource = resource.replace("-", "_") if resource else None
        if self.resource is not None and self.resource not in self._snapshot:
            _missing(self.resource, self._snapshot, where)
        there = self._snapshot.covers.accounts
        self._accounts = tuple(dict.fromkeys(_number_of(name, self._snapshot) for name in accounts)) or there

    def document(self) -> bytes:
        """Returns the JSON that `fetch` would print."""
        return self._narrowed().encode()

    def _narrowed(self) -> "Snapshot":
        return self._snapshot.narrowed([self.resource] if self.resource else (), self._accounts)

    def text(self, width: int | None = None, *, everything: bool) -> str:
        """Returns the table and its age; `width`: of the terminal; `everything`: all rows and columns."""
        from ibkr_tools.cli import overview
        from ibkr_tools.status import utc_now
        from ibkr_tools.text import visible

        if self.resource is None:
            text = overview.view(self._narrowed(), self._copies)
        else:
            from ibkr_tools.views import view

            # All parts: what a position weighs is in others.
            is_all = set(self._accounts) == set(self._snapshot.covers.accounts)
            whole = self._snapshot if is_all else self._snapshot.narrowed((), self._accounts)
            text = view(whole, self.resource, everything=everything, width=width)
        taken = self._snapshot.part_as_of(self.resource) if self.resource else self._snapshot.as_of
        lines = [text, *overview.gaps(self._snapshot.covers), overview.age(taken, self._accounts, utc_now())]
        return visible("\n".join(lines) + "\n")
