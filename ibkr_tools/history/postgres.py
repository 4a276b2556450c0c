"""The history in PostgreSQL, for several hosts: each brings what its own statements say, and the newest counts.

The tables are those of the file of SQLite, in a schema of their own. A host that has rebuilt its history replaces, in
one transaction, the days of which it has the newest source, section by section; what another host knows better stays.
So two may write at once, and nothing is lost or there twice. Whoever reads sees what was there before or after.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import sqlalchemy as sa

from ibkr_tools.errors import ConfigError, DatabaseUnavailable, DataError, SnapshotMissing
from ibkr_tools.history.coverage_days import covered_days, covered_runs
from ibkr_tools.history.postgres_errors import ErrorMeaning, meaning_of
from ibkr_tools.history.queries import HistoryQueries
from ibkr_tools.history.records import Coverage, Instrument, NavChange
from ibkr_tools.history.sections import SECTIONS, HistorySection, Span
from ibkr_tools.history.tables import METADATA, SCHEMA_VERSION, TABLES, UnreadableRowError, read_records, to_row
from ibkr_tools.installation import LAYOUT
from ibkr_tools.number_format import single_line

SCHEMA = "ibkr_tools"

_LOCK = 0x49424B52
"""The advisory lock that a writer holds until its transaction ends."""

LOCK_TIMEOUT_S = 300.0
"""So long another writer is waited for; every role of the server can hold the lock."""

_BATCH_ROWS = 1000
_MAX_SHOWN = 300
"""In characters, of what the server says."""

_PARAMETERS = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "application_name": "ibkr-tools",
    "client_encoding": "utf8",
}
"""Of libpq, where the URL has no others: within a minute it notices that a host has gone that says nothing more."""

_URL_HINT = "See history.database in docs/history.md#postgresql."
_DAMAGE_HINT = (
    f"Have all hosts run the same version. If they do: DROP SCHEMA {SCHEMA} CASCADE, and `ibkr-tools history rebuild` "
    "on each."
)
_RIGHTS_HINT = "Does its role have the right to make and use the schema?"

_VERSION_METADATA = sa.MetaData()
_VERSION = sa.Table("schema_version", _VERSION_METADATA, sa.Column("version", sa.Integer, nullable=False))

_KEYED = ((NavChange, ("account", "day", "from_day")), (Instrument, ("account", "conid")))
"""Records that are of no single day, and what tells them apart."""


class PostgresHistory(HistoryQueries):
    """The history in the database of a URL such as `postgresql://ibkr@db.example.org/portfolio`.

    libpq, PostgreSQL's own library, finds the password in its password file, unless one is given.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        self._url = url
        self._password = password

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        with self._transaction() as connection:
            version = _version(connection)
            if version is None:
                raise SnapshotMissing(
                    f"there is no history in {self.name} yet",
                    hint="`ibkr-tools history rebuild` brings that of this host.",
                )
            if version != SCHEMA_VERSION:
                raise ConfigError(
                    f"{self.name}: made by another version (of tables {version}; this one has {SCHEMA_VERSION})",
                    hint="Have all hosts run the same version, and `ibkr-tools history rebuild` on each.",
                )
            yield connection

    @property
    def name(self) -> str:
        """Returns what errors call the database."""
        return self._url.partition("?")[0]

    def merge(self, local: sa.Connection) -> None:
        """Brings what a database in memory has, in one transaction; see the module.

        Raises:
            DatabaseUnavailable: there is no connection, it broke off, or somebody holds the lock; nothing has changed.
            ConfigError: the server refuses, has tables of a newer version, or psycopg is missing.
            DataError: somebody else has changed the tables.
        """
        with self._transaction() as connection:
            # Whoever else writes is waited for; the lock goes with the transaction.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            self._prepare(connection)
            for section in SECTIONS:
                if section.span is not Span.WHOLE:
                    _merge_section(local, connection, section)
            for kind, key in _KEYED:
                _merge_keyed(local, connection, kind, key)

    def _prepare(self, connection: sa.Connection) -> None:
        """Makes the tables; those of an older version are replaced, and filled again by each host's next rebuild."""
        version = _version(connection)
        if version is not None and version > SCHEMA_VERSION:
            raise ConfigError(
                f"{self.name}: made by a newer version (of tables {version}; this one has {SCHEMA_VERSION})",
                hint="Update ibkr-tools on this host.",
            )
        if version == SCHEMA_VERSION:
            return
        if version is not None:
            connection.execute(sa.schema.DropSchema(SCHEMA, cascade=True))
        if SCHEMA not in sa.inspect(connection).get_schema_names():
            connection.execute(sa.schema.CreateSchema(SCHEMA))
        _VERSION_METADATA.create_all(connection)
        METADATA.create_all(connection)
        connection.execute(sa.insert(_VERSION), {"version": SCHEMA_VERSION})

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        url = sa.make_url(self._url).set(drivername="postgresql+psycopg")
        arguments: dict[str, Any] = {name: value for name, value in _PARAMETERS.items() if name not in url.query}
        if self._password is not None:
            arguments["password"] = self._password
        try:
            engine = sa.create_engine(url, connect_args=arguments, poolclass=sa.pool.NullPool)
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"history.database needs {error.name}, which is not installed",
                hint=f"{LAYOUT.with_postgres}; without it: pip install 'ibkr-tools[postgres]'.",
            ) from error
        except sa.exc.ArgumentError as error:
            raise ConfigError(f"{self.name}: {error}", hint=_URL_HINT) from error
        try:
            with (
                engine.connect().execution_options(schema_translate_map={None: SCHEMA}) as connection,
                connection.begin(),
            ):
                # Somebody else may have locked a table, and gone; the setting goes with the transaction.
                connection.execute(sa.select(sa.func.set_config("lock_timeout", f"{LOCK_TIMEOUT_S * 1000:.0f}", True)))
                yield connection
        except sa.exc.DBAPIError as error:
            raise self._translated(error) from error
        except (UnreadableRowError, sa.exc.InvalidRequestError) as error:
            # The second: a column has another type than it was made with.
            raise DataError(f"{self.name}: {error}", hint=_DAMAGE_HINT) from error
        finally:
            engine.dispose()

    def _translated(self, error: sa.exc.DBAPIError) -> ConfigError | DatabaseUnavailable | DataError:
        text = f"{self.name}: {_first_line(error)}"
        state = getattr(error.orig, "sqlstate", None)
        is_operational = isinstance(error, sa.exc.OperationalError)
        match meaning_of(state, str(error.orig), is_operational=is_operational):
            case ErrorMeaning.CONFIGURATION:
                hint = _RIGHTS_HINT if state else _URL_HINT
                return ConfigError(text, hint=hint)
            case ErrorMeaning.DAMAGED:
                return DataError(text, hint=_DAMAGE_HINT)
            case ErrorMeaning.UNAVAILABLE:
                return DatabaseUnavailable(text, hint="Nothing has changed there.")


def _first_line(error: sa.exc.DBAPIError) -> str:
    return single_line(str(error.orig).strip().partition("\n")[0])[:_MAX_SHOWN]


def _version(connection: sa.Connection) -> int | None:
    """Returns the version of the tables; None: there are none."""
    if not sa.inspect(connection).has_table(_VERSION.name, schema=SCHEMA):
        return None
    version: Any = connection.execute(sa.select(_VERSION.c.version)).scalar()
    if version is not None and not isinstance(version, int):
        raise UnreadableRowError(f"table {_VERSION.name}: {version!s:.40} is no version")
    return version


def _merge_section(local: sa.Connection, remote: sa.Connection, section: HistorySection) -> None:
    ours, theirs = (covered_days(_coverage(connection, section.name)) for connection in (local, remote))
    for account, days in ours.items():
        known = theirs.get(account, {})
        won = {day: generation for day, generation in days.items() if day not in known or known[day] <= generation}
        if not won:
            continue
        for kind, _ in section.records:
            _replace_days(local, remote, TABLES[kind], account, won.keys())
        coverage = TABLES[Coverage]
        remote.execute(sa.delete(coverage).where(coverage.c.account == account, coverage.c.section == section.name))
        _insert(remote, coverage, (to_row(item) for item in covered_runs(account, section.name, known | won)))


def _coverage(connection: sa.Connection, section: str) -> list[Coverage]:
    table = TABLES[Coverage]
    return read_records(Coverage, connection.execute(sa.select(table).where(table.c.section == section)).mappings())


def _replace_days(
    local: sa.Connection, remote: sa.Connection, table: sa.Table, account: str, days: Iterable[date]
) -> None:
    wanted = frozenset(days)
    remote.execute(
        sa.delete(table).where(table.c.account == account, table.c.day == sa.func.any(sa.cast(sorted(wanted), _DAYS)))
    )
    rows = local.execute(sa.select(table).where(table.c.account == account)).mappings()
    _insert(remote, table, (dict(row) for row in rows if row["day"] in wanted))


_DAYS = sa.ARRAY(sa.Date)


def _insert(remote: sa.Connection, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) >= _BATCH_ROWS:
            remote.execute(sa.insert(table), batch)
            batch = []
    if batch:
        remote.execute(sa.insert(table), batch)


def _merge_keyed(local: sa.Connection, remote: sa.Connection, kind: type, key: Sequence[str]) -> None:
    """Has records be the newer ones of both sides; texts that the newer one does not have are those of the older."""
    table = TABLES[kind]
    ours, theirs = (
        {
            tuple(row[name] for name in key): row
            for row in map(to_row, read_records(kind, connection.execute(sa.select(table)).mappings()))
        }
        for connection in (local, remote)
    )
    changed = []
    for place, own in ours.items():
        other = theirs.get(place)
        if other is None:
            changed.append(own)
            continue
        older, newer = sorted((other, own), key=lambda row: (row["day"], row["generated_at"]))
        merged = {name: older[name] if value == "" else value for name, value in newer.items()}
        if merged != other:
            remote.execute(sa.delete(table).where(*(table.c[name] == merged[name] for name in key)))
            changed.append(merged)
    _insert(remote, table, changed)
