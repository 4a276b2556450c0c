"""Reading Flex statements: their rows as they came, and one line for what is none."""

import gzip
import io

import pytest

from ibkr_tools.errors import DataError
from ibkr_tools.flex import statement_xml
from ibkr_tools.flex.statement_xml import Row, Statement, StatementSection, read_statements, unpack
from tests.support.flex_statements import document, element, head, statement, week


def refused(xml: bytes) -> DataError:
    """Returns the error with which a file is refused."""
    with pytest.raises(DataError) as caught:
        list(read_statements(xml))
    return caught.value


def test_rows_come_as_they_are() -> None:
    """With what nobody knows: sections, attributes and values that IBKR adds."""
    sections = week() | {"NewSection": [("NewRow", {"newField": '<&"é', "accountId": "U1234567"})]}
    events = list(read_statements(document(statement(sections))))
    assert isinstance(events[0], Statement)
    row = events[-1]
    assert isinstance(row, Row)
    assert (row.section, row.element, row.attributes["newField"]) == ("NewSection", "NewRow", '<&"é')
    rows = [event for event in events if isinstance(event, Row)]
    assert len(rows) == sum(len(section) for section in sections.values())


def test_a_single_element_is_a_section_and_a_row() -> None:
    events = list(read_statements(document(statement({"ChangeInNAV": week()["ChangeInNAV"]}))))
    assert [type(event) for event in events] == [Statement, StatementSection, Row]


def test_a_container_and_its_row_may_share_a_name() -> None:
    events = list(read_statements(document(statement({"OptionEAE": [("OptionEAE", {"date": "20260105"})]}))))
    assert [type(event) for event in events] == [Statement, StatementSection, Row]


def test_rows_below_another_container_belong_to_the_section() -> None:
    text = statement({}).replace("</", '<FxPositions><FxLots><FxLot quantity="1"/></FxLots></FxPositions></', 1)
    row = list(read_statements(document(text)))[-1]
    assert isinstance(row, Row)
    assert (row.section, row.element) == ("FxPositions", "FxLot")


def test_an_empty_section_is_named() -> None:
    assert [
        event.name
        for event in read_statements(document(statement({"Trades": []})))
        if isinstance(event, StatementSection)
    ]


def test_several_statements_are_told_apart() -> None:
    """Of two accounts, or one for each day."""
    two = document(statement(attributes=head(accountId="U1")), statement(attributes=head(accountId="U2")))
    rows = [event for event in read_statements(two) if isinstance(event, Row)]
    assert [row.statement.account for row in rows] == ["U1"] * (len(rows) // 2) + ["U2"] * (len(rows) // 2)


def test_space_before_the_declaration_does_no_harm() -> None:
    xml = b'<?xml version="1.0" encoding="UTF-8"?>' + document()
    for space in (b"\n  ", b"\xef\xbb\xbf\n", b" \xef\xbb\xbf"):
        assert len(list(read_statements(space + xml))) == len(list(read_statements(document())))


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8-sig", b""), ("utf-16", b""), ("utf-16-le", b""), ("utf-16-be", b""), ("utf-16-le", b"\xff\xfe")],
)
def test_other_encodings_are_read(encoding: str, mark: bytes) -> None:
    """With a mark of the order of bytes, and without."""
    xml = mark + document().decode().encode(encoding)
    assert len(list(read_statements(xml))) == len(list(read_statements(document())))


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>'
    b"<FlexQueryResponse>&lol2;</FlexQueryResponse>"
)


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b'"ClientAccountID","Symbol"\n"U1234567","VWRL"\n', "no XML"),
        (b"PK\x03\x04", "ZIP"),
        (gzip.compress(document()), "packed twice"),
        (b"%PDF-1.7", "no XML"),
        (b"<html><body>services are temporarily unavailable</body></html>", "web page"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\xef\xbb\xbf <!doctype HTML>", "web page"),
        (b"<HTML lang='en'>", "web page"),
        (BOMB, "document type"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><FlexQueryResponse/>', "document type"),
        (b"<OFX/>", "OFX"),
        (b"<FlexQueryResponse><FlexStatements count='0'/></FlexQueryResponse>", "no statement"),
        (b"<a><b></a>", "document of the type a"),
        (document(kind="TCF"), "TCF"),
        (document()[:-40], "cut off"),
        (document()[:500], "cut off"),
        (document().replace(b'symbol="VWRL"', b"symbol=VWRL"), "line"),
        (document(statement(attributes=head(fromDate="01/05/2026"))), "01/05/2026"),
        (document(statement(attributes=head(toDate="20260101"))), "before its first day"),
        (document(statement(attributes=head(whenGenerated=""))), "lacks"),
        (document(statement(attributes=head(accountId=""))), "lacks"),
        *(
            (f'<?xml version="1.0" encoding="{name}"?>'.encode() + document().replace(b"Jane", b"J\x80ne"), "encoding")
            for name in ("klingon", "k" * 100_000, "gb18030", "shift_jis", "utf-7", "idna", "punycode", "rot13", "hex")
        ),
        (document(statement(attributes=head(fromDate="00010101"))), "0001-01-01"),
        (document(statement(attributes=head(whenGenerated="20250107;235959"))), "more than a year after it was made"),
        (document(statement(attributes=head(toDate="99991231"))), "more than a year after it was made"),
        (document(statement(attributes=head(accountId="U" * 100_000))), "no account number"),
        (document(statement(attributes=head(accountId="U1\u202e234"))), "no account number"),
        (document(statement().replace("</FlexStatement>", statement() + "</FlexStatement>")), "within another"),
        (
            b"<FlexQueryResponse><Message>Nothing\n  to say</Message><FlexStatements count='0'/></FlexQueryResponse>",
            "no statement in it: Nothing to say",
        ),
        (document("<a>" * 500 + "</a>" * 500), "deep"),
        (
            document(statement({"Trades": []}).replace("</Trades>", "<a x=''>" * 500 + "</a>" * 500 + "</Trades>")),
            "deep",
        ),
    ],
)
def test_what_is_no_statement_is_named(xml: bytes, says: str) -> None:
    assert says in refused(xml).message


def test_the_message_is_short_whatever_the_file_has_in_it() -> None:
    for xml in (
        b'<?xml version="1.0" encoding="' + b"k" * 100_000 + b'"?><a/>',
        document(statement(attributes=head(accountId="U" * 100_000))),
        document(statement(attributes=head(fromDate="2" * 100_000))),
        b"<" + b"a" * 100_000 + b"/>",
        document(kind="T" * 100_000),
    ):
        assert len(refused(xml).message) < 200


@pytest.mark.parametrize("kind", ["AF", "af", ""])
def test_activity_statements_are_read(kind: str) -> None:
    assert list(read_statements(document(kind=kind)))


def test_a_value_of_any_size_is_read() -> None:
    sections = week()
    sections["CashTransactions"][0][1]["description"] = "x" * 1_000_000
    assert len(list(read_statements(document(statement(sections))))) == len(list(read_statements(document())))


def test_the_file_says_how_many_statements_it_has() -> None:
    """Whoever reads it may compare."""
    heads = [event for event in read_statements(document(statement(), statement())) if isinstance(event, Statement)]
    assert [head.declared_count for head in heads] == ["2", "2"]


def test_an_answer_of_the_service_is_shown() -> None:
    xml = b"""<FlexStatementResponse timestamp='28 August, 2026 10:37 AM EDT'><Status>Fail</Status>
        <ErrorCode>1012</ErrorCode><ErrorMessage>Token has expired.</ErrorMessage></FlexStatementResponse>"""
    assert refused(xml).message.endswith("1012 Token has expired.")


def test_slash_dates_say_what_to_choose() -> None:
    assert "yyyyMMdd" in (refused(document(statement(attributes=head(fromDate="03/04/2026")))).hint or "")


def packed(data: bytes, limit: int = statement_xml.MAX_STATEMENT_BYTES) -> bytes:
    return unpack(io.BufferedReader(io.BytesIO(data)), limit)


def test_packed_files_are_unpacked() -> None:
    xml = document()
    assert packed(gzip.compress(xml)) == packed(xml) == xml
    assert packed(gzip.compress(xml[:100]) + gzip.compress(xml[100:])) == xml


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:40] + b"\x00" * 20 + data[60:]])
def test_damaged_packing_is_named(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(DataError, match=r"cut off|damaged"):
        packed(damage(gzip.compress(document())))


def test_a_bomb_is_not_unpacked() -> None:
    """A thousand times as much as it seems: no more than the limit is ever held."""
    with pytest.raises(DataError, match="larger than 1 MB"):
        packed(gzip.compress(b"\x00" * 1_000_001), 1_000_000)


def test_a_row_does_not_print_what_is_in_it() -> None:
    """Names and addresses stand in statements; a traceback shows none."""
    events = list(read_statements(document(statement({"AccountInformation": week()["AccountInformation"]}))))
    assert "Jane" not in repr(events)
    assert element("a", {"b": "c"}) == '<a b="c"/>'
