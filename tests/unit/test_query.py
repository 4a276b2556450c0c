"""jq programs: refused before anything is sent, printed as jq prints."""

import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.errors import UsageError
from ibkr_tools.fetch.query import Query, as_jq_prints

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
    results = Query(program).run(document)
    return "".join(as_jq_prints(line, raw="-r" in flags, compact="-c" in flags) + "\n" for line in results)


@pytest.mark.skipif(JQ is None, reason="needs the jq program, to compare with")
@pytest.mark.parametrize("flags", FLAGS, ids=lambda flags: "".join(flags) or "plain")
@pytest.mark.parametrize("program", PROGRAMS)
def test_output_is_that_of_jq(program: str, flags: tuple[str, ...]) -> None:
    """Byte by byte, for what both versions of jq write alike."""
    real = subprocess.run([JQ or "jq", *flags, program], input=DOCUMENT, capture_output=True, check=True)
    assert printed(program, DOCUMENT, flags) == real.stdout.decode()


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
        Query(program)
    assert caught.value.message.startswith(f"--jq {program!r}: ")
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "program", [".account.x", ".positions.x", ".account + 1", 'error("own")', ".[0]", "error(null)", "@nope"]
)
def test_a_program_that_does_not_fit_the_data_is_refused(program: str) -> None:
    with pytest.raises(UsageError, match="--jq: "):
        Query(program).run(DOCUMENT)


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
    (line,) = Query(".").run(data)
    for flags in FLAGS:
        text = as_jq_prints(line, raw="-r" in flags, compact="-c" in flags)
        if "-r" in flags and isinstance(document, str):
            assert text == document
        else:
            assert json.loads(text) == document


def test_a_query_can_run_twice() -> None:
    query = Query(".account")
    assert query.run(DOCUMENT) == query.run(DOCUMENT) == ['"U1234567"']
