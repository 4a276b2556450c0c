"""Chromium's record of its network, as the login reads it."""

from typing import Any

from ibkr_tools.login.network_record import HUNG_AFTER_S, NetworkRecord

URL = "https://127.0.0.1:5000/sso/Authenticator"


def event(name: str, request_id: str, **parameters: object) -> dict[str, Any]:
    return {"method": f"Network.{name}", "params": {"requestId": request_id, **parameters}}


def sent(request_id: str, url: str = f"{URL}?x=1", kind: str = "Fetch") -> dict[str, Any]:
    return event("requestWillBeSent", request_id, request={"url": url}, type=kind)


def test_a_request_is_unanswered_until_it_is_over() -> None:
    """A failure is an end too; the query of an address does not matter."""
    record = NetworkRecord()
    record.add([sent("1"), sent("2"), event("loadingFinished", "1")], 0.0)
    assert [request.is_finished for request in record.requests_to("/sso/Authenticator")] == [True, False]
    record.add([event("loadingFailed", "2")], 0.0)
    assert all(request.is_finished for request in record.requests_to("/sso/Authenticator"))
    assert record.requests_to("/sso/Login") == []


def test_an_answer_tells_its_headers_and_the_clock() -> None:
    """Names of headers are in small letters; a Date is cut to whole seconds."""
    record = NetworkRecord()
    headers = {"Retry-After": "120", "Date": "Thu, 01 Jan 1970 00:01:40 GMT"}
    record.add(
        [sent("1"), event("responseReceived", "1", response={"headers": headers, "responseTime": 60_000.0})], 0.0
    )
    (request,) = record.requests_to("Authenticator")
    assert request.headers is not None
    assert request.headers["retry-after"] == "120"
    assert request.clock_offset_s == 40.5


def test_each_429_tells_how_long_it_says_to_wait() -> None:
    """By the clock of whoever answered; other answers are none."""
    record = NetworkRecord()
    said = [
        (429, {"Retry-After": "120"}),
        (200, {"Retry-After": "60"}),
        (429, {}),
        (429, {"retry-after": "Thu, 01 Jan 1970 00:10:00 GMT", "date": "Thu, 01 Jan 1970 00:05:00 GMT"}),
    ]
    assert record.waits_after_429_s() == []
    for number, (status, headers) in enumerate(said):
        answer = event("responseReceived", str(number), response={"status": status, "headers": headers})
        record.add([sent(str(number)), answer], 0.0)
    assert record.waits_after_429_s() == [120.0, 0.0, 300.0]


def test_an_answer_without_a_usable_date_tells_no_clock() -> None:
    """Nor does one to a request that began before the record."""
    record = NetworkRecord()
    record.add(
        [
            event("responseReceived", "0", response={}),
            sent("1"),
            event("responseReceived", "1", response={"headers": {"date": "soon"}}),
            sent("2"),
            event("responseReceived", "2", response={}),
        ],
        0.0,
    )
    assert [request.clock_offset_s for request in record.requests_to("Authenticator")] == [None, None]


def test_a_page_is_idle_when_nothing_it_can_need_is_under_way() -> None:
    """Images are not needed; what does not come at all is not waited for."""
    record = NetworkRecord()
    record.add([sent("1", kind="Script"), sent("2", kind="Image")], 10.0)
    assert record.idle_s(11.0) == 0.0
    record.add([event("loadingFinished", "1")], 12.0)
    assert record.idle_s(12.5) == 0.5
    record.add([event("loadingFinished", "2")], 13.0)
    assert record.idle_s(13.0) == 1.0
    record.add([sent("3", kind="Script")], 20.0)
    assert record.idle_s(20.0 + HUNG_AFTER_S - 0.1) == 0.0
    assert record.idle_s(20.0 + HUNG_AFTER_S + 1) == HUNG_AFTER_S + 1
