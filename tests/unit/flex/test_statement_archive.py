"""Statements are kept for ever, each once, and readable by their owner only."""

import gzip
from pathlib import Path

import pytest

from ibkr_tools.errors import OutputError
from ibkr_tools.flex.statement_archive import StatementArchive
from ibkr_tools.flex.statement_xml import Statement, read_statements
from tests.support.flex_statements import document, head, statement


def heads(xml: bytes) -> list[Statement]:
    return [event for event in read_statements(xml) if isinstance(event, Statement)]


def test_a_statement_is_kept_as_it_is(tmp_path: Path) -> None:
    archive, xml = StatementArchive(tmp_path / "statements"), document()
    kept = archive.keep(xml, heads(xml))
    assert kept is not None
    assert gzip.decompress(kept.path.read_bytes()) == xml
    assert kept.path.name.startswith("2026-01-05_2026-01-09_2026-01-10T063000_")
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert kept.path.parent.stat().st_mode & 0o777 == 0o700
    assert archive.list_files() == [kept]


def test_the_same_content_is_kept_once(tmp_path: Path) -> None:
    """Another one of the same days and the same second is another one."""
    archive, xml = StatementArchive(tmp_path), document()
    archive.keep(xml, heads(xml))
    assert archive.keep(xml, heads(xml)) is None
    other = xml.replace(b"Jane", b"Joan")
    assert archive.keep(other, heads(other)) is not None
    assert len(archive.list_files()) == 2


def test_several_statements_of_a_file_have_one_span(tmp_path: Path) -> None:
    two = document(
        statement(attributes=head(fromDate="20260101", toDate="20260102", whenGenerated="20260111;000000")), statement()
    )
    kept = StatementArchive(tmp_path).keep(two, heads(two))
    assert kept is not None
    assert (f"{kept.from_day}", f"{kept.to_day}") == ("2026-01-01", "2026-01-09")
    assert f"{kept.generated_at:%d}" == "11"


def test_what_others_have_put_there_is_left_alone(tmp_path: Path) -> None:
    for name in ("note.txt", "2026-13-05_2026-01-09_2026-01-10T063000_0123456789abcdef.xml.gz", "x.xml.gz"):
        (tmp_path / name).touch()
    assert StatementArchive(tmp_path).list_files() == []
    assert StatementArchive(tmp_path / "none").list_files() == []


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "statements").touch()
    with pytest.raises(OutputError):
        StatementArchive(tmp_path / "statements").keep(document(), heads(document()))
