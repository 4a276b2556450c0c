"""A finished snapshot: IBKR's bytes in our envelope, however large."""

import resource
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.errors import OutputError
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


@pytest.mark.parametrize("late", [lambda spool: spool.cut(1), lambda spool: b"".join(spool.chunks())])
def test_a_full_disk_is_told_even_late(monkeypatch: pytest.MonkeyPatch, late: Callable[[Spool], object]) -> None:
    """What was added is in a buffer at first; RLIMIT_FSIZE stands in for the disk."""
    monkeypatch.setattr(module, "KEPT_IN_MEMORY", 8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        spool = Spool()
        spool.add(b"x" * 5000)
        with pytest.raises(OutputError, match="a temporary file: File too large"):
            late(spool)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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
