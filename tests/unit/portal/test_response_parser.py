"""What an answer means: one row per row of the decision tables; and no bytes whatsoever break the parser."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from ibkr_tools.errors import (
    BrokerageUnavailable,
    ConfigError,
    DataError,
    ErrorResponse,
    IbkrError,
    MalformedResponse,
    PreflightMissing,
    RateLimited,
    SessionUnavailable,
    UpstreamUnavailable,
)
from ibkr_tools.portal import response_parser

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
PROBLEM = {"Content-Type": "application/problem+json"}


def body(document: object) -> bytes:
    """Returns the document as it comes over the wire."""
    return json.dumps(document).encode()


LOST = [
    (302, {"Location": "/sso/Login?forwardTo=22&RL=1"}, b"", SessionUnavailable),
    (302, {"location": "https://api.ibkr.com/sso/Login"}, b"", SessionUnavailable),
    (301, {"Location": "https://api.ibkr.com/v1/api/nothing"}, b"", DataError),
    (302, {}, b"", DataError),
    (401, {}, b"", SessionUnavailable),
    (401, JSON, body({"title": "Unauthorized", "status": 401, "detail": "Access token expired"}), SessionUnavailable),
    (401, HTML, b"<html>Unauthorized</html>", SessionUnavailable),
    (403, {"Server": "AirTunes/845.5.1"}, b"", ConfigError),
    (403, {"Server": "AkamaiGHost"}, b"<HTML>Access Denied", UpstreamUnavailable),
    (404, {"Content-Type": "text/plain"}, b"Access Denied", ConfigError),
    (404, JSON, body({"error": "Resource not found", "statusCode": 404}), ErrorResponse),
    (404, HTML, b"<html>not found</html>", ErrorResponse),
    (410, {}, b"", SessionUnavailable),
    (411, {}, b"", ErrorResponse),
    (423, JSON, body({"status": "locked"}), UpstreamUnavailable),
    (429, JSON, body({"error": "Too Many Requests"}), RateLimited),
    (429, {}, b"", RateLimited),
    (400, JSON, body({"error": "Bad Request: no bridge", "statusCode": 400}), BrokerageUnavailable),
    (400, JSON, body({"error": "Init session first", "statusCode": 400}), BrokerageUnavailable),
    (400, JSON, body({"error": "Bad Request: accountId is not valid"}), ErrorResponse),
    (400, JSON, body({"error": "Please query /accounts first"}), PreflightMissing),
    (500, JSON, body({"error": "Please query /accounts first"}), PreflightMissing),
    (500, {}, b"Internal Server Error", UpstreamUnavailable),
    (500, JSON, body({"error": "failed to generate sso dh token"}), UpstreamUnavailable),
    (502, HTML, b"<html>", UpstreamUnavailable),
    (503, {}, b"", UpstreamUnavailable),
    (601, {}, b"", SessionUnavailable),
    (200, JSON, body({"error": "no session"}), SessionUnavailable),
    (200, JSON, body({"error": "not logged in"}), SessionUnavailable),
    (200, JSON, body({"error": "failed to process request"}), UpstreamUnavailable),
    (200, JSON, body({"error": "something new"}), ErrorResponse),
    (200, JSON, body({"error": {"message": "nested"}}), ErrorResponse),
    (200, JSON, body({"error": True}), ErrorResponse),
    (200, JSON, body({"success": False, "text": "no such alert"}), ErrorResponse),
    (200, JSON, body({"success": False}), ErrorResponse),
    (200, JSON, body({"error": "Bad Request: no bridge", "success": False, "statusCode": 400}), BrokerageUnavailable),
    (200, PROBLEM, body({"type": "/simple", "title": "Unauthorized", "detail": "expired"}), ErrorResponse),
    (400, PROBLEM, body({"title": "Bad Request", "detail": "x", "invalidArguments": [{"field": "a"}]}), ErrorResponse),
    (400, JSON, body({"invalidArguments": ["x", 1, None]}), ErrorResponse),
    (500, JSON, body({"error": "Please query /iserver/accounts first"}), PreflightMissing),
    (503, JSON, body({"error": "Details currently unavailable.", "statusCode": 503}), UpstreamUnavailable),
    (200, {"Content-Type": "text/plain"}, b"Request was submitted", DataError),
    (200, JSON, b"Internal Server Error", DataError),
    (200, JSON, b'{"a": NaN}', MalformedResponse),
    (200, JSON, b'{"a": 1}{"a": 2}', MalformedResponse),
    (200, JSON, b'{"a": "\xff"}', MalformedResponse),
    (200, HTML, b"<!DOCTYPE html><html>login</html>", UpstreamUnavailable),
    (200, JSON, b"  <html>mislabelled</html>", UpstreamUnavailable),
    (200, JSON, b'{"half":', UpstreamUnavailable),
    (200, JSON, b"\xff\xfe", MalformedResponse),
    (200, JSON, b"[" * 100_000, MalformedResponse),
    (201, JSON, b"{}", ErrorResponse),
    (304, {}, b"", ErrorResponse),
]


@pytest.mark.parametrize(
    ("status", "headers", "data", "kind"), LOST, ids=[f"{row[0]}-{row[3].__name__}-{row[2][:24]!r}" for row in LOST]
)
def test_every_failure_has_its_error(status: int, headers: Any, data: bytes, kind: type[IbkrError]) -> None:
    """The tables of lost sessions and of error shapes; exactly this class, since a subclass means something else."""
    with pytest.raises(IbkrError) as caught:
        response_parser.parse(status, CaseInsensitiveDict(headers), data, "GET /x")
    assert type(caught.value) is kind
    assert caught.value.message.startswith("GET /x: ")


@pytest.mark.parametrize(
    ("status", "data", "value"),
    [
        (200, b"[]", []),
        (200, b'{"a": 1.50}', {"a": 1.5}),
        (200, b'"Success"', "Success"),
        (200, b"", None),
        (200, b" \r\n", None),
        (204, b"", None),
        (200, b'{"success":true}', {"success": True}),
        (200, b'{"error":false,"rc":0}', {"error": False, "rc": 0}),
        (200, b'[{"error":"of a row"}]', [{"error": "of a row"}]),
        (200, b'{"hmds":{"error":"no bridge"}}', {"hmds": {"error": "no bridge"}}),
        (200, b'{"error":null,"error2":1}', {"error": None, "error2": 1}),
        (200, b'{"error":""}', {"error": ""}),
    ],
)
def test_good_answers_come_through_as_they_are(status: int, data: bytes, value: object) -> None:
    assert response_parser.parse(status, CaseInsensitiveDict(JSON), data, "GET /x") == value


SAID = [
    (
        400,
        {"error": "Bad Request: conid is not valid", "statusCode": 400},
        "HTTP 400 (Bad Request: conid is not valid)",
    ),
    (
        400,
        {"title": "Bad Request", "detail": "see", "invalidArguments": [{"field": "conid", "description": "unknown"}]},
        "HTTP 400 (see: conid: unknown)",
    ),
    (404, {"error": "Resource not found", "statusCode": 404}, "HTTP 404 (Resource not found)"),
    (423, {"status": "too soon"}, "asked more often than IBKR allows (HTTP 423) (too soon)"),
    (500, {"error": "unknown"}, "IBKR answers HTTP 500 (unknown)"),
    (500, {"error": "two\nlines\x1b[2J"}, "IBKR answers HTTP 500 (two lines [2J)"),
    (200, {"error": "no such conid"}, "no such conid"),
    (200, {"success": False, "text": "no such alert", "order_id": 0}, "no such alert"),
    (200, {"success": False, "failure_list": "group X"}, "group X"),
    (200, {"success": False}, "IBKR says that it failed"),
    (200, {"error": {"code": 3}}, '{"code":3}'),
]


@pytest.mark.parametrize(("status", "document", "said"), SAID)
def test_what_ibkr_says_is_told_in_one_line(status: int, document: object, said: str) -> None:
    """A conid that does not exist, a wrong parameter: one clear line."""
    with pytest.raises(IbkrError) as caught:
        response_parser.parse(status, CaseInsensitiveDict(JSON), body(document), "GET /x")
    assert caught.value.message == f"GET /x: {said}"


@pytest.mark.parametrize("text", ["1e400", "-1e400", '{"mktValue":1.7976931348623157E309,"position":1.5}'])
def test_a_number_that_no_double_holds_is_a_mark_and_breaks_nothing(text: str) -> None:
    assert response_parser.parse(200, {}, text.encode(), "GET /x") == json.loads(text)


def test_a_text_instead_of_data_is_told_and_half_an_answer_is_not_shown() -> None:
    """A cut tickle holds the session's id, which is a secret."""
    with pytest.raises(DataError, match=r"a text instead of data \(Request was submitted\)"):
        response_parser.parse(200, CaseInsensitiveDict(), b"Request was submitted", "GET /x")
    with pytest.raises(UpstreamUnavailable) as caught:
        response_parser.parse(200, CaseInsensitiveDict(), b'{"session":"0f1e2d3c', "GET /x")
    assert "0f1e" not in caught.value.message


@pytest.mark.parametrize(
    ("headers", "wait_s", "hint"),
    [
        ({}, 900.0, "15 min"),
        ({"Retry-After": "60"}, 900.0, "15 min"),
        ({"Retry-After": "1800"}, 1800.0, "30 min"),
        ({"Retry-After": "9" * 400}, 3600.0, "60 min"),
        ({"Retry-After": "-5"}, 900.0, "15 min"),
        ({"Retry-After": "soon"}, 900.0, "15 min"),
        ({"Retry-After": "Sun, 22 Nov 2026 12:20:00 GMT", "Date": "Sun, 22 Nov 2026 12:00:00 GMT"}, 1200.0, "20 min"),
        ({"Retry-After": "Sun, 22 Nov 2026 12:20:00 GMT"}, 900.0, "15 min"),
        ({"Retry-After": "Sun, 22 Nov 2026 12:20:00 -0000", "Date": "Sun, 22 Nov 2026 12:00:00 GMT"}, 900.0, "15 min"),
    ],
)
def test_a_longer_penalty_is_believed_within_bounds(headers: dict[str, str], wait_s: float, hint: str) -> None:
    with pytest.raises(RateLimited) as caught:
        response_parser.parse(429, CaseInsensitiveDict(headers), b"", "GET /x")
    assert caught.value.wait_s == wait_s
    assert caught.value.hint == f"Try again in {hint}."


def test_a_long_foreign_text_is_cut() -> None:
    with pytest.raises(UpstreamUnavailable) as caught:
        response_parser.parse(500, CaseInsensitiveDict(JSON), body({"error": "x" * 10_000}), "GET /x")
    assert len(caught.value.message) < 300


@given(
    st.one_of(st.sampled_from([200, 204, 302, 400, 401, 403, 404, 429, 500, 503, 601]), st.integers(100, 999)),
    st.dictionaries(
        st.sampled_from(["Content-Type", "Location", "Server", "Retry-After", "Date"]),
        st.one_of(st.text(max_size=20), st.sampled_from(["text/html", "application/json", "AirTunes"])),
    ),
    st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["error", "detail", "success", "text", "invalidArguments", "x"]), inner, max_size=3
                )
            ),
        ).map(body),
    ),
)
def test_any_bytes_are_a_payload_or_our_error(status: int, headers: dict[str, str], data: bytes) -> None:
    """Whatever comes, the caller sees JSON or an IbkrError."""
    with contextlib.suppress(SessionUnavailable, DataError, ConfigError):
        response_parser.parse(status, CaseInsensitiveDict(headers), data, "GET /x")


# Ticks and validations.

NORMAL = {
    "session": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "ssoExpires": 585695,
    "collission": False,
    "userId": 90000001,
    "hmds": {"error": "no bridge"},
    "iserver": {"authStatus": {"authenticated": True, "competing": False, "connected": True, "message": ""}},
}


def test_the_normal_tickle() -> None:
    tickle = response_parser.parse_tickle(NORMAL)
    assert (tickle.has_session, tickle.authenticated, tickle.connected) == (True, True, True)
    assert (tickle.competing, tickle.collision) == (False, False)


VARIANTS: list[tuple[str, dict[str, Any], bool, bool]] = [
    ("oauth", {"session": "a" * 32, "iserver": NORMAL["iserver"]}, True, True),
    (
        "read-only user, older build",
        {
            "session": "a" * 32,
            "ssoExpires": 1,
            "iserver": {"tickle": True, "authStatus": {"authenticated": False, "connected": True}},
        },
        True,
        False,
    ),
    ("iserver without status", {**NORMAL, "iserver": {}}, True, False),
    ("iserver broken", {**NORMAL, "iserver": {"error": "no bridge"}}, True, False),
    ("iserver is null", {**NORMAL, "iserver": None}, True, False),
    ("no session named", {"hmds": {}}, False, False),
    ("session is null", {"session": None, "ssoExpires": 4000}, True, False),
    ("numbers as floats", {**NORMAL, "ssoExpires": 585695.5}, True, True),
    ("no number", {**NORMAL, "ssoExpires": "soon"}, True, True),
    ("truth as number", {"ssoExpires": False}, False, False),
]


@pytest.mark.parametrize(
    ("name", "payload", "has_session", "authenticated"), VARIANTS, ids=[row[0] for row in VARIANTS]
)
def test_tickles_vary(name: str, payload: dict[str, Any], has_session: bool, authenticated: bool) -> None:
    tickle = response_parser.parse_tickle(payload)
    assert (tickle.has_session, tickle.authenticated) == (has_session, authenticated)


@pytest.mark.parametrize("expires", [0, -1, 0.0])
def test_an_expired_session_is_lost(expires: float) -> None:
    with pytest.raises(SessionUnavailable):
        response_parser.parse_tickle({**NORMAL, "ssoExpires": expires})


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["session", "ssoExpires", "iserver", "authStatus", "RESULT", "authenticated", "competing"]),
            inner,
            max_size=4,
        )
    ),
)


@given(JSON_VALUES)
@example({"ssoExpires": 1e300})
@example({"ssoExpires": float("inf")})
@example({"ssoExpires": 10**40})
def test_any_payload_is_understood_or_refused(payload: Any) -> None:
    for parse in (
        response_parser.parse_tickle,
        response_parser.parse_validation,
        lambda value: response_parser.parse_records(value, "x"),
    ):
        with contextlib.suppress(SessionUnavailable, DataError):
            parse(payload)


@pytest.mark.parametrize(
    ("payload", "alive"), [({"RESULT": True}, True), ({"RESULT": False}, False), (0, False), (False, False)]
)
def test_validations(payload: object, alive: bool) -> None:
    assert response_parser.parse_validation(payload) is alive


@pytest.mark.parametrize("payload", [None, {}, [], "true", {"RESULT": "true"}, {"RESULT": None}, True, 1])
def test_what_does_not_say_it_is_not_a_dead_session(payload: object) -> None:
    """An empty answer is not IBKR's word that the session is over: it must not lead to a login."""
    with pytest.raises(DataError):
        response_parser.parse_validation(payload)


def test_rows_are_lists_of_objects() -> None:
    assert response_parser.parse_records([{"a": 1}], "x") == [{"a": 1}]
    wrong: list[Any] = [None, {}, [1], [[{}]], "x"]
    for payload in wrong:
        with pytest.raises(DataError):
            response_parser.parse_records(payload, "x")
