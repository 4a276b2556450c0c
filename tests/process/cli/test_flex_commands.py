"""`ibkr-tools flex`: statements that were downloaded by hand are checked and kept, and what is none is named."""

import gzip
import os
import re
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.flex_statements import ACCOUNT, document, head, statement, week
from tests.support.installation import Installation, printed


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    """A configured user without a gateway."""
    installation = Installation(tmp_path / "place", environment)
    installation.configure(5000)
    return installation


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A statement as IBKR's website hands it out."""
    path = tmp_path / "week.xml"
    path.write_bytes(document())
    return path


def kept(place: Installation) -> list[Path]:
    """Returns the files in the archive."""
    return sorted(place.directories.statements.glob("*.xml.gz"))


def test_what_is_imported_is_kept_and_listed(place: Installation, file: Path) -> None:
    out = printed(place, "flex", "import", str(file))
    (archived,) = kept(place)
    assert out.splitlines() == [
        f"{file}: kept as {archived.name}",
        f"  {ACCOUNT}, 2026-01-05 to 2026-01-09: 13 rows in 7 sections, made 2026-01-10 06:30:00",
    ]
    assert gzip.decompress(archived.read_bytes()) == file.read_bytes()
    listed = printed(place, "flex", "list").splitlines()
    assert listed[2:] == [f"{ACCOUNT}  {archived.name}", f"in {archived.parent}"]
    assert max(map(len, listed[:-1])) <= 80
    assert "is there already" in printed(place, "flex", "import", str(file))
    assert kept(place) == [archived]


def test_several_accounts_in_one_file_fit_into_a_line(place: Installation, tmp_path: Path) -> None:
    """Of any order of attributes, and in the encoding that an editor has saved it in."""
    xml = document(*(statement(attributes=head(accountId=account)) for account in (ACCOUNT, "DU12345678", "U7654322")))
    (tmp_path / "several.xml").write_bytes(xml)
    utf16 = document(statement(attributes=head(whenGenerated="20260111;000000"))).decode().encode("utf-16")
    (tmp_path / "utf-16.xml").write_bytes(utf16.replace("utf-8".encode("utf-16-le"), "utf-16".encode("utf-16-le")))
    more = ("--account", "DU12345678", "--account", "U7654322")
    place.run("flex", "import", *more, *(str(tmp_path / name) for name in ("several.xml", "utf-16.xml")))
    listed = printed(place, "flex", "list").splitlines()
    assert [line.partition("  ")[0] for line in listed[2:-1]] == [f"{ACCOUNT} +2", ACCOUNT]
    assert max(map(len, listed[:-1])) <= 80


def test_a_damaged_file_is_named_by_the_list(place: Installation, file: Path) -> None:
    printed(place, "flex", "import", str(file))
    (archived,) = kept(place)
    archived.write_bytes(archived.read_bytes()[:-20])
    done = place.run("flex", "list")
    assert done.returncode == 65
    assert archived.name in done.stderr


def test_nothing_is_listed_before(place: Installation) -> None:
    """It says how statements come."""
    text = printed(place, "flex", "list")
    assert "no statement is kept" in text
    assert "`ibkr-tools flex fetch --all`" in text


def test_a_folder_and_packed_files(place: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "statements"
    folder.mkdir()
    for number, name in enumerate(("a.xml", "b.xml.gz", "C.XML"), 1):
        xml = document(statement(attributes=head(whenGenerated=f"2026011{number};000000")))
        (folder / name).write_bytes(gzip.compress(xml) if name.endswith("gz") else xml)
    (folder / "note.txt").write_text("not a statement")
    printed(place, "flex", "import", str(folder))
    assert len(kept(place)) == 3


def test_one_that_is_none_stops_no_other(place: Installation, file: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_bytes(b"<html>sorry</html>")
    done = place.run("flex", "import", str(tmp_path / "bad.xml"), str(file))
    assert done.returncode == 65
    assert f"error: {tmp_path / 'bad.xml'}: no Flex statement but a web page\n" in done.stderr
    assert "1 of 2 files were refused" in done.stderr
    assert len(kept(place)) == 1


@pytest.mark.parametrize("command", ["check", "import"])
def test_a_statement_of_the_future_is_refused(place: Installation, tmp_path: Path, command: str) -> None:
    (tmp_path / "future.xml").write_bytes(document(statement(attributes=head(whenGenerated="29990101;000000"))))
    done = place.run("flex", command, str(tmp_path / "future.xml"))
    assert done.returncode == 65
    assert "future.xml: it was made on 2999-01-01, and by this machine's clock it is " in done.stderr
    assert kept(place) == []


def test_another_account_is_named_and_can_be_allowed(place: Installation, file: Path) -> None:
    file.write_bytes(document(statement(), statement(attributes=head(accountId="U7654321"))))
    done = place.run("flex", "import", str(file))
    assert done.returncode == 78
    assert "it is of U7654321" in done.stderr
    assert "--account U7654321" in done.stderr
    assert kept(place) == []
    printed(place, "flex", "import", "--account", "U7654321", str(file))
    assert len(kept(place)) == 1


def test_a_consolidated_statement_is_none_of_an_account(place: Installation, file: Path) -> None:
    file.write_bytes(document(statement(), statement(attributes=head(accountId="-"))))
    done = place.run("flex", "import", str(file))
    assert done.returncode == 65
    assert "consolidated" in done.stderr
    assert kept(place) == []


def test_what_does_not_add_up_is_told_and_kept(place: Installation, file: Path) -> None:
    sections = week()
    sections["CashReport"][1][1]["endingCash"] = "1"
    file.write_bytes(document(statement(sections)))
    done = place.run("flex", "import", str(file))
    assert done.returncode == 0
    assert "cash report of EUR: starting cash and movements 1,500.00, ending cash 1.00" in done.stderr
    assert len(kept(place)) == 1
    done = place.run("flex", "check", str(file))
    assert (done.returncode, done.stderr.count("ending cash 1.00")) == (65, 1)


def test_what_is_unknown_is_named_once_and_kept(place: Installation, file: Path) -> None:
    file.write_bytes(document(statement(week() | {"NewThings": [("NewThing", {"a": "1"})]})))
    done = place.run("flex", "import", str(file))
    assert done.returncode == 0
    assert done.stderr == f"note: {file}: unknown to this version, and kept as it is: section NewThings\n"
    assert len(kept(place)) == 1
    assert place.run("flex", "import", str(file)).stderr == ""


def test_check_says_what_the_query_lacks(place: Installation, file: Path) -> None:
    """Without a configuration too: it reads the file alone."""
    place.directories.config_file.unlink()
    file.write_bytes(document(statement({name: rows for name, rows in week().items() if name != "ChangeInNAV"})))
    lines = printed(place, "flex", "check", str(file)).splitlines()
    assert "    not ticked: Change in NAV" in lines
    assert any(line.startswith("    not ticked, or nothing happened: ") and "Trades" in line for line in lines)
    assert not place.directories.statements.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"ClientAccountID,Symbol\n", "XML"),
        (document()[:-30], "cut off"),
        (gzip.compress(document())[:-5], "cut off"),
        (document(kind="TCF"), "Activity Flex Query"),
        (document(statement(attributes=head(fromDate="01/05/2026"))), "yyyyMMdd"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><FlexQueryResponse>&b;</FlexQueryResponse>", "document type"),
        (b"", "empty"),
    ],
)
def test_what_is_no_statement_is_one_line_and_a_hint(
    place: Installation, file: Path, content: bytes, says: str
) -> None:
    file.write_bytes(content)
    for command in ("check", "import"):
        done = place.run("flex", command, str(file))
        assert done.returncode == 65
        assert says in done.stderr
        assert len(done.stderr.splitlines()) <= 2
    assert kept(place) == []


def test_what_cannot_be_opened_is_2(place: Installation, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").mkdir()
    for name in ("none.xml", "pipe", "empty"):
        done = place.run("flex", "check", str(tmp_path / name))
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr


def test_the_page_shows_what_is_printed(place: Installation, tmp_path: Path) -> None:
    """docs/flex.md has the real output of `flex check`."""
    sections = week()
    sections["CashReport"][1][1]["endingCash"] = "1510"
    del sections["ChangeInNAV"]
    for _, row in sections["CashTransactions"]:
        del row["description"]
    path = tmp_path / "2026.xml"
    path.write_bytes(document(statement(sections)))
    done = place.run("flex", "check", str(path))
    out = (done.stdout + done.stderr).replace(f"{tmp_path}/", "").splitlines()
    block = re.search(
        r"    \$ ibkr-tools flex check 2026.xml\n(.*?)\n\n", (CHECKOUT / "docs/flex.md").read_text(), re.DOTALL
    )
    assert block is not None
    assert [line.removeprefix("    ") for line in block[1].splitlines()] == out
