"""A finished snapshot: IBKR's bytes in our envelope, however large."""

from datetime import UTC, datetime

import msgspec

from ibkr_tools.fetch.snapshot_document import SnapshotDocument, SnapshotMetadata

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def document(parts: bytes, **covers: object) -> SnapshotDocument:
    """Returns a document of one account."""
    known = {"accounts": ("U1234567",), "resources": ("ledger",)} | covers
    return SnapshotDocument(as_of=AT, account="U1234567", covers=msgspec.convert(known, SnapshotMetadata), parts=parts)


def test_numbers_are_what_ibkr_wrote() -> None:
    parts = b'"ledger":{"b":1.10,"a":1e5,"n":12345678901234567890.123456789}'
    encoded = document(parts).encode()
    assert encoded == (
        b'{"schema":1,"as_of":"2026-11-22T12:00:00+00:00","account":"U1234567",'
        b'"covers":{"accounts":["U1234567"],"resources":["ledger"]},'
        b'"ledger":{"b":1.10,"a":1e5,"n":12345678901234567890.123456789}}'
    )
    assert document(parts).decode()["ledger"]["b"] == 1.1


def test_a_snapshot_of_nothing_is_valid() -> None:
    assert list(document(b"").decode()) == ["schema", "as_of", "account", "covers"]


def test_it_comes_in_pieces() -> None:
    large = document(b'"user":"' + b"x" * 1_000_000 + b'"')
    assert max(map(len, large.chunks())) < 300_000
    assert len(large.encode()) == sum(map(len, large.chunks()))
