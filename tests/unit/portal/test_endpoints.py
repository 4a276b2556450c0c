"""The table of what may be sent: reads, the tickle, session control; and nothing that could become another path."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.portal.endpoints import (
    ENDPOINTS,
    POSITIONS,
    READS,
    REAUTHENTICATE,
    SSODH_INIT,
    SUMMARY,
    Endpoint,
    Pagination,
    Parameter,
    ParamIn,
    ParamType,
    RequestKind,
)

KEEPALIVES = {"/tickle", "/sso/validate", "/iserver/auth/status"}


def test_nothing_but_reads_and_session_calls() -> None:
    """Orders, alerts, settings and logouts are none of ours; test_allow_list knows each read."""
    by_kind = {kind: {one.path for one in ENDPOINTS if one.kind is kind} for kind in RequestKind}
    assert by_kind[RequestKind.KEEPALIVE] == KEEPALIVES
    assert by_kind[RequestKind.SESSION] == {SSODH_INIT.path, REAUTHENTICATE.path}
    assert {one.method for one in ENDPOINTS} == {"GET", "POST"}


def test_names_are_unique_and_take_no_quotes_in_jq() -> None:
    assert len({one.name for one in ENDPOINTS}) == len(ENDPOINTS)
    assert all(one.name.isidentifier() and one.name.isascii() and one.name.islower() for one in ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_a_row_is_whole(endpoint: Endpoint) -> None:
    """What is in the path is a parameter or one we fill in; defaults and choices are values that would be taken."""
    ours = {"account", "page"}
    in_path = {one.name for one in endpoint.parameters if one.location is ParamIn.PATH}
    assert set(endpoint.names) - ours == in_path
    assert ("{page}" in endpoint.path) == (endpoint.pagination is Pagination.PATH)
    assert endpoint.description
    assert endpoint.source in {"campus", "oas", "recorded", "gateway"}
    assert len({one.name for one in endpoint.parameters}) == len(endpoint.parameters)
    for one in endpoint.parameters:
        assert one.description
        assert not (one.required and one.default is not None)
        for text in (*one.choices, *([] if one.default is None else [one.default])):
            one.read(text)
    if endpoint.method == "GET":
        assert not [one for one in endpoint.parameters if one.location is ParamIn.BODY]
    if endpoint.pagination is Pagination.CURSOR:
        assert "id" in {one.name for one in READS[f"{endpoint.name}_more"].parameters}


def test_names_are_filled_in() -> None:
    assert POSITIONS.fill(account="U1234567", page="0") == "/portfolio/U1234567/positions/0"


@pytest.mark.parametrize(
    "value", ["", ".", "..", "U1/..", "a/b", "%2e", "U1?x=1", "U1#", "U1 ", "U1\n", "U1\x07", "a\\b"]
)
def test_a_value_cannot_name_another_path(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of a path"):
        SUMMARY.fill(account=value)


@given(st.text(max_size=12))
def test_any_text_is_one_segment_or_refused(value: str) -> None:
    try:
        path = SUMMARY.fill(account=value)
    except ValueError:
        return
    assert [unquote(part) for part in path.split("/")] == ["", "portfolio", value, "summary"]


@pytest.mark.parametrize("number", ["DUM1234567", "F1234567A", "U1234567.1", "U 1", "Ü1"])
def test_an_account_may_have_any_number_that_is_no_path(number: str) -> None:
    assert unquote(SUMMARY.fill(account=number)) == f"/portfolio/{number}/summary"
    with pytest.raises(ValueError, match="cannot be part of a path"):
        POSITIONS.fill(account=number, page="0/..")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ParamType.NUMBER, "007"),
        (ParamType.NUMBER, "1" * 5000),
        (ParamType.NUMBER, "1e5"),
        (ParamType.JSON, "[" * 100_000),
        (ParamType.JSON, "{"),
    ],
)
def test_value_that_is_none_is_refused_with_what_was_expected(kind: ParamType, text: str) -> None:
    with pytest.raises(ValueError, match="expected a number" if kind is ParamType.NUMBER else "expected JSON"):
        Parameter("x", "something", ParamIn.BODY, kind).read(text)


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("-12", -12), ("0.50", 0.5), ("101.25", 101.25)])
def test_numbers(text: str, value: float) -> None:
    assert Parameter("x", "something", ParamIn.BODY, ParamType.NUMBER).read(text) == value
