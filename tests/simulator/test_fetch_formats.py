"""What `fetch` prints: every format, jq's options, files, terminals. Against the simulator as the gateway."""

import csv
import io
import json
import os
import pty
import resource
import select
import shutil
import signal
import subprocess
import termios
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest

from ibkr_tools.simulator import Simulator, account_numbers
from ibkr_tools.simulator.settings import Oddity
from tests.support.installation import Installation, printed
from tests.support.portal import asked
from tests.support.simulation import wait_until

ACCOUNTS = account_numbers("U1234567", 2)

pytestmark = pytest.mark.simulator(gateway=True, user="demo-reader", accounts=ACCOUNTS, positions=101)


@pytest.fixture
def simulator(simulator: Simulator) -> Simulator:
    """Rows are longer from the second time on; here two answers are compared."""
    simulator.control.behaviour(always_short_form=True)
    return simulator


def read(text: str) -> list[dict[str, str]]:
    """Reads CSV back."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def read_rows(text: str) -> list[list[str]]:
    """Reads CSV back, the header as a row too."""
    return list(csv.reader(io.StringIO(text, newline="")))


# Formats.


def test_json_is_ibkrs_own_bytes_on_one_line(place: Installation, simulator: Simulator) -> None:
    body = '{"netliquidation": {"amount": 1.10, "x": 9007199254740993, "neu": [null, "Ü"], "e": 1E-7}}'
    simulator.control.fault("/portfolio/*/summary", "status", status=200, body=body)
    text = printed(place, "fetch", "summary", "--account", "U1234567")
    assert text.endswith(f'"summary":{{"U1234567":{body}}}}}\n')
    assert text.count("\n") == 1


def test_every_row_of_positions_in_every_format(place: Installation) -> None:
    document = json.loads(printed(place, "fetch", "positions"), parse_float=str, parse_int=str)
    rows = document["positions"]
    assert len(rows) == 202
    lines = printed(place, "fetch", "positions", "-f", "ndjson").splitlines()
    assert [json.loads(line, parse_float=str, parse_int=str) for line in lines] == rows
    cells = read(printed(place, "fetch", "positions", "-f", "csv"))
    assert [row["mktValue"] for row in cells] == [row["mktValue"] for row in rows], "with IBKR's digits"
    assert [row["acctId"] for row in cells] == [row["acctId"] for row in rows]
    table = printed(place, "fetch", "positions", "--format", "table", "--all").splitlines()
    assert len(table) == 202 + 3
    totals: dict[str, Decimal] = {}
    for row in rows:
        value = Decimal(row["mktValue"] if row["assetClass"] != "FUT" else 0)
        totals[row["currency"]] = totals.get(row["currency"], Decimal(0)) + value
    stated = ", ".join(f"{total:,.2f} {currency}" for currency, total in sorted(totals.items()))
    assert table[-1] == f"202 positions worth {stated}"


@pytest.mark.parametrize(
    ("resource", "columns"),
    [
        ("accounts", ["id"]),
        ("summary", ["account", "key", "amount"]),
        ("ledger", ["account", "currency", "cashbalance"]),
        ("allocation", ["account", "by", "name", "long", "short"]),
        ("meta", ["account", "id"]),
        ("positions2", ["acctId", "conid", "mktValue"]),
        ("fyi-settings", ["FC"]),
    ],
)
def test_lists_of_all_shapes(place: Installation, resource: str, columns: list[str]) -> None:
    rows = read(printed(place, "fetch", resource, "-f", "csv"))
    assert rows
    assert set(columns) <= set(rows[0])
    if {"account", "acctId"} & set(columns):
        assert {row[columns[0]] for row in rows} == set(ACCOUNTS)
    assert len(printed(place, "fetch", resource, "-f", "table").splitlines()) > 3


@pytest.mark.parametrize("everything", [[], ["--all"]], ids=["", "all"])
@pytest.mark.parametrize("resource", ["", "positions", "positions2", "accounts", "summary", "ledger", "allocation",
                                      "performance", "periods", "meta"])  # fmt: skip
def test_fetch_and_show_print_the_same_table(
    place: Installation, simulator: Simulator, resource: str, everything: list[str]
) -> None:
    """Of the same snapshot, whatever is in it: show only adds how old it is."""
    simulator.control.behaviour(oddities=list(get_args(Oddity)), base_currencies=["EUR", "USD"])
    fetched = printed(place, "fetch", *filter(None, [resource]), "--table", "--save", *everything)
    shown = printed(place, "show", resource or "positions", *everything)
    assert shown.splitlines()[:-1] == fetched.splitlines()
    assert shown.splitlines()[-1].startswith("saved ")


def test_balances_and_positions_add_up(place: Installation, simulator: Simulator) -> None:
    """Of everything that IBKR knows, in two base currencies: what is without a value is told, the rest agrees."""
    simulator.control.behaviour(oddities=list(get_args(Oddity)), base_currencies=["EUR", "USD"])
    lines = printed(place, "fetch", "--table").splitlines()
    stated = [line for line in lines if line.startswith("net liquidation value")]
    assert [line.split()[-1] for line in stated] == ["EUR", "USD"]
    sums = [line.split(" = ")[1] for line in lines if line.startswith("cash ")]
    for one, other in zip(sums, stated, strict=True):
        added, whole = (
            Decimal(text.split()[0].replace(",", "")) for text in (one, other.removeprefix("net liquidation value "))
        )
        assert abs(added - whole) < 3
    assert sum("without 3 positions (no price), 1 position (no rate for TRY)" in line for line in lines) == 2
    weights = [Decimal(line.split()[-2]) for line in lines if line.startswith("total ") and line.endswith("%")]
    assert all(weight < 101 for weight in weights)
    assert len(weights) == 2


def test_the_header_of_csv_does_not_move(place: Installation, simulator: Simulator) -> None:
    """Short rows, long rows, rows from past the cache."""
    headers = [printed(place, "fetch", "positions", "-f", "csv").splitlines()[0]]
    simulator.control.behaviour(always_short_form=False)
    headers.append(printed(place, "fetch", "positions", "-f", "csv").splitlines()[0])
    headers.append(printed(place, "fetch", "positions", "--fresh", "-f", "csv").splitlines()[0])
    assert len(set(headers)) == 1
    every = printed(place, "fetch", "positions", "-f", "csv", "--columns", "all").splitlines()[0]
    assert len(every.split(",")) > 40
    assert printed(place, "fetch", "positions", "-f", "csv", "--columns", "conid,pageSize").startswith(
        "conid,pageSize\n"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["ledger", "-f", "csv", "--columns", "cashbalanc"], "did you mean 'cashbalance'?"),
        (["ledger", "--columns", "currency"], "--columns goes with --format csv"),
        (["ledger", "--all"], "--all goes with a table; this prints json"),
    ],
)
def test_what_does_not_go_together(place: Installation, arguments: list[str], text: str) -> None:
    done = place.run("fetch", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr


def test_what_is_no_list_is_refused(place: Installation) -> None:
    done = place.run("fetch", "user", "-f", "csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert "user is an object, not a list" in done.stderr
    assert "--jq" in done.stderr


def test_rows_of_an_unexpected_shape_are_kept_and_told(place: Installation, simulator: Simulator) -> None:
    simulator.control.fault("/portfolio/U1234567/positions/0", "json", body=[{"conid": 1}, 7])
    done = place.run("fetch", "positions", "--account", "U1234567", "-f", "csv")
    header, first, second = read_rows(done.stdout)
    assert done.returncode == 0
    assert (header[0], header[-1], first[0], first[-1], second[0], second[-1]) == (
        "acctId",
        "value",
        "U1234567",
        "",
        "",
        "7",
    )
    assert "1 of 2 rows are no objects" in done.stderr


# jq.


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["--jq", ".account, .schema"], '"U1234567"\n1\n'),
        (["-j", "--jq", ".account, .schema"], "U12345671"),
        (["-r", "--arg", "a", "x y", "--arg", "b", "z", "--jq", r'"\($a) \($b)"'], "x y z\n"),
        (["-c", "--argjson", "a", '{"b":[1.50]}', "--jq", "$a, $ARGS.named"], '{"b":[1.5]}\n{"a":{"b":[1.5]}}\n'),
        (
            ["-f", "csv", "--jq", ".covers.accounts[] | {account: ., n: 1.10}"],
            "account,n\nU1234567,1.10\nU1234568,1.10\n",
        ),
        (["-f", "ndjson", "--jq", ".covers.accounts"], '["U1234567","U1234568"]\n'),
        (["-f", "table", "--jq", ".covers.accounts"], "1         2\n────────  ────────\nU1234567  U1234568\n1 row\n"),
        (["-f", "csv", "--jq", "empty"], ""),
    ],
)
def test_the_options_of_jq(place: Installation, arguments: list[str], output: str) -> None:
    assert printed(place, "fetch", "ledger", *arguments) == output


def test_a_program_from_a_file(place: Installation, tmp_path: Path) -> None:
    program = tmp_path / "mine.jq"
    program.write_text("# The accounts\n.covers.accounts[]\n  | $prefix + .\n")
    assert printed(place, "fetch", "ledger", "-r", "--arg", "prefix", "→", "--from-file", str(program)) == (
        "→U1234567\n→U1234568\n"
    )
    program.write_text("# The accounts\n.covers.accounts[\n")
    done = place.run("fetch", "ledger", "--from-file", str(program))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--from-file {program}: unexpected end of file" in done.stderr
    assert "at line 3, column 1" in done.stderr or "at line 2, column" in done.stderr


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs the jq program, to compare with")
@pytest.mark.parametrize("flags", [["-c"], [], ["-r"], ["-j"]], ids=str)
def test_a_whole_snapshot_through_jq_and_through_us(place: Installation, flags: list[str]) -> None:
    program = '.accounts[] | .id, {accountTitle, list: [.parent | keys[]]}, "\\(.accountStatus)"'
    whole = printed(place, "fetch", "accounts")
    real = subprocess.run(["jq", *flags, program], input=whole, capture_output=True, text=True, check=True)
    assert printed(place, "fetch", "accounts", *flags, "--jq", program) == real.stdout


def catches_interrupts(pid: int) -> bool:
    """Says whether a process does something else on Ctrl-C than end at once."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)


def test_a_program_without_an_end_can_be_interrupted(place: Installation, simulator: Simulator) -> None:
    """By Ctrl-C, once IBKR has answered and jq has it: until then Python itself takes the signal."""
    before = asked(simulator, "/U1234567/ledger")
    # A shell ignores the signal in what it starts in the background, tests among it, and so do their processes.
    command = ["env", "--default-signal=INT"]
    command += place.command("fetch", "ledger", "--account", "U1234567", "--jq", "def f: f; f")
    with subprocess.Popen(command, env=place.environment, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: asked(simulator, "/U1234567/ledger") > before)
            wait_until(lambda: not catches_interrupts(process.pid))
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == -signal.SIGINT
        finally:
            process.kill()


# Files.


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "table"])
def test_a_file_has_what_would_be_printed(place: Installation, tmp_path: Path, form: str) -> None:
    file = tmp_path / "out"
    arguments = ("fetch", "positions", "--account", "U1234567", "-f", form)
    assert printed(place, *arguments, "-o", str(file)) == ""
    assert file.stat().st_mode & 0o777 == 0o600
    shown = printed(place, *arguments, "-o", "-").encode()
    if form == "json":
        assert json.loads(file.read_bytes())["positions"] == json.loads(shown)["positions"]
    else:
        assert file.read_bytes().replace(b"\r\n", b"\n") == shown.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("form", ["json", "ndjson", "csv"])
def test_a_full_disk_leaves_the_old_file(place: Installation, tmp_path: Path, form: str) -> None:
    file = tmp_path / "out"
    file.write_text("old")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, resource.RLIM_INFINITY))

    done = subprocess.run(
        place.command("fetch", "positions", "-f", form, "-o", str(file)),
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,  # the child is Python, and no thread of ours forks
    )
    assert done.returncode == 73, done.stderr
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_does_not_fit_leaves_the_old_file(place: Installation, tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("old")
    for arguments in (["--jq", ".x.y.z | error"], ["--jq", ".account.x"]):
        place.rest()
        assert place.run("fetch", "ledger", *arguments, "-o", str(file)).returncode == 2
    assert place.run("fetch", "user", "-f", "csv", "-o", str(file)).returncode == 2
    assert file.read_text() == "old"


@pytest.mark.parametrize("arguments", [[], ["-f", "ndjson"], ["-f", "csv"], ["-f", "table"]], ids=str)
def test_a_full_standard_output_is_told(place: Installation, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            place.command("fetch", "positions", *arguments),
            env=place.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 73
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "table"])
def test_a_reader_that_leaves_early_is_content(place: Installation, form: str) -> None:
    command = place.command("fetch", "positions", "-f", form)
    with subprocess.Popen(command, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


# Terminals.


def at_terminal(place: Installation, *arguments: str, columns: int = 100) -> tuple[str, str, int]:
    """Runs a command with standard output and error each at a terminal; returns what they show, and the exit code."""
    ends = [pty.openpty(), pty.openpty()]
    for leader, _ in ends:
        termios.tcsetwinsize(leader, (24, columns))
    process = subprocess.Popen(
        place.command(*arguments),
        env=place.environment | {"TERM": "xterm", "COLUMNS": str(columns)},
        stdin=subprocess.DEVNULL,
        stdout=ends[0][1],
        stderr=ends[1][1],
        start_new_session=True,
    )
    for _, follower in ends:
        os.close(follower)
    shown: dict[int, bytes] = {leader: b"" for leader, _ in ends}
    open_ones = set(shown)
    while open_ones:
        for leader in select.select(open_ones, [], [])[0]:
            try:
                data = os.read(leader, 65536)
            except OSError:
                data = b""
            shown[leader] += data
            if not data:
                open_ones.discard(leader)
                os.close(leader)
    out, error = (shown[leader].decode() for leader, _ in ends)
    return out, error, process.wait(60)


def test_a_person_gets_json_indented(place: Installation) -> None:
    out, _, code = at_terminal(place, "fetch", "ledger", "--account", "U1234567")
    assert code == 0
    assert out.startswith('{\r\n  "schema": 1,\r\n')
    place.rest()
    out, _, _ = at_terminal(place, "fetch", "ledger", "--account", "U1234567", "-c")
    assert out.startswith('{"schema":1,')


def test_a_table_fits_the_terminal(place: Installation) -> None:
    out, _, code = at_terminal(place, "fetch", "accounts", "-f", "table", columns=60)
    assert code == 0
    assert max(len(line) for line in out.splitlines()) <= 60


ERASED = "\r\n\r\x1b[1A\x1b[2K"
"""The end of a progress line: back to its own line, which is erased."""


def test_progress_is_shown_and_erased(place: Installation, simulator: Simulator) -> None:
    """A second for each answer, and two accounts: there is something to see."""
    simulator.control.fault("/portfolio/*/ledger", "slow", delay_s=0.8)
    out, error, code = at_terminal(place, "fetch", "ledger", "-c")
    assert code == 0
    assert out.startswith('{"schema":1,')
    assert "ledger of U123456" in error
    assert "/2" in error
    assert error.endswith(ERASED)


def test_a_wait_for_a_slow_turn_is_counted_down(place: Installation) -> None:
    """`/portfolio/accounts` may be asked every five seconds."""
    printed(place, "api", "/portfolio/subaccounts")
    _, error, code = at_terminal(place, "api", "/portfolio/subaccounts", "-c")
    assert code == 0
    assert "/portfolio/subaccounts: its turn comes in" in error
    assert error.endswith(ERASED)
