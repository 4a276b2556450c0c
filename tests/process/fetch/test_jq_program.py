"""Queries, judged by the program jq."""

import json
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.fetch.jq_program import JqProgram, format_jq_output, parse_variables
from tests.support.examples import examples

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

PROGRAMS = [
    ".account",
    ".positions | length",
    ".positions[]",
    ".positions[].contractDesc",
    ".positions[] | [.conid, .position]",
    ".accounts[0].accountTitle",
    ".accounts",
    ".empty",
    ".empty, .empty.list, .empty.object",
    ".nothing",
    "empty",
    '.positions[] | "\\(.contractDesc): \\(.position)"',
    ".positions | map(.position) | add",
    ".as_of",
    'true, false, null, 0, -1, ""',
    ".positions | group_by(.conid) | map({(.[0].conid | tostring): length}) | add",
    ".positions | map([.conid, .contractDesc]) | .[] | @tsv",
    ".. | numbers",
    ".positions | sort_by(-.conid)",
    "[.positions[] | {conid, nested: {deep: [{x: .position}]}}]",
]
FLAGS = [(), ("-r",), ("-c",), ("-r", "-c")]

JQ = shutil.which("jq")


def printed(program: str, document: bytes, flags: tuple[str, ...] = ()) -> str:
    """Returns what `ibkr-tools fetch --jq` prints."""
    results = JqProgram(program).run(document)
    return "".join(format_jq_output(line, raw="-r" in flags, compact="-c" in flags) + "\n" for line in results)


@pytest.mark.skipif(JQ is None, reason="needs the jq program, to compare with")
@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: "".join(flags) or "plain")
@pytest.mark.parametrize("program", PROGRAMS)
def test_output_is_that_of_jq(program: str, flags: tuple[str, ...]) -> None:
    """Byte by byte, for what both versions of jq write alike."""
    real = subprocess.run([JQ or "jq", *flags, program], input=DOCUMENT, capture_output=True, check=True)
    assert printed(program, DOCUMENT, flags) == real.stdout.decode()


def same_numbers(text: str) -> str:
    """Returns a text with every number as Python writes the nearest double: jq 1.6 has nothing finer."""
    return re.sub(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", lambda found: repr(float(found[0])), text)


@pytest.mark.skipif(JQ is None, reason="needs the jq program, to compare with")
@examples(0.4)
@given(
    document=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    ),
    program=st.sampled_from(
        [".", "..", ".[]?", "tojson", "[.]", "., .", "{a: .}", "[..] | length", 'try keys catch "x"']
    ),
    flags=st.sampled_from(FLAGS),
)
def test_any_document_is_printed_as_jq_prints_it(document: object, program: str, flags: tuple[str, ...]) -> None:
    """Letters, escapes, indentation, several outputs: all but the digits of numbers, where jq 1.6 rounds."""
    data = json.dumps(document, ensure_ascii=False).encode()
    real = subprocess.run([JQ or "jq", *flags, program], input=data, capture_output=True, check=True).stdout.decode()
    assert same_numbers(printed(program, data, flags)) == same_numbers(real)


@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: "".join(flags) or "plain")
@pytest.mark.skipif(JQ is None, reason="needs the jq program, to compare with")
def test_arguments_are_those_of_jq(flags: tuple[str, ...]) -> None:
    program = '$a, $b, ("\\($a) and \\($b)")'
    command = [JQ or "jq", *flags, "--arg", "a", "x y", "--argjson", "b", '{"c": [true, "ü"]}', program]
    real = subprocess.run(command, input=b"null", capture_output=True, check=True).stdout.decode()
    args = parse_variables([("a", "x y")], [("b", '{"c": [true, "ü"]}')])
    lines = JqProgram(program, args).run(b"null")
    assert "".join(format_jq_output(line, raw="-r" in flags, compact="-c" in flags) + "\n" for line in lines) == real
