"""Lists for programs: every answer of IBKR becomes rows; no digit and no row is lost on the way to CSV and NDJSON."""

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.errors import UsageError
from ibkr_tools.fetch.columns import COLUMN_ALIASES, DEFAULT_COLUMNS, POSITION_COLUMNS
from ibkr_tools.fetch.formats import Rows, as_csv, as_ndjson, jq_output_rows, response_rows, snapshot_rows
from ibkr_tools.number_format import unescape_entities
from ibkr_tools.portal.endpoints import READS
from tests.support.checkout import CHECKOUT


def answer(resource: str, payload: str) -> Rows:
    """Returns the rows of an answer."""
    return response_rows(payload.encode(), READS[resource])


def snapshot(**parts: str) -> bytes:
    """Returns a snapshot with these parts, each as JSON."""
    members = "".join(f',"{name}":{payload}' for name, payload in parts.items())
    return f'{{"schema":1,"as_of":"2026-11-22T12:00:00+00:00","account":"U1","covers":{{}}{members}}}'.encode()


def text(rows: Rows) -> str:
    """Returns all columns of the rows as CSV, with simple line ends."""
    return b"".join(as_csv(rows, "all")).decode().replace("\r\n", "\n")


def lines(rows: Rows) -> list[str]:
    """Returns the rows as NDJSON, line by line."""
    return b"".join(as_ndjson(rows)).decode().splitlines()


# What is a list.


def test_a_list_of_objects() -> None:
    rows = answer("accounts", '[{"id":"U1","n":1.50},{"id":"U2","more":[1, {"x": 2.0}],"n":null}]')
    assert text(rows) == 'id,n,more\nU1,1.50,\nU2,,"[1,{""x"":2.0}]"\n'
    assert lines(rows) == ['{"id":"U1","n":1.50}', '{"id":"U2","more":[1,{"x":2.0}],"n":null}']
    assert not rows.unexpected


@pytest.mark.parametrize(
    ("resource", "payload", "header"),
    [
        ("orders", '{"orders":[{"orderId":1}],"snapshot":true}', "orderId"),
        ("watchlists", '{"data":{"user_lists":[{"id":"1"}]},"action":"x"}', "id"),
        ("subaccounts2", '[{"id":"U1"}]', "id"),
        ("subaccounts2", '{"metadata":{"total":1},"subaccounts":[{"id":"U1"}]}', "id"),
        ("pnl", '{"upnl":{"U1.Core":{"dpl":-12.5}}}', "key,dpl"),
        ("stocks", '{"AAPL":[{"name":"x"}],"IBM":[{"name":"y"}]}', "key,name"),
        ("positions_by_conid", '{"U1":[{"conid":1}],"U1C":[]}', "account,conid"),
        ("consolidated_allocation", '{"assetClass":{"long":{"STK":1.0},"short":{}}}', "by,name,long"),
    ],
)
def test_where_the_records_of_an_answer_are(resource: str, payload: str, header: str) -> None:
    assert text(answer(resource, payload)).splitlines()[0] == header


def test_a_map_by_account_and_key() -> None:
    document = snapshot(
        summary='{"U1":{"netliquidation":{"amount":1.10,"value":null},"accountcode":{"amount":0.0,"value":"U1"}},'
        '"U2":{"netliquidation":{"amount":2,"value":null}}}'
    )
    assert text(snapshot_rows(document)) == (
        "account,key,amount,value\nU1,netliquidation,1.10,\nU1,accountcode,0.0,U1\nU2,netliquidation,2,\n"
    )
    assert lines(snapshot_rows(document))[0] == '{"account":"U1","key":"netliquidation","amount":1.10,"value":null}'


def test_a_ledger_is_by_currency() -> None:
    """IBKR's rows have a `key` of their own (always LedgerList) and say the currency once more."""
    document = snapshot(ledger='{"U1":{"USD":{"cashbalance":1.0,"currency":"USD","key":"LedgerList"}}}')
    assert text(snapshot_rows(document)) == "account,cashbalance,currency,key\nU1,1.0,USD,LedgerList\n"


def test_a_name_that_the_row_has_for_something_else_is_kept_beside_it() -> None:
    assert text(answer("stocks", '{"AAPL":[{"key":"other"}]}')) == "key_,key\nAAPL,other\n"


def test_an_allocation_is_by_class_and_name() -> None:
    payload = (
        '{"U1":{"assetClass":{"long":{"STK":30613.40,"CASH":9718.6},"short":{"CASH":-12.0}},'
        '"sector":{"long":{},"short":{"Technology":-1}},"group":{"long":{},"short":{}}}}'
    )
    assert text(snapshot_rows(snapshot(allocation=payload))) == (
        "account,by,name,long,short\n"
        "U1,assetClass,STK,30613.40,\n"
        "U1,assetClass,CASH,9718.6,-12.0\n"
        "U1,sector,Technology,,-1\n"
    )


def test_one_object_for_each_account_is_a_row_for_each() -> None:
    rows = snapshot_rows(snapshot(meta='{"U1":{"id":"U1","parent":{"mmc":[]}},"U2":{"id":"U2"}}'))
    assert text(rows) == 'account,id,parent\nU1,U1,"{""mmc"":[]}"\nU2,U2,\n'


def test_a_list_for_each_account() -> None:
    rows = snapshot_rows(snapshot(combos='{"U1":[],"U2":[{"name":"CP"}]}'))
    assert lines(rows) == ['{"account":"U2","name":"CP"}']


@pytest.mark.parametrize(
    ("resource", "payload", "kind"),
    [
        ("user", '{"id":1,"wbId":""}', "an object"),
        ("performance", '{"rc":0,"id":"x","pm":"TWR","cps":{},"nav":{}}', "an object"),
        ("orders", '{"snapshot":true}', "an object"),
        ("unread", "5", "a number"),
        ("unread", '"5"', "a text"),
        ("unread", "null", "null"),
        ("unread", "true", "true"),
    ],
)
def test_what_is_not_a_list_is_told(resource: str, payload: str, kind: str) -> None:
    with pytest.raises(UsageError) as caught:
        answer(resource, payload)
    assert caught.value.message == f"{resource} is {kind}, not a list"
    assert caught.value.hint
    assert "--jq" in caught.value.hint


def test_several_resources_are_not_one_list() -> None:
    document = snapshot(accounts="[]", positions='[{"conid":1}]')
    with pytest.raises(UsageError, match="one list at a time: the snapshot has accounts, positions") as caught:
        snapshot_rows(document)
    assert caught.value.hint == "Name one of them, or choose with --jq."
    assert len(snapshot_rows(document, "positions")) == 1
    with pytest.raises(UsageError, match="ledger: not in the snapshot"):
        snapshot_rows(document, "ledger")


def test_nothing_of_the_envelope_is_a_resource() -> None:
    assert not {"schema", "as_of", "account", "covers"} & set(READS)


@pytest.mark.parametrize("payload", ["[]", "{}"])
def test_an_empty_list_has_no_columns(payload: str) -> None:
    assert (text(answer("accounts", payload)), lines(answer("accounts", payload))) == ("", [])


# Rows of an unexpected shape are kept, and told.


def test_rows_that_are_no_objects_have_a_column() -> None:
    rows = answer("accounts", '[{"id":"U1"},7,"x",[1,2],null]')
    assert text(rows) == 'id,value\nU1,\n,7\n,x\n,"[1,2]"\n,\n'
    assert lines(rows) == ['{"id":"U1"}', "7", '"x"', "[1,2]", "null"]
    assert rows.unexpected == "accounts: 4 of 5 rows are no objects; see the column 'value'"


def test_a_value_among_the_records_of_a_map_keeps_its_name() -> None:
    rows = snapshot_rows(snapshot(summary='{"U1":{"a":{"amount":1},"b":{"amount":2},"c":5}}'))
    assert text(rows) == "account,key,amount,value\nU1,a,1,\nU1,b,2,\nU1,c,,5\n"
    assert lines(rows)[-1] == '{"account":"U1","key":"c","value":5}'
    assert rows.unexpected


def test_a_list_of_values_is_a_list() -> None:
    rows = answer("accounts", "[1,2.50]")
    assert (text(rows), rows.unexpected) == ("value\n1\n2.50\n", "")


# What a jq program made.


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (['{"a":1}', '{"b":2}'], "a,b\n1,\n,2\n"),
        (['[{"a":1},{"a":2}]'], "a\n1\n2\n"),
        (['["x",1.50]', '["y",2]'], "1,2\nx,1.50\ny,2\n"),
        (["[]", '{"a":1}'], "a\n1\n"),
        (["1.0", '"x"'], "value\n1.0\nx\n"),
        (['[{"a":1},5]'], "a,value\n1,\n,5\n"),
        ([], ""),
    ],
)
def test_outputs_of_a_program(outputs: list[str], expected: str) -> None:
    assert text(jq_output_rows(outputs)) == expected


def test_outputs_stay_as_they_are_on_lines() -> None:
    assert lines(jq_output_rows(['["x",1.50]', "[]", '[{"a":1}]', "3"])) == ['["x",1.50]', '{"a":1}', "3"]


# CSV is RFC 4180, and gives back what went in.


def test_csv_as_rfc_4180_wants_it() -> None:
    rows = answer("accounts", r'[{"a,b":"x\"y","c":"1\n2\r\n3","d":" Jörg 🔑","e":true,"f":false,"g":"","h":"=1+1"}]')
    assert b"".join(as_csv(rows, "all")) == (
        '"a,b",c,d,e,f,g,h\r\n"x""y","1\n2\r\n3", Jörg 🔑,true,false,,=1+1\r\n'.encode()
    )


@pytest.mark.parametrize(
    "number", ["584.6799927", "3.0", "1.10", "123456789012345678901234567890", "-0", "1E-7", "2.5e+10", "0.1000"]
)
def test_numbers_are_as_ibkr_wrote_them(number: str) -> None:
    assert text(answer("accounts", f'[{{"n":{number}}}]')) == f"n\n{number}\n"
    assert lines(answer("accounts", f'[{{"n": {number} }}]')) == [f'{{"n":{number}}}']


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
).filter(lambda value: "\x00" not in repr(value))
ROWS = st.lists(st.dictionaries(st.text(), VALUES, max_size=5) | VALUES, max_size=8)


def written(value: Any) -> str:
    """Returns what a cell of CSV must be."""
    match value:
        case None:
            return ""
        case str():
            return unescape_entities(value)
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        case _:
            return json.dumps(value)


@given(ROWS)
def test_csv_keeps_every_row_and_value(rows: list[Any]) -> None:
    """Read back by Python's own reader: the columns in order of appearance, each value at its place."""
    data = b"".join(as_csv(answer("accounts", json.dumps(rows, ensure_ascii=False)), "all")).decode()
    found = list(csv.reader(io.StringIO(data, newline="")))
    records = [row if isinstance(row, dict) else {"value": row} for row in rows]
    columns = list(dict.fromkeys(name for record in records for name in record))
    if not columns:
        assert data == ""
        return
    assert found[0] == columns
    assert found[1:] == [[written(record.get(name)) for name in columns] for record in records]


@given(ROWS)
def test_ndjson_keeps_every_row(rows: list[Any]) -> None:
    found = lines_exactly(answer("accounts", json.dumps(rows, ensure_ascii=False, indent=1)))
    assert [json.loads(line, parse_float=Decimal) for line in found] == json.loads(
        json.dumps(rows), parse_float=Decimal
    )


def lines_exactly(rows: Rows) -> list[str]:
    """Returns NDJSON split at newlines only: a text may have other separators of lines in it."""
    return b"".join(as_ndjson(rows)).decode().split("\n")[:-1]


def test_many_rows_come_in_pieces() -> None:
    rows = answer("accounts", json.dumps([{"n": number} for number in range(2_000)]))
    pieces = list(as_csv(rows))
    assert len(pieces) > 2
    assert b"".join(pieces).count(b"\r\n") == 2_001


# The columns of CSV.

SHORT = {"acctId": "U1", "conid": 1, "contractDesc": "AT&amp;T", "position": 3.0, "mktPrice": 2.5, "mktValue": 7.50}
LONG = SHORT | {"ticker": "T", "name": "AT&amp;T INC", "chineseName": "&#x793A;", "pageSize": 100}
FRESH = {
    "position": 3.0,
    "conid": "1",
    "description": "AT&amp;T",
    "marketPrice": 2.5,
    "marketValue": 7.50,
    "secType": "STK",
}


def csv_of(resource: str, *rows: object, asked: str | None = None) -> list[list[str]]:
    """Returns CSV, read back."""
    data = b"".join(as_csv(answer(resource, json.dumps(rows)), asked)).decode()
    return list(csv.reader(io.StringIO(data, newline="")))


def test_the_header_is_the_same_whatever_ibkr_sends() -> None:
    """Short rows today, long ones tomorrow, others past the cache, none at all: one header, values under it."""
    fresh = json.dumps([FRESH | {"acctId": "U1", "currency": "USD"}])
    found = [csv_of("positions", row) for row in (SHORT, LONG)] + [csv_of("positions")]
    found.append(list(csv.reader(io.StringIO(b"".join(as_csv(answer("positions", fresh))).decode(), newline=""))))
    assert {tuple(rows[0]) for rows in found} == {POSITION_COLUMNS}
    cells = [dict(zip(*rows, strict=True)) for rows in found if len(rows) > 1]
    for name, text in {"acctId": "U1", "contractDesc": "AT&T", "mktPrice": "2.5", "mktValue": "7.5"}.items():
        assert {row[name] for row in cells} == {text}


def test_other_columns_can_be_asked_for() -> None:
    assert csv_of("positions", LONG, asked="conid, pageSize,mktValue") == [["conid", "pageSize", "mktValue"],
                                                                          ["1", "100", "7.5"]]  # fmt: skip
    assert csv_of("positions", LONG, asked="all")[0] == list(LONG)
    # A fixed one may be empty today; one that IBKR calls otherwise past its cache has the same name.
    assert csv_of("positions", FRESH, asked="mktValue,ticker")[1] == ["7.5", ""]
    assert csv_of("positions", FRESH, asked="marketValue")[1] == ["7.5"]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("mktvalue", "--columns: no column 'mktvalue' in positions (did you mean 'mktValue'?)"),
        ("conid,conid", "--columns: conid is there twice"),
        ("", "--columns: no column '' in positions"),
    ],
)
def test_a_column_that_there_is_not_is_told(asked: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        csv_of("positions", SHORT, asked=asked)
    assert caught.value.message == text


def test_the_documentation_lists_the_columns() -> None:
    page = (CHECKOUT / "docs/formats.md").read_text()
    for name, columns in DEFAULT_COLUMNS.items():
        row = next(line for line in page.splitlines() if line.startswith("| ") and f"`{name}`" in line.split("|")[1])
        assert row.split("|")[2].strip() == " ".join(f"`{column}`" for column in columns)


def test_every_fixed_list_is_a_resource() -> None:
    assert set(DEFAULT_COLUMNS) <= set(READS)
    assert all(set(names) <= set(DEFAULT_COLUMNS[resource]) for resource, names in COLUMN_ALIASES.items())
