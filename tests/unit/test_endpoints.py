"""The table of what may be sent: reads, the tickle, session control; and nothing that could become another path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.portal.endpoints import ENDPOINTS, POSITIONS, REAUTHENTICATE, SSODH_INIT, SUMMARY, Kind

READS = {
    "/one/user",
    "/portfolio/accounts",
    "/portfolio/{account}/summary",
    "/portfolio/{account}/ledger",
    "/portfolio/{account}/allocation",
    "/portfolio/{account}/positions/{page}",
}
"""Rows of class R of the guard table."""

KEEPALIVES = {"/tickle", "/sso/validate", "/iserver/auth/status"}


def test_nothing_but_listed_reads_and_session_calls() -> None:
    """A new row here is a decision; orders, alerts, settings and logouts are none of ours."""
    by_kind = {kind: {one.path for one in ENDPOINTS if one.kind is kind} for kind in Kind}
    assert by_kind[Kind.READ] == READS
    assert by_kind[Kind.KEEPALIVE] == KEEPALIVES
    assert by_kind[Kind.SESSION] == {SSODH_INIT.path, REAUTHENTICATE.path}
    assert {one.method for one in ENDPOINTS if one.kind is Kind.READ} == {"GET"}
    assert len({one.name for one in ENDPOINTS}) == len(ENDPOINTS)


def test_documented_intervals() -> None:
    """Seconds between two calls, from IBKR's table of limits."""
    stated = {one.path: one.interval_s for one in ENDPOINTS if one.interval_s}
    assert stated == {"/tickle": 1.0, "/sso/validate": 60.0, "/portfolio/accounts": 5.0}


def test_names_are_filled_in() -> None:
    assert POSITIONS.fill(account="U1234567", page="0") == "/portfolio/U1234567/positions/0"


@pytest.mark.parametrize("value", ["", ".", "..", "U1/..", "a/b", "%2e", "U1?x=1", "U1#", "U1 ", "U1\n", "Ü1", "a\\b"])
def test_a_value_cannot_name_another_path(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of a path"):
        SUMMARY.fill(account=value)


@given(st.text(max_size=12))
def test_any_text_is_one_segment_or_refused(value: str) -> None:
    try:
        path = SUMMARY.fill(account=value)
    except ValueError:
        return
    assert path.split("/") == ["", "portfolio", value, "summary"]
