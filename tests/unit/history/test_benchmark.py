"""The prices of a benchmark, and what is wrong with a file of them."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from ibkr_tools.errors import DataError, UsageError
from ibkr_tools.history.benchmark import parse_benchmark, read_benchmark


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-05,100\n2026-01-09,110\n",
        "day,close\n2026-01-09,110\n2026-01-05,100\n",
        "Date,Open,Close\n2026-01-05,1,100\n\n2026-01-09,1,110\n",
        "close,day\n100,2026-01-05\n110,2026-01-09\n2026,2026-02-28\n",
    ],
)
def test_prices(text: str) -> None:
    found = parse_benchmark(text.splitlines(), "x")
    assert found.return_between(date(2026, 1, 6), date(2026, 1, 12)) == Decimal("0.1")


@pytest.mark.parametrize(("first", "last"), [("2026-01-04", "2026-01-09"), ("2026-01-05", "2026-01-17")])
def test_a_price_that_is_missing_or_old(first: str, last: str) -> None:
    found = parse_benchmark(["2026-01-05,100", "2026-01-09,110"], "x")
    assert found.return_between(date.fromisoformat(first), date.fromisoformat(last)) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no prices"),
        ("day,close\n", "no prices"),
        ("time,close\n1,2\n", "no column `day`"),
        ("01/05/2026,100\n", "line 1: '01/05/2026' is no day"),
        ("2026-01-05,100\n2026-01-06,n/a\n", "line 2: 'n/a' is no price"),
        ("2026-01-05,0\n", "line 1: '0' is no price"),
        ("2026-01-05,-1\n", "line 1: '-1' is no price"),
        ("2026-01-05\n", "line 1: expected a day and a price"),
        ("2026-01-05,1\n2026-01-05,2\n", "line 2: a second price of 2026-01-05"),
    ],
)
def test_what_is_no_benchmark(text: str, complaint: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_benchmark(text.splitlines(), "x")
    assert complaint in caught.value.message


def test_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_benchmark(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        read_benchmark(tmp_path / "binary.csv")
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf2026-01-05,1\n")
    assert read_benchmark(tmp_path / "bom.csv").days == [date(2026, 1, 5)]
