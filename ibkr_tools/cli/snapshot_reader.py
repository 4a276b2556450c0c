"""What `show` shows: the parts of a saved snapshot, read without any request."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ibkr_tools.cli.app_context import AppContext

if TYPE_CHECKING:
    from ibkr_tools.fetch.snapshot import Snapshot


def _raise_missing(resource: str, snapshot: "Snapshot", where: Path) -> NoReturn:
    from ibkr_tools.errors import ConfigError, SnapshotMissing
    from ibkr_tools.fetch.plan import require_resources
    from ibkr_tools.portal.endpoints import SNAPSHOT_RESOURCES

    # A name that does not exist at all is told with a suggestion.
    require_resources([resource])
    if resource in snapshot.covers.missing:
        raise SnapshotMissing(f"{where}: has no {resource}: {snapshot.covers.missing[resource]}")
    hint = f'Add "{resource}" to fetch.resources in the configuration; the next saved snapshot has it.'
    if resource not in SNAPSHOT_RESOURCES:
        hint = f"It needs a parameter: `ibkr-tools resources {resource}` says how it is fetched."
    raise ConfigError(f"{where}: has no {resource}, only {', '.join(snapshot) or 'nothing'}", hint=hint)


def _account_number(name: str, snapshot: "Snapshot") -> str:
    from ibkr_tools.account_ids import require_name
    from ibkr_tools.errors import UsageError
    from ibkr_tools.fetch.account_list import AccountList, match_accounts

    saved_accounts = snapshot.covers.accounts
    rows = snapshot.get("accounts", ())
    account_list = AccountList(
        saved_accounts, tuple(row for row in rows if isinstance(row, dict) and row.get("id") in saved_accounts)
    )
    matches = match_accounts(name, account_list)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"account {name!r}: that is what {' and '.join(matches)} are called")
    require_name(name, "--account")
    if name in snapshot.covers.missing_accounts:
        raise UsageError(f"account {name}: not in the snapshot, for IBKR gave nothing of it")
    raise UsageError(f"account {name}: not in the snapshot, which has {', '.join(saved_accounts)}")


class SnapshotReader:
    """What is to be shown: a part of a saved snapshot, or what there is."""

    def __init__(
        self,
        app_context: AppContext,
        resource: str | None,
        accounts: Sequence[str],
        *,
        at: str | None,
        file: Path | None,
    ) -> None:
        """Reads the snapshot.

        Args:
            app_context: where saved snapshots are.
            resource: the part; None: what there is.
            accounts: only these; empty: all that are in it.
            at: the copy of a date, see `snapshot_store.find_copy`.
            file: another file.

        Raises:
            UsageError: there is no such part, account, copy or file.
            SnapshotMissing: nothing has been saved yet.
            ConfigError: this snapshot has not got the part, or this user may not read it.
            DataError: the file is damaged.
        """
        from ibkr_tools.errors import UsageError
        from ibkr_tools.fetch import snapshot_store
        from ibkr_tools.fetch.snapshot import Snapshot

        if at is not None and file is not None:
            raise UsageError("--at and --file both say which snapshot: give one of them")
        directory = app_context.directories.snapshots
        where = file or (
            directory / snapshot_store.LATEST_FILE if at is None else snapshot_store.find_copy(directory, at)
        )
        data = (
            snapshot_store.read_latest(directory)
            if at is None and file is None
            else snapshot_store.read_snapshot(where)
        )
        self._snapshot = Snapshot(data, str(where))
        self._copies = snapshot_store.list_copies(directory) if resource is None and file is None else []
        self.resource = resource.replace("-", "_") if resource else None
        if self.resource is not None and self.resource not in self._snapshot:
            _raise_missing(self.resource, self._snapshot, where)
        saved_accounts = self._snapshot.covers.accounts
        self._accounts = (
            tuple(dict.fromkeys(_account_number(name, self._snapshot) for name in accounts)) or saved_accounts
        )

    def document(self) -> bytes:
        """Returns the JSON that `fetch` would print."""
        return self._narrowed().encode()

    def _narrowed(self) -> "Snapshot":
        return self._snapshot.narrowed([self.resource] if self.resource else (), self._accounts)

    def text(self, width: int | None = None, *, everything: bool) -> str:
        """Returns the table and its age; `width`: of the terminal; `everything`: all rows and columns."""
        from ibkr_tools.cli import snapshot_overview
        from ibkr_tools.status import utc_now

        if self.resource is None:
            text = snapshot_overview.snapshot_table(self._narrowed(), self._copies)
        else:
            from ibkr_tools.views import format_resource

            # All parts: what a position weighs is in others.
            is_all = set(self._accounts) == set(self._snapshot.covers.accounts)
            whole = self._snapshot if is_all else self._snapshot.narrowed((), self._accounts)
            text = format_resource(whole, self.resource, everything=everything, width=width)
        taken = self._snapshot.part_as_of(self.resource) if self.resource else self._snapshot.as_of
        lines = [
            text,
            *snapshot_overview.missing_lines(self._snapshot.covers),
            snapshot_overview.age_line(taken, self._accounts, utc_now()),
        ]
        return "\n".join(lines)
