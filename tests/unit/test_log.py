"""Log lines: the priority journald reads, and nothing secret."""

import io
import sys

import pytest

from ibkr_tools import log


@pytest.mark.parametrize(
    ("level", "priority"), [(5, 7), (10, 7), (20, 6), (25, 5), (30, 4), (40, 3), (50, 2), (0, 7), (35, 4)]
)
def test_levels_become_priorities(level: int, priority: int) -> None:
    assert log.with_priority(level, "text") == f"<{priority}>text\n"


def test_every_line_has_its_priority() -> None:
    """journald takes the priority per line; a traceback's later lines would be INFO without it."""
    assert log.with_priority(40, "one\ntwo\n\nthree\n") == "<3>one\n<3>two\n<3>\n<3>three\n"
    assert log.with_priority(40, "") == "<3>\n"


@pytest.mark.parametrize("value", ["", "1", "a:b", "1:2:3", ":"])
def test_a_strange_journal_stream_is_no_journal(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", value)
    assert not log.is_journal(sys.__stderr__ or sys.stderr)
    assert not log.is_journal(io.StringIO())
