"""What an answer is, by its root element: nothing but a statement passes for one."""

import pytest

from ibkr_tools.flex.flex_answers import (
    Accepted,
    Answer,
    Refused,
    StatementReceived,
    Throttled,
    Unusable,
    classify,
)
from tests.support.flex_statements import document

ENVELOPE = "<FlexStatementResponse timestamp='28 August, 2026 10:37 AM EDT'>{}</FlexStatementResponse>"


def said(content: str, status: int = 200) -> Answer:
    return classify(status, {}, ENVELOPE.format(content).encode())


def test_a_reference_is_accepted() -> None:
    answer = said(
        "<Status>Success</Status> <ReferenceCode>1234567890</ReferenceCode> <Url>https://x.example/GetStatement</Url>"
    )
    assert answer == Accepted("1234567890", "https://x.example/GetStatement")


@pytest.mark.parametrize("status", ["Fail", "Warn", ""])
def test_an_error_is_its_code(status: str) -> None:
    content = f"<Status>{status}</Status><ErrorCode>1012</ErrorCode><ErrorMessage>Token\n has expired.</ErrorMessage>"
    assert said(content) == said(content, 500) == Refused(1012, "Token has expired.")


def test_what_is_available_later_is_being_made() -> None:
    assert said("<Status>WhenAvailable</Status>") == Refused(1019, "the answer's status is WhenAvailable")


@pytest.mark.parametrize(
    "content", ["", "<Status>Success</Status>", "<ErrorCode>x</ErrorCode>", "<ErrorCode>-1</ErrorCode>"]
)
def test_an_envelope_without_a_code_is_an_error_all_the_same(content: str) -> None:
    answer = said(content)
    assert isinstance(answer, Refused)
    assert answer.code == 0


def test_a_reference_that_is_none_is_not_sent_back() -> None:
    answer = said("<Status>Success</Status><ReferenceCode>1&amp;t=2</ReferenceCode>")
    assert isinstance(answer, Unusable)


def test_a_statement_is_handed_on_as_it_is() -> None:
    for xml in (document(), b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->" + document()):
        assert classify(200, {}, xml) == StatementReceived(xml)


@pytest.mark.parametrize(
    ("status", "body", "what", "passes"),
    [
        (200, b"", "empty", True),
        (200, b" \n", "empty", True),
        (500, b"<html>temporarily unavailable</html>", "web page", True),
        (200, b"<!DOCTYPE html><html><!-- <FlexQueryResponse> --></html>", "web page", True),
        (200, b"<!DOCTYPE html>FlexQueryResponse", "web page", True),
        (403, b"Access Denied", "without XML", True),
        (200, b'"ClientAccountID","Symbol"\n"U1234567","X"\n', "CSV", False),
        (200, b"ClientAccountID|Symbol\n", "a text", False),
        (200, b"<?xml version='1.0'", "type ''", False),
        (200, b"<rss><FlexQueryResponse/></rss>", "'rss'", False),
        (500, document(), "FlexQueryResponse", True),
        (200, b"<FlexStatementResponse><Status>Succ", "cut off", True),
        (200, b"<!DOCTYPE a [<!ENTITY b 'c'>]><FlexStatementResponse>&b;</FlexStatementResponse>", "web page", True),
        (200, b"<FlexStatementResponse>" + b" " * 70_000 + b"</FlexStatementResponse>", "too long", True),
    ],
)
def test_what_is_no_answer_of_the_service_is_named(status: int, body: bytes, what: str, passes: bool) -> None:
    answer = classify(status, {}, body)
    assert isinstance(answer, Unusable)
    assert what in answer.what
    assert answer.passes is passes


def test_429_says_how_long_to_wait() -> None:
    assert classify(429, {"Retry-After": "90"}, b"<html></html>") == Throttled(90.0)
    assert classify(429, {}, b"") == Throttled(0.0)


@pytest.mark.parametrize("length", range(150, 210, 7))
def test_what_is_hidden_is_not_repeated_in_part_either(length: int) -> None:
    """Only the beginning of a message is kept: the end of that may be within the token."""
    token = "123456789012345678901234"
    content = f"<Status>Fail</Status><ErrorCode>1015</ErrorCode><ErrorMessage>{'x' * length}{token}</ErrorMessage>"
    answer = classify(200, {}, ENVELOPE.format(content).encode(), token)
    assert isinstance(answer, Refused)
    assert "1" not in answer.message
    assert len(answer.message) <= 200
