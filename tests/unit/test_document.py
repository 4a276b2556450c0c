"""A finished snapshot: IBKR's bytes in our envelope, however large."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.fetch import document as module
from ibkr_tools.fetch.document import Covers, Document, Spool

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def document(parts: Spool, **covers: object) -> Document:
    """Returns a document of one account."""
    known = {"accounts": ("U1234567",), "resources": ("ledger",)} | covers
    return Document(as_of=AT, account="U1234567", covers=msgspec.convert(known, Covers), parts=parts)


def test_numbers_are_what_ibkr_wrote() -> None:
    parts = Spool()
    parts.add(b'"ledger":{"b":1.10,"a":1e5,"n":12345678901234567890.123456789}')
    encoded = document(parts).encode()
    assert encoded == (
        b'{"schema":1,"as_of":"2026-11-22T12:00:00+00:00","account":"U1234567",'
        b'"covers":{"accounts":["U1234567"],"resources":["ledger"]},'
        b'"ledger":{"b":1.10,"a":1e5,"n":12345678901234567890.123456789}}'
    )
    assert document(parts).decode()["ledger"]["b"] == 1.1


def test_a_snapshot_of_nothing_is_valid() -> None:
    assert list(document(Spool()).decode()) == ["schema", "as_of", "account", "covers"]


@given(st.lists(st.binary(max_size=50)), st.data())
def test_what_was_added_comes_back(pieces: list[bytes], data: st.DataObject) -> None:
    """In memory or in a file, and after the end was cut off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "KEPT_IN_MEMORY", 64)
        patch.setattr(module, "_CHUNK", 7)
        spool = Spool()
        for piece in pieces:
            spool.add(piece)
        whole = b"".join(pieces)
        assert b"".join(spool.chunks()) == whole
        size = data.draw(st.integers(0, len(whole)))
        spool.cut(size)
        spool.add(b"end")
        assert b"".join(spool.chunks()) == whole[:size] + b"end"
