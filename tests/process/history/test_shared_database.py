"""A database of PostgreSQL that others may write to, and that goes away: what is wrong is named in one line."""

import json
import os
import socket
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from ibkr_tools.errors import ConfigError, DatabaseUnavailable, DataError, IbkrError
from ibkr_tools.history import postgres
from ibkr_tools.history.postgres import SCHEMA, PostgresHistory
from ibkr_tools.history.records import AccountValue, CashBooking, Coverage, Instrument, NavChange, Position
from ibkr_tools.history.return_query import read_returns
from tests.support.flex_statements import document, head, statement
from tests.support.history_hosts import OLD, OTHER_WEEK, bring
from tests.support.history_sources import of, source
from tests.support.installation import Installation, printed
from tests.support.patience import wait_until
from tests.support.postgres import needs_postgres

pytestmark = needs_postgres


@pytest.fixture
def history(url: str) -> PostgresHistory:
    """The database with what one host has brought."""
    found = PostgresHistory(url, "geheim")
    execute(found, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    extra = of("SecuritiesInfo", "SecurityInfo", {"conid": "4711", "symbol": "VWRL"})
    bring(found, [OLD, (source(extra), "e")])
    return found


def execute(history: PostgresHistory, *statements: str) -> None:
    """Does what another program does that has the role's rights."""
    with history._transaction() as connection:
        connection.exec_driver_sql("SET LOCAL search_path TO ibkr_tools")
        for one in statements:
            connection.exec_driver_sql(one)


def one_line(error: IbkrError) -> str:
    """Returns the message, which says what it is about in one line that can be read."""
    assert "\n" not in error.message
    assert len(error.message) < 400
    assert error.hint
    return error.message


ONE_RUN = "section = 'OpenPositions' AND day = (SELECT max(day) FROM coverage WHERE section = 'OpenPositions')"

KINDS = (AccountValue, CashBooking, Coverage, Instrument, NavChange, Position)


def read_all(history: PostgresHistory) -> None:
    history.base_currencies()
    for kind in KINDS:
        history.records(kind)
    history.positions()
    read_returns(history)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE account_value SET source = 'bank'", r"account_value, column source: 'bank' is unknown"),
        ("UPDATE account_value SET source = repeat('x', 1000000)", "column source"),
        ("UPDATE account_value SET total = 'NaN'", r"column total: .*NaN.* is no amount"),
        ("UPDATE account_value SET cash = '-Infinity'", "column cash"),
        ("UPDATE account_value SET total = 1e1000", "column total"),
        ("UPDATE account_value SET day = 'infinity' WHERE day = '2026-01-09'", "date too large"),
        ("UPDATE account_value SET day = '0044-03-15 BC' WHERE day = '2026-01-09'", "date too small"),
        ("UPDATE account_value SET day = '1492-10-12' WHERE day = '2026-01-09'", "no day of a statement"),
        ("UPDATE cash_booking SET kind = 'bribe'", "column kind"),
        ("UPDATE cash_booking SET amount_in_base = 'NaN'", "column amount_in_base"),
        (f"UPDATE coverage SET day = '0001-01-01', to_day = '9999-12-31' WHERE {ONE_RUN}", "no day of a statement"),
        ("UPDATE coverage SET source = ''", "table coverage, column source"),
        ("ALTER TABLE account_value ALTER total DROP NOT NULL; UPDATE account_value SET total = NULL", "column total"),
        (
            "ALTER TABLE account_value ALTER currency DROP NOT NULL; UPDATE account_value SET currency = NULL",
            "currency",
        ),
        ("ALTER TABLE account_value ALTER total TYPE text USING 'much'", "numeric type"),
        ("ALTER TABLE account_value ALTER day TYPE text USING day::text", "account_value"),
        ("ALTER TABLE cash_booking ALTER number TYPE text USING 'x' || number", "cash_booking"),
        ("ALTER TABLE cash_booking ALTER symbol TYPE bytea USING symbol::bytea", "column symbol"),
        ("ALTER TABLE account_value DROP COLUMN cash", "cash"),
        ("ALTER TABLE instrument RENAME TO instruments", "instrument"),
        ("DROP TABLE position", "position"),
        ("DROP TABLE coverage", "coverage"),
        ("ALTER TABLE schema_version ALTER version TYPE text", "version"),
        ("ALTER TABLE schema_version RENAME version TO number", "version"),
    ],
)
def test_what_others_have_written_is_65(history: PostgresHistory, change: str, named: str) -> None:
    """It is neither shown nor left out."""
    execute(history, change)
    with pytest.raises(DataError, match=named) as caught:
        read_all(history)
    assert "DROP SCHEMA" in (caught.value.hint or "")
    one_line(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE coverage SET day = '0001-01-01', to_day = '9999-12-31' WHERE {ONE_RUN}",
        "UPDATE coverage SET source = 'bank'",
        "UPDATE instrument SET day = 'infinity'",
        "ALTER TABLE instrument ALTER day DROP NOT NULL; UPDATE instrument SET day = NULL",
        "DROP TABLE position",
        "ALTER TABLE cash_booking DROP COLUMN isin",
        "ALTER TABLE account_value ADD CHECK (total < 0) NOT VALID",
        "ALTER TABLE coverage ADD mood text NOT NULL DEFAULT ''; ALTER TABLE coverage ALTER mood DROP DEFAULT",
        "ALTER TABLE account_value ALTER total TYPE numeric(4, 2) USING 1",
        "ALTER TABLE schema_version ALTER version TYPE text",
    ],
)
def test_nothing_is_merged_into_what_others_have_changed(history: PostgresHistory, change: str) -> None:
    execute(history, change)
    with pytest.raises(DataError) as caught:
        bring(history, [OLD, OTHER_WEEK])
    one_line(caught.value)


def test_long_texts_and_foreign_rows_are_shown_as_others(
    history: PostgresHistory, url: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """A megabyte, and what would be a command to a terminal; days far away."""
    execute(history, "UPDATE cash_booking SET description = repeat('x', 1000000), symbol = E'\\x1b[2J\\n'")
    place = configured(Installation(tmp_path / "place", environment), url)
    shown = printed(place, "history", "income")
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert len(shown.splitlines()) == 4
    assert len(json.loads(printed(place, "history", "income", "-f", "json"))[0]["description"]) == 1_000_000


def configured(place: Installation, url: str) -> Installation:
    """Configures a place to have its history at a URL."""
    place.configure(5000)
    secret = place.directories.configuration / "database-password"
    secret.write_text("geheim\n")
    secret.chmod(0o600)
    config = json.loads(place.directories.config_file.read_bytes())
    config["history"] = {"database": url, "password_file": os.fspath(secret)}
    place.directories.config_file.write_text(json.dumps(config))
    return place


def test_every_reading_command_ends_with_65(
    history: PostgresHistory, url: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Two lines, and no traceback; a rebuild too."""
    execute(
        history,
        "UPDATE account_value SET total = 'NaN'",
        "UPDATE coverage SET source = 'bank'",
        "DROP TABLE trade",
        "UPDATE cash_booking SET kind = 'bribe', amount = 'NaN'",
    )
    place = configured(Installation(tmp_path / "place", environment), url)
    (tmp_path / "week.xml").write_bytes(document(statement(attributes=head())))
    for command in (
        *(["history", name] for name in ("values", "income", "flows", "trades", "positions", "returns", "check")),
        ["history", "values", "--plot"],
        ["history", "fees", "--by", "month"],
        ["flex", "import", str(tmp_path / "week.xml")],
    ):
        done = place.run(*command)
        told = done.stderr.splitlines()
        assert (command, done.returncode) == (command, 65), done.stderr
        assert [line.split(":")[0] for line in told] == ["error", "hint"], done.stderr


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=foo",
        "gssencmode=maybe",
        "channel_binding=perhaps",
        "target_session_attrs=mine",
        "connect_timeout=soon",
        "host=localhost&port=99999",
        "host=localhost&port=abc",
        "host=a,b&port=1,2,3",
        "colour=blue",
        "service=nowhere",
        "options=-cnonsense%3D1",
        "client_encoding=klingon",
        "user=nobody-here",
    ],
)
def test_mistakes_in_the_url_are_78(history: PostgresHistory, url: str, options: str) -> None:
    name = options.partition("=")[0]
    joined = url if name != "host" else url.partition("?")[0]
    broken = PostgresHistory(f"{joined}{'&' if '?' in joined else '?'}{options}", "geheim")
    with pytest.raises(ConfigError) as caught:
        broken.values()
    assert "geheim" not in one_line(caught.value)


def refuse_encryption(listener: socket.socket) -> None:
    """Says to each that asks that this server has none."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            if connection.recv(8):
                connection.sendall(b"N")


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=require",
        "sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
        "sslmode=require&keepalives_idle=often",
        "sslmode=require&tcp_user_timeout=never",
        "sslmode=require&ssl_min_protocol_version=TLSv9",
        "gssencmode=require",
    ],
)
def test_mistakes_that_only_a_connection_over_tcp_shows(options: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse_encryption, args=(listener,), daemon=True)
        thread.start()
        broken = PostgresHistory(f"postgresql://ibkr@127.0.0.1:{listener.getsockname()[1]}/x?{options}", "geheim")
        with pytest.raises(ConfigError) as caught:
            broken.values()
        one_line(caught.value)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_role_that_may_only_read(history: PostgresHistory, url: str) -> None:
    """It reads; a rebuild of its host names what it may not."""
    execute(
        history,
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN PASSWORD 'lesen'",
        "GRANT USAGE ON SCHEMA ibkr_tools TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA ibkr_tools TO reader",
    )
    reader = PostgresHistory(url.replace("ibkr@", "reader@"), "lesen")
    assert reader.values() == history.values()
    with pytest.raises(ConfigError, match="permission denied"):
        bring(reader, [OTHER_WEEK])
    read_only = PostgresHistory(f"{url}&options=-cdefault_transaction_read_only%3Don", "geheim")
    assert read_only.values() == history.values()
    with pytest.raises(ConfigError, match="read-only"):
        bring(read_only, [OTHER_WEEK])
    execute(history, "REVOKE SELECT ON position FROM reader")
    with pytest.raises(ConfigError, match="permission denied"):
        reader.positions()
    execute(history, "DROP OWNED BY reader", "DROP ROLE reader")


def test_a_connection_that_is_lost_in_the_middle_of_a_query(history: PostgresHistory) -> None:
    """69, and nothing of the merge is there; the next one has it all."""
    before = history.values()

    def lose_it() -> None:
        with history._transaction() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            threading.Thread(target=end_backend, args=(history, pid)).start()
            connection.exec_driver_sql("DELETE FROM ibkr_tools.account_value")
            connection.exec_driver_sql("SELECT pg_sleep(600)")

    with pytest.raises(DatabaseUnavailable) as caught:
        lose_it()
    one_line(caught.value)
    assert history.values() == before
    bring(history, [OTHER_WEEK])
    assert history.values() != before


def end_backend(history: PostgresHistory, pid: int | None) -> None:
    """Ends a connection, as a restart of the server does, once it waits in its query."""

    def sleeps() -> bool:
        with history._transaction() as connection:
            query = connection.exec_driver_sql("SELECT query FROM pg_stat_activity WHERE pid = %s", (pid,)).scalar()
            return "pg_sleep" in str(query)

    wait_until(sleeps, 60)
    execute(history, f"SELECT pg_terminate_backend({pid})")


def test_a_host_that_says_nothing_more_is_noticed_within_a_minute(history: PostgresHistory, url: str) -> None:
    """libpq and the kernel do that, and what the URL says of it counts."""
    with history._transaction() as connection:
        found = parameters(connection)
    assert int(found["keepalives_idle"]) + int(found["keepalives_interval"]) * int(found["keepalives_count"]) == 60
    assert (found["tcp_user_timeout"], found["connect_timeout"]) == ("60000", "10")
    other = PostgresHistory(f"{url}&connect_timeout=3&tcp_user_timeout=5000", "geheim")
    with other._transaction() as connection:
        found = parameters(connection)
    assert (found["tcp_user_timeout"], found["connect_timeout"]) == ("5000", "3")


def parameters(connection: sa.Connection) -> dict[str, str]:
    driver = connection.connection.driver_connection
    assert driver is not None
    found: dict[str, str] = driver.info.get_parameters()
    return found


def test_a_table_that_somebody_has_locked_is_not_waited_for_without_end(
    history: PostgresHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with history._transaction() as other:
        other.exec_driver_sql("LOCK TABLE ibkr_tools.account_value")
        monkeypatch.setattr(postgres, "LOCK_TIMEOUT_S", 0.2)
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            history.values()
