"""A snapshot as data: its envelope, and its parts, decoded when they are asked for."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from ibkr_tools.errors import DataError
from ibkr_tools.fetch.snapshot_document import SNAPSHOT_SCHEMA, SnapshotMetadata
from ibkr_tools.portal.json_decoder import decode_json

if TYPE_CHECKING:
    from ibkr_tools.fetch.balances import Balances
    from ibkr_tools.fetch.holdings import Holdings

_AwareDatetime = Annotated[datetime, msgspec.Meta(tz=True)]


class _Envelope(msgspec.Struct):
    schema: int
    as_of: _AwareDatetime
    account: str
    covers: SnapshotMetadata


class Snapshot(Mapping[str, Any]):
    """One complete snapshot: a mapping from the names of its resources to IBKR's payloads.

    Attributes:
        as_of: when the last answer came (UTC).
        account: the account of the configuration.
        covers: the accounts, resources and parameters it was asked for; see `fetch.snapshot_document.SnapshotMetadata`.
    """

    def __init__(self, data: bytes, source: str = "the snapshot") -> None:
        """Reads the envelope.

        Args:
            data: the JSON, as `fetch` prints it or `--save` stores it.
            source: its file, for messages.

        Raises:
            DataError: not JSON, not a snapshot, or one of a later version.
        """
        self._source = source
        self._data = data
        try:
            self._members: dict[str, msgspec.Raw] = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
            schema = msgspec.json.decode(self._members.get("schema", b"null"))
            if schema != SNAPSHOT_SCHEMA:
                raise DataError(f"{source}: is of schema {schema!r}, this version knows {SNAPSHOT_SCHEMA}")
            # Not of all the data: they are long.
            envelope_members = {
                name: self._members[name] for name in ("schema", "as_of", "account", "covers") if name in self._members
            }
            envelope = msgspec.json.decode(msgspec.json.encode(envelope_members), type=_Envelope)
            self.as_of = envelope.as_of.astimezone(UTC)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
            raise DataError(f"{source}: not a snapshot of ibkr-tools ({error})") from error
        self.account = envelope.account
        self.covers = envelope.covers
        self._decoded: dict[str, Any] = {}
        self._exact: dict[str, Any] = {}

    def __repr__(self) -> str:
        return (
            f"<Snapshot of {', '.join(self.covers.accounts)} as of {self.as_of:%Y-%m-%d %H:%M} UTC: {', '.join(self)}>"
        )

    def __getitem__(self, resource: str) -> Any:
        if resource not in self:
            raise KeyError(resource)
        if resource not in self._decoded:
            try:
                self._decoded[resource] = decode_json(self._members[resource])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise DataError(f"{self._source}: {resource}: damaged ({error})") from error
        return self._decoded[resource]

    def __contains__(self, resource: object) -> bool:
        return resource in self.covers.resources and resource in self._members

    def __iter__(self) -> Iterator[str]:
        return (resource for resource in self.covers.resources if resource in self._members)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def encode(self) -> bytes:
        """Returns the JSON: keys in the order they came, numbers as IBKR wrote them."""
        return self._data

    def part(self, resource: str) -> bytes:
        """Returns the JSON of one resource, as IBKR wrote it.

        Raises:
            KeyError: it is not in the snapshot.
        """
        if resource not in self:
            raise KeyError(resource)
        return bytes(self._members[resource])

    def exact(self, resource: str) -> Any:
        """Returns a resource decoded, in which numbers with a point or an exponent are Decimals with all their digits.

        Raises:
            KeyError: it is not in the snapshot.
        """
        from ibkr_tools.number_format import decode_exact

        if resource not in self._exact:
            try:
                self._exact[resource] = decode_exact(self.part(resource))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise DataError(f"{self._source}: {resource}: damaged ({error})") from error
        return self._exact[resource]

    def holdings(self, resource: str = "positions") -> "Holdings":
        """Returns the positions as figures, with totals; docs/fetch.md says what each figure is.

        Args:
            resource: `positions`, or another that has such rows (`positions2`, `position`, `positions_by_conid`).

        Rates, base currencies and cash are those of `ledger`, `summary` and `accounts` in the same snapshot; what these
        do not say is None.

        Raises:
            KeyError: it is not in the snapshot.
            UsageError: it is not a list.
        """
        from ibkr_tools.fetch.formats import snapshot_rows
        from ibkr_tools.fetch.holdings import parse_holdings

        if resource not in self:
            raise KeyError(resource)
        payload = self.exact(resource)
        rows = payload if isinstance(payload, list) else snapshot_rows(self._data, resource).exact()
        return parse_holdings(rows, resource, self.balances(), self.covers.accounts)

    def balances(self) -> "Balances":
        """Returns base currencies, rates, cash and net liquidation values, as far as the snapshot says them."""
        from ibkr_tools.fetch.balances import Balances

        parts = {name: self.exact(name) for name in ("accounts", "ledger", "summary") if name in self}
        return Balances(parts, self.covers.accounts)

    def records(self, resource: str) -> list[dict[str, Any]]:
        """Returns a list-shaped resource as rows, for `pandas.DataFrame` and the like.

        What is kept by account or by key becomes rows with the columns `account` and `key`, as in CSV.

        Raises:
            KeyError: it is not in the snapshot.
            UsageError: it is not a list.
        """
        from ibkr_tools.fetch.formats import snapshot_rows

        if resource not in self:
            raise KeyError(resource)
        return [
            {name: decode_json(value) for name, value in row.items()} for row in snapshot_rows(self._data, resource)
        ]

    def narrowed(self, resources: Collection[str] = (), accounts: Collection[str] = ()) -> "Snapshot":
        """Returns a snapshot of some of its resources and accounts; none named means all.

        What IBKR has answered for several accounts together stays as it is.
        """
        names = [name for name in self if not resources or name in resources]
        chosen = [name for name in self.covers.accounts if not accounts or name in accounts]
        covers = msgspec.structs.replace(self.covers, accounts=tuple(chosen), resources=tuple(names))
        envelope = {
            "schema": SNAPSHOT_SCHEMA,
            "as_of": self._members["as_of"],
            "account": self.account,
            "covers": covers,
        }
        parts = {name: self._members[name] if not accounts else self._narrowed_part(name, chosen) for name in names}
        return Snapshot(msgspec.json.encode(envelope | parts), self._source)

    def _narrowed_part(self, resource: str, accounts: Collection[str]) -> Any:
        raw = self._members[resource]
        payload = self[resource]
        if isinstance(payload, dict) and payload and set(payload) <= set(self.covers.accounts):
            members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
            return {name: value for name, value in members.items() if name in accounts}
        if isinstance(payload, list):
            key = "id" if resource == "accounts" else "acctId"
            rows = msgspec.json.decode(raw, type=list[msgspec.Raw])
            others = set(self.covers.accounts) - set(accounts)
            return [
                raw_row
                for raw_row, row in zip(rows, payload, strict=True)
                if not isinstance(row, dict) or row.get(key) not in others
            ]
        return raw

    def part_as_of(self, resource: str) -> datetime:
        """Returns when the answers of one resource came; the oldest one counts."""
        received_at = self.covers.parts_at.get(resource)
        try:
            return datetime.fromisoformat(received_at).astimezone(UTC) if received_at else self.as_of
        except (ValueError, OverflowError) as error:
            raise DataError(f"{self._source}: {received_at!r} is no time") from error

    def age(self, now: datetime | None = None) -> timedelta:
        """Returns how old it is."""
        return (now or datetime.now(UTC)) - self.as_of
