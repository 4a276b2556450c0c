"""jq programs: refused before anything is sent, printed as jq prints."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.errors import UsageError
from ibkr_tools.fetch.jq_program import JqProgram, format_jq_output, parse_variables, read_program

DOCUMENT = json.dumps(
    {
        "account": "U1234567",
        "accounts": [{"id": "U1234567", "accountTitle": "Jörg Šimůnek 🔑", "accountAlias": None}],
        "positions": [
            {"conid": 1, "contractDesc": "QQQ", "position": 3.5, "mktPrice": 584.6799927, "strike": "0"},
            {"conid": 2, "contractDesc": 'A "quoted"\nname\t\\', "position": -2.5, "mktPrice": 0.001, "undConid": 0},
        ],
        "empty": {"list": [], "object": {}},
        "as_of": 1780000000000,
    },
    ensure_ascii=False,
).encode()
FLAGS = [(), ("-r",), ("-c",), ("-r", "-c")]


def printed(program: str, document: bytes, flags: tuple[str, ...] = ()) -> str:
    """Returns what `ibkr-tools fetch --jq` prints."""
    results = JqProgram(program).run(document)
    return "".join(format_jq_output(line, raw="-r" in flags, compact="-c" in flags) + "\n" for line in results)


RECORDED = [
    (".account", (), '"U1234567"\n'),
    (".account", ("-r",), "U1234567\n"),
    (".accounts[0].accountTitle", (), '"Jörg Šimůnek 🔑"\n'),
    (".positions[1].contractDesc", (), '"A \\"quoted\\"\\nname\\t\\\\"\n'),
    (".positions[1].contractDesc", ("-r",), 'A "quoted"\nname\t\\\n'),
    (".empty", (), '{\n  "list": [],\n  "object": {}\n}\n'),
    (".empty", ("-c",), '{"list":[],"object":{}}\n'),
    (".positions[0].position", (), "3.5\n"),
    ("empty", (), ""),
    ("1, 2", ("-c",), "1\n2\n"),
    (".as_of", (), "1780000000000\n"),
]


@pytest.mark.parametrize(("program", "flags", "output"), RECORDED)
def test_output_is_what_jq_1_7_printed(program: str, flags: tuple[str, ...], output: str) -> None:
    assert printed(program, DOCUMENT, flags) == output


@pytest.mark.parametrize("program", ["", ".positions[", "nonsense", ".a |", "1 +", "$x", '"', "{a:}"])
def test_a_program_jq_does_not_understand_is_refused(program: str) -> None:
    with pytest.raises(UsageError) as caught:
        JqProgram(program)
    assert caught.value.message.startswith(f"--jq {program!r}: ")
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "program", [".account.x", ".positions.x", ".account + 1", 'error("own")', ".[0]", "error(null)", "@nope"]
)
def test_a_program_that_does_not_fit_the_data_is_refused(program: str) -> None:
    with pytest.raises(UsageError, match="--jq: "):
        JqProgram(program).run(DOCUMENT)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(st.characters(codec="utf-8"))),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON)
def test_identity_changes_nothing(document: object) -> None:
    """Whatever IBKR sends comes out as the same value."""
    data = json.dumps(document, ensure_ascii=False).encode()
    (line,) = JqProgram(".").run(data)
    for flags in FLAGS:
        text = format_jq_output(line, raw="-r" in flags, compact="-c" in flags)
        if "-r" in flags and isinstance(document, str):
            assert text == document
        else:
            assert json.loads(text) == document


@pytest.mark.parametrize("program", ["1, halt_error", "halt_error(3)", 'error("")', "error", 'error("a\\nb")'])
def test_an_error_is_one_short_line(program: str) -> None:
    """However a program says that it failed, and whatever it says: its error may be all of the data."""
    with pytest.raises(UsageError) as caught:
        JqProgram(program).run(json.dumps({"a": "x" * 5000}).encode())
    assert len(caught.value.message) < 320
    assert caught.value.message.isprintable()
    assert not caught.value.message.endswith(": ")


def test_a_query_can_run_twice() -> None:
    query = JqProgram(".account")
    assert query.run(DOCUMENT) == query.run(DOCUMENT) == ['"U1234567"']


# Numbers: as IBKR wrote them, unless the program computes with them.


@pytest.mark.parametrize(
    "number", ["584.6799927", "3.0", "1.10", "0.10000000000000001", "123456789012345678901234567890", "-0", "1E-7"]
)
def test_a_number_that_is_only_passed_on_keeps_its_digits(number: str) -> None:
    assert JqProgram(".[0], .").run(f"[{number}]".encode()) == [number, f"[{number}]"]


def test_a_big_document() -> None:
    """10,000 rows in, 10,000 results out."""
    rows = [{"conid": number, "contractDesc": f"Ü{number}", "mktValue": number / 7} for number in range(10_000)]
    data = json.dumps({"positions": rows}, ensure_ascii=False).encode()
    results = JqProgram(".positions[] | {conid, mktValue}").run(data)
    assert len(results) == 10_000
    assert results[9_999] == f'{{"conid":9999,"mktValue":{9_999 / 7!r}}}'


def test_a_document_deeper_than_jq_goes_is_refused() -> None:
    with pytest.raises(UsageError, match="depth"):
        JqProgram(".").run(b"[" * 20_000 + b"]" * 20_000)


# Errors say where.


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (".[", "--jq '.[': unexpected end of file at line 1, column 2"),
        (".a | foo", "--jq '.a | foo': foo/0 is not defined at line 1, column 6"),
        (".a |\n$x", "--jq '.a |\\n$x': $x is not defined at line 2, column 1"),
        ('import "a" as a; 1', "module not found: a"),
        (".a + " + "x" * 100, "--jq: " + "x" * 100 + "/0 is not defined at line 1, column 6: .a + xxxx"),
    ],
)
def test_a_compile_error_says_line_and_column(program: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        JqProgram(program)
    assert message in caught.value.message


def test_an_error_in_a_file_shows_the_line() -> None:
    with pytest.raises(UsageError) as caught:
        JqProgram("# mine\n.positions[]\n  | {conid, nonsense: foo}\n", origin="--from-file mine.jq")
    assert caught.value.message == (
        "--from-file mine.jq: foo/0 is not defined at line 3, column 23: | {conid, nonsense: foo}"
    )


def test_no_more_inputs() -> None:
    """There is one document; jq's binding would say `break`."""
    with pytest.raises(UsageError, match="--jq: No more inputs"):
        JqProgram("input").run(b"1")


@pytest.mark.parametrize("name", ["format(f)", "tojson"])
def test_no_definition_of_a_program_changes_how_it_is_printed(name: str) -> None:
    assert JqProgram(f"def {name}: 5; .").run(b"1.50") == ["1.50"]


@pytest.mark.parametrize("program", ["1\0 2", "\0", ".\0"])
def test_a_program_ends_where_it_ends(program: str) -> None:
    """In C a text would end at the NUL."""
    with pytest.raises(UsageError, match="NUL"):
        JqProgram(program)


@pytest.mark.parametrize("program", [". # why", ". # why \\", "# why\n.", ". as $x | $x # \\\\", "def f: .; f"])
def test_comments_and_definitions(program: str) -> None:
    assert JqProgram(program).run(b"1.50") == ["1.50"]


# --arg, --argjson, --from-file.


def test_arguments_are_variables() -> None:
    args = parse_variables([("name", "1.5 Ü")], [("value", '{"a":[1,null]}')])
    assert args == {"name": "1.5 Ü", "value": {"a": [1, None]}}
    query = JqProgram("$name, $value.a[0], $ARGS.named.value.a[1], $ARGS.positional", args)
    assert query.run(b"null") == ['"1.5 Ü"', "1", "null", "[]"]


@pytest.mark.parametrize(
    ("texts", "documents", "message"),
    [
        ([("1a", "x")], [], "--arg '1a': not a name"),
        ([("", "x")], [], "--arg '': not a name"),
        ([], [("a b", "1")], "--argjson 'a b': not a name"),
        ([], [("a", "{")], "--argjson a: '{' is not JSON"),
        ([], [("a", "")], "--argjson a: '' is not JSON"),
        ([], [("a", "[" * 100_000)], "is not JSON"),
    ],
)
def test_arguments_that_are_wrong(texts: list[tuple[str, str]], documents: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_variables(texts, documents)
    assert message in caught.value.message


def test_a_program_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.jq"
    file.write_text("# Jörg's\n.account\n")
    assert JqProgram(read_program(file)).run(DOCUMENT) == ['"U1234567"']


def test_a_program_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"# J\xf6rg\n.")
    for name, reason in (("missing", "No such file"), ("latin", "not a text in UTF-8"), (".", "Is a directory")):
        with pytest.raises(UsageError, match=reason):
            read_program(tmp_path / name)
