"""How the results of several instances become one."""

import json

import pytest

from ibkr_tools.cli.app_context import find_several
from ibkr_tools.cli.several_instances import InstanceResult, named_csv, named_documents, named_lines, named_ndjson
from ibkr_tools.errors import UsageError

TABLE = "Class    Value\n─────  ───────\nSTK     581.26\n─────  ───────\ntotal   581.26\n1 row"


def test_each_line_of_a_table_begins_with_the_instance() -> None:
    """Under a title of its own, over a rule of its own; the rule above the sums makes no title of what is before it."""
    assert named_lines([("default", TABLE), ("bo", "nothing is saved\n")]).splitlines() == [
        "Instance  Class    Value",
        "────────  ─────  ───────",
        "default   STK     581.26",
        "────────  ─────  ───────",
        "default   total   581.26",
        "default   1 row",
        "",
        "bo        nothing is saved",
    ]


def test_a_second_table_of_one_instance_has_a_title_too() -> None:
    text = named_lines([("anna", f"{TABLE}\n\n{TABLE}")])
    assert [line.split()[0] for line in text.splitlines() if line].count("Instance") == 2


def test_a_long_name_has_room() -> None:
    text = named_lines([("a" * 20, TABLE)])
    assert text.splitlines()[0] == f"Instance{' ' * 14}Class    Value"


def test_documents_keep_their_digits() -> None:
    """What is none is null, and nothing is lost for it."""
    results = [
        InstanceResult("default", b'{"value":1.10}\n', "", 0),
        InstanceResult("anna", b"", "error: nothing has been saved", 75),
        InstanceResult("bob", b'{"value":', "", 70),
    ]
    assert named_documents(results) == b'{"default":{"value":1.10},"anna":null,"bob":null}'


def test_rows_have_the_instance_first() -> None:
    outputs = [("anna", b'{"conid":1,"price":1.10}\n{}\n"text"\n'), ("bob", b"")]
    assert b"".join(named_ndjson(outputs)).splitlines() == [
        b'{"instance":"anna","conid":1,"price":1.10}',
        b'{"instance":"anna"}',
        b'{"instance":"anna","value":"text"}',
    ]
    for line in b"".join(named_ndjson(outputs)).splitlines():
        json.loads(line)


def test_csv_has_one_header_of_all_columns() -> None:
    """Rows of an instance that has not got a column are empty there; nothing at all without a column."""
    outputs = [("anna", b'a,b\r\n1.10,"x\r\ny"\r\n'), ("bob", b"b,c\r\n2,3\r\n"), ("carl", b"")]
    assert b"".join(named_csv(outputs)) == b'instance,a,b,c\r\nanna,1.10,"x\r\ny",\r\nbob,,2,3\r\n'
    assert b"".join(named_csv([("anna", b"")])) == b""


def test_one_name_twice_is_one() -> None:
    assert find_several(["default", "default"], "fetch", is_over_several=False) is None
    assert find_several([], "fetch", is_over_several=False) is None


@pytest.mark.parametrize(("is_over_several", "is_named"), [(False, False), (True, True)])
def test_what_is_about_one_refuses_several(is_over_several: bool, is_named: bool) -> None:
    with pytest.raises(UsageError, match="one instance"):
        find_several(["default", "anna"], "fetch", is_over_several=is_over_several, is_named=is_named)
