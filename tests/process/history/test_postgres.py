"""The history in PostgreSQL: several hosts bring what they have, and the newest counts, whoever comes first."""

import itertools
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ibkr_tools.errors import ConfigError, DatabaseUnavailable, DataError, SnapshotMissing
from ibkr_tools.history import postgres
from ibkr_tools.history.database import DatabaseStore, new_database
from ibkr_tools.history.postgres import SCHEMA, PostgresHistory
from ibkr_tools.history.projection import Projection, project
from ibkr_tools.history.records import Coverage, Instrument
from ibkr_tools.history.tables import TABLES
from tests.support.flex_statements import document, head, statement
from tests.support.history_hosts import OLD, OTHER_ACCOUNT, OTHER_WEEK, RESTATED, Sources, bring
from tests.support.history_sources import source
from tests.support.installation import Installation, printed
from tests.support.postgres import needs_postgres

pytestmark = needs_postgres


@pytest.fixture
def history(url: str) -> PostgresHistory:
    """The database, without anything of ours."""
    found = PostgresHistory(url, "geheim")
    with found._transaction() as connection:
        connection.execute(sa.schema.DropSchema(SCHEMA, cascade=True, if_exists=True))
    return found


def tables(history: PostgresHistory) -> dict[type, list[Any]]:
    return {kind: sorted(history.records(kind), key=repr) for kind in TABLES}


def expected(sources: Sources) -> dict[type, list[Any]]:
    projection = project(sources)
    made: dict[type, list[Any]] = {kind: sorted(projection.records(kind), key=repr) for kind in TABLES}
    return made | {Coverage: sorted(projection.coverage(), key=repr)}


def test_what_one_host_brings_is_what_the_file_would_have(history: PostgresHistory) -> None:
    """Digit by digit, and no more the second time."""
    bring(history, [OLD, RESTATED, OTHER_ACCOUNT])
    once = tables(history)
    assert once == expected([OLD, RESTATED, OTHER_ACCOUNT])
    bring(history, [OLD, RESTATED, OTHER_ACCOUNT])
    assert tables(history) == once


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_hosts_may_come_in_any_order(history: PostgresHistory, order: tuple[int, ...]) -> None:
    """Each has something that the others have not, and one has a newer statement of the same days."""
    hosts: list[Sources] = [[OLD, OTHER_WEEK], [RESTATED], [OTHER_ACCOUNT, OLD]]
    for number in order:
        bring(history, hosts[number])
    assert tables(history) == expected([OLD, OTHER_WEEK, RESTATED, OTHER_ACCOUNT])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_one_host_alone_knows_of_an_instrument_stays(history: PostgresHistory, order: tuple[int, int]) -> None:
    """The newer statement has the new symbol, and no ISIN."""
    info = {"conid": "4711", "isin": "US1", "symbol": "FB"}
    old = source({"SecuritiesInfo": [("SecurityInfo", info)]}, toDate="20260106")
    new = source({"SecuritiesInfo": [("SecurityInfo", info | {"isin": "", "symbol": "META"})]}, fromDate="20260107")
    hosts: list[Sources] = [[(old, "a")], [(new, "b")]]
    for number in order:
        bring(history, hosts[number])
    (found,) = history.records(Instrument)
    assert (found.symbol, found.isin, f"{found.day}") == ("META", "US1", "2026-01-09")


def test_hosts_may_write_at_once(history: PostgresHistory) -> None:
    """One waits for the other: nothing is lost, nothing there twice."""
    hosts: list[Sources] = [[OLD, OTHER_WEEK], [RESTATED], [OTHER_ACCOUNT, OLD], [OTHER_WEEK, RESTATED]]
    threads = [threading.Thread(target=bring, args=(history, sources)) for sources in hosts * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tables(history) == expected([OLD, OTHER_WEEK, RESTATED, OTHER_ACCOUNT])


def test_a_merge_that_breaks_off_changes_nothing(history: PostgresHistory) -> None:
    bring(history, [OLD])
    before = tables(history)
    with new_database() as connection:
        store = DatabaseStore(connection)
        projection = Projection(store)
        projection.add(*OTHER_WEEK)
        projection.finish()
        # The last table cannot be read when all others are written.
        connection.exec_driver_sql("UPDATE instrument SET day = 'no day'")
        connection.commit()
        with pytest.raises(DataError, match="no day"):
            history.merge(connection)
    assert tables(history) == before


def test_a_lock_that_is_held_is_not_waited_for_without_end(
    history: PostgresHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, history._transaction() as other:
        patch.setattr(postgres, "LOCK_TIMEOUT_S", 0.2)
        other.execute(sa.select(sa.func.pg_advisory_lock(postgres._LOCK)))
        with pytest.raises(DatabaseUnavailable, match="lock timeout"):
            bring(history, [OLD])
    # The server frees the lock when it has noticed the end of who held it.
    bring(history, [OLD])
    assert tables(history) == expected([OLD])


def test_nothing_yet(history: PostgresHistory) -> None:
    with pytest.raises(SnapshotMissing, match="no history"):
        history.values()


def test_another_version_is_named_and_an_older_one_replaced(history: PostgresHistory) -> None:
    bring(history, [OLD])
    with history._transaction() as connection:
        connection.exec_driver_sql(f"UPDATE {SCHEMA}.schema_version SET version = 99")
    with pytest.raises(ConfigError, match="another version"):
        history.values()
    with pytest.raises(ConfigError, match="newer version"):
        bring(history, [OLD])
    with history._transaction() as connection:
        connection.exec_driver_sql(f"UPDATE {SCHEMA}.schema_version SET version = 1")
    bring(history, [OTHER_ACCOUNT])
    assert tables(history) == expected([OTHER_ACCOUNT])


def test_a_refusal_is_a_matter_of_the_configuration(url: str) -> None:
    """The password stands in no message."""
    with pytest.raises(ConfigError, match="authentication failed") as caught:
        PostgresHistory(url, "falsch-geheim").values()
    assert "falsch-geheim" not in f"{caught.value.message}{caught.value.hint}"
    with pytest.raises(ConfigError, match="does not exist"):
        PostgresHistory(url.replace("/postgres?", "/nowhere?"), "geheim").values()


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        PostgresHistory(f"postgresql://ibkr@/postgres?host={tmp_path}", "geheim").values()
    assert caught.value.exit_code == 69


def test_the_commands_use_it(tmp_path: Path, environment: dict[str, str], url: str, history: PostgresHistory) -> None:
    """With a password from a file; none of it is in what they print."""
    place = Installation(tmp_path / "place", environment)
    secret = tmp_path / "secret"
    secret.write_text("geheim\n")
    secret.chmod(0o600)
    place.configure(5000)
    config = json.loads(place.directories.config_file.read_bytes())
    config["history"] = {"database": url, "password_file": os.fspath(secret)}
    place.directories.config_file.write_text(json.dumps(config))
    (tmp_path / "week.xml").write_bytes(document(statement(attributes=head())))
    printed(place, "flex", "import", str(tmp_path / "week.xml"))
    assert len(history.values()) == 2
    assert not place.directories.history.exists()
    assert printed(place, "history", "income", "--jq", "[.[].amount]", "-c") == "[10]\n"
    assert printed(place, "history", "rebuild").startswith("history: 2 values")
    secret.write_text("falsch\n")
    done = place.run("history", "values")
    assert (done.returncode, "falsch" in done.stderr) == (78, False)
    secret.unlink()
    (tmp_path / ".pgpass").write_text("*:*:*:ibkr:geheim\n")
    (tmp_path / ".pgpass").chmod(0o600)
    assert printed(place, "history", "values", "--jq", "length") == "2\n"
