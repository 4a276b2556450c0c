"""Files that are replaced whole, and the table for people."""

import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.errors import DataError, OutputError
from ibkr_tools.fetch.output import positions_table, save, write_file


def row(**changes: Any) -> dict[str, Any]:
    """Returns one position."""
    fields = {
        "acctId": "U1234567",
        "contractDesc": "QQQ",
        "assetClass": "STK",
        "position": 3.0,
        "mktPrice": 584.6799927,
        "mktValue": 1754.04,
        "unrealizedPnl": 1.1,
        "currency": "USD",
    }
    return fields | changes


def test_a_snapshot_is_saved_for_the_group(tmp_path: Path) -> None:
    path = save(tmp_path / "snapshots", b'{"schema":1,"x":"J\xc3\xb6rg"}')
    assert path == tmp_path / "snapshots" / "latest.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    assert json.loads(path.read_bytes()) == {"schema": 1, "x": "Jörg"}
    assert path.read_bytes().endswith(b"\n")


def test_what_a_person_writes_is_hers_alone(tmp_path: Path) -> None:
    write_file(tmp_path / "out.json", "text")
    assert stat.S_IMODE((tmp_path / "out.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("where", ["missing/out.json", "file/out.json", "."])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError) as caught:
        write_file(tmp_path / where, "text")
    assert caught.value.exit_code == 73


def test_a_full_disk_leaves_the_old_snapshot(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for the disk."""
    path = save(tmp_path, b'{"old":true}')
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputError, match="File too large"):
            save(tmp_path, json.dumps({"new": ["x" * 100] * 1000}).encode())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system")
def test_a_really_full_disk_too(tmp_path: Path, environment: dict[str, str]) -> None:
    """A tmpfs of 64 kB in a mount namespace of its own."""
    program = (
        "import sys; from pathlib import Path; from ibkr_tools import guard; from ibkr_tools.fetch.output import save\n"
        "folder = Path(sys.argv[1]); path = save(folder, b'{\"old\":true}'); before = path.read_bytes()\n"
        "code = guard.run(lambda: save(folder, b'{\"new\":\"' + b'x' * 200_000 + b'\"}') and None)\n"
        "assert path.read_bytes() == before and list(folder.iterdir()) == [path]\n"
        "sys.exit(code)"
    )
    script = 'mount -t tmpfs -o size=64k none "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "/bin/sh", "-c", script, "sh", str(tmp_path), sys.executable, program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
    assert done.returncode == 73, done.stderr
    assert "No space left on device" in done.stderr


def test_the_table_is_ordered_by_value_with_totals() -> None:
    text = positions_table(
        [
            row(),
            row(contractDesc="BIG", position=1_234_567, mktValue=-9_000_000.5, currency="EUR"),
            row(contractDesc="NONE", mktValue=None, mktPrice=None, unrealizedPnl=None, position=0.00000001),
        ]
    )
    lines = text.splitlines()
    assert [line.split()[1] for line in lines[2:5]] == ["BIG", "QQQ", "NONE"]
    assert "1,234,567 " in lines[2], "a quantity keeps its digits"
    assert "-9,000,000.50" in lines[2]
    assert " 3 " in lines[3]
    assert "0.00000001" in lines[4]
    assert lines[-1] == "3 positions; market value -9,000,000.50 EUR, 1,754.04 USD"


def test_an_empty_account_and_one_position() -> None:
    assert positions_table([]).splitlines()[-1] == "0 positions"
    assert positions_table([row()]).splitlines()[-1].startswith("1 position;")


def test_a_long_table_can_be_cut() -> None:
    text = positions_table([row(conid=number) for number in range(30)], most=10)
    assert "… and 20 more" in text
    assert "30 positions" in text


def test_rows_that_are_not_objects_are_refused() -> None:
    with pytest.raises(DataError):
        positions_table([1])  # type: ignore[list-item]


CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5))
KEYS = ("acctId", "contractDesc", "assetClass", "position", "mktPrice", "mktValue", "unrealizedPnl", "currency")


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), CELLS), max_size=5))
def test_any_row_can_be_shown(rows: list[dict[str, Any]]) -> None:
    """Fields come as numbers, texts or null; the table has one line for each row."""
    text = positions_table(rows)
    assert len(text.split("\n")) == len(rows) + 3
