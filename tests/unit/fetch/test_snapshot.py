"""A snapshot as data: numbers and rows as IBKR wrote them, and what is damaged is told."""

from datetime import UTC, datetime, timedelta

import pytest

from ibkr_tools.errors import DataError
from ibkr_tools.fetch.snapshot import Snapshot
from tests.support.snapshots import document_of, simulated

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TWO = ("U1", "U2")


def made(**parts: str) -> Snapshot:
    """Returns a snapshot of two accounts with these parts."""
    return Snapshot(document_of({name: text.encode() for name, text in parts.items()}, TWO, NOON).encode())


def test_it_is_a_mapping_of_payloads() -> None:
    snapshot = Snapshot(simulated(NOON, accounts=2).encode())
    assert list(snapshot) == ["accounts", "summary", "ledger", "allocation", "positions", "performance", "periods"]
    assert len(snapshot["positions"]) == 24
    assert snapshot["positions"] is snapshot["positions"], "decoded once"
    assert (snapshot.as_of, snapshot.account) == (NOON, "U1234567")
    assert snapshot.covers.accounts == ("U1234567", "U1234568")
    assert snapshot.age(NOON + timedelta(hours=3)) == timedelta(hours=3)
    assert "schema" not in snapshot
    assert repr(snapshot).startswith("<Snapshot of U1234567, U1234568 as of 2026-11-22 12:00 UTC: accounts, ")
    with pytest.raises(KeyError):
        snapshot["trades"]
    with pytest.raises(KeyError):
        snapshot.part("covers")


def test_numbers_stay_as_ibkr_wrote_them() -> None:
    snapshot = made(ledger='{"U1":{"x":1.50,"y":1E2},"U2":{}}')
    assert snapshot.part("ledger") == b'{"U1":{"x":1.50,"y":1E2},"U2":{}}'
    assert snapshot.narrowed(["ledger"], ["U1"]).part("ledger") == b'{"U1":{"x":1.50,"y":1E2}}'


def test_some_accounts_and_some_parts() -> None:
    snapshot = made(
        accounts='[{"id":"U1"},{"id":"U2"}]',
        summary='{"U1":{"a":1},"U2":{"a":2}}',
        positions='[{"acctId":"U1","n":1.0},{"acctId":"U2"},5,{"no":"account"}]',
        performance='{"included":["U1","U2"]}',
        trades="[]",
    )
    one = snapshot.narrowed((), ["U2"])
    assert one.covers.accounts == ("U2",)
    assert one["accounts"] == [{"id": "U2"}]
    assert one["summary"] == {"U2": {"a": 2}}
    assert one["positions"] == [{"acctId": "U2"}, 5, {"no": "account"}], "what says no account is kept"
    assert one["performance"] == {"included": ["U1", "U2"]}, "IBKR's one answer for both"
    assert list(snapshot.narrowed(["positions", "summary"])) == ["summary", "positions"]
    assert snapshot.narrowed().encode() == snapshot.encode()


def test_each_part_has_its_time() -> None:
    text = simulated(NOON).encode().decode()
    older = text.replace('"covers":{', '"covers":{"parts_at":{"periods":"2026-11-22T11:50:00+00:00"},', 1)
    snapshot = Snapshot(older.encode())
    assert snapshot.part_as_of("periods") == NOON - timedelta(minutes=10)
    assert snapshot.part_as_of("ledger") == NOON
    wrong = Snapshot(older.replace("2026-11-22T11:50:00+00:00", "soon").encode())
    with pytest.raises(DataError, match="no time"):
        wrong.part_as_of("periods")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"null",
        b"\xff\xfe",
        b'{"schema":1}',
        b'{"schema":1,"as_of":"x","account":"U1","covers":{"accounts":[],"resources":[]}}',
        b'{"schema":1,"as_of":"2026-11-22T12:00:00","account":"U1","covers":{"accounts":[],"resources":[]}}',
        b'{"schema":2,"as_of":"2026-11-22T12:00:00Z","account":"U1","covers":{"accounts":[],"resources":[]}}',
        b'{"schema":1,"as_of":"2026-11-22T12:00:00Z","account":"U1","covers":{"accounts":5,"resources":[]}}',
        b'{"schema":1,"as_of":"0001-01-01T00:00:00+23:00","account":"U1","covers":{"accounts":[],"resources":[]}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_snapshot_is_told(data: bytes) -> None:
    with pytest.raises(DataError, match=r"^latest\.json: "):
        Snapshot(data, "latest.json")


def test_a_truncated_file_is_told() -> None:
    data = simulated(NOON).encode()
    for size in range(0, len(data), 997):
        with pytest.raises(DataError):
            Snapshot(data[:size])


def test_a_snapshot_of_an_older_version_can_be_read() -> None:
    covers = b'"covers":{"accounts":["U1"],"resources":["ledger"]}'
    data = b'{"schema":1,"as_of":"2026-11-22T12:00:00+00:00","account":"U1",' + covers + b',"ledger":{"U1":{}}}'
    assert Snapshot(data)["ledger"] == {"U1": {}}
