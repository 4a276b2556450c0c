"""Whole files: what is said of them besides the checks of each statement."""

import io
from datetime import datetime, timedelta

import pytest

from ibkr_tools.errors import ConfigError, DataError
from ibkr_tools.flex.statement_file import StatementFile, read_statement_file
from tests.support.flex_statements import document, head, statement

MADE = datetime.fromisoformat("2026-01-10T06:30")


def file_of(xml: bytes) -> StatementFile:
    return read_statement_file(io.BufferedReader(io.BytesIO(xml)))


def test_a_count_that_disagrees_is_told() -> None:
    """Files that were put together by hand have one; they are read all the same."""
    assert list(file_of(document()).warnings()) == []
    wrong = file_of(document().replace(b'count="1"', b'count="7"'))
    assert list(wrong.warnings()) == ["it says that it has 7 statements, and has 1"]
    without = file_of(document().replace(b' count="1"', b""))
    assert list(without.warnings()) == []


@pytest.mark.parametrize("made", ["20260108;000000", "20260109;235959", "20270101;000000"])
def test_midnight_may_lie_between_the_end_and_the_making(made: str) -> None:
    assert list(file_of(document(statement(attributes=head(whenGenerated=made)))).warnings()) == []


def test_an_end_after_the_making_is_told() -> None:
    """Files whose days were made unrecognisable have one; they are read all the same."""
    early = statement(attributes=head(accountId="U7654321", whenGenerated="20260107;235959"))
    said = list(file_of(document(statement(), early)).warnings())
    assert said == ["U7654321, 2026-01-05 to 2026-01-09: it ends after it was made on 2026-01-07"]


@pytest.mark.parametrize("ahead", [timedelta(hours=47), timedelta(), -timedelta(days=4000)])
def test_a_statement_of_the_past_is_taken(ahead: timedelta) -> None:
    """IBKR's times have no zone: it may seem to be of tomorrow."""
    file_of(document()).require_past(MADE - ahead)


def test_one_of_the_future_is_refused() -> None:
    """It would count instead of all that IBKR makes until then; with several, one is enough."""
    two = document(statement(attributes=head(whenGenerated="20260101;000000", toDate="20260101", fromDate="20260101")))
    file_of(two).require_past(datetime.fromisoformat("2026-01-01"))
    both = document(
        statement(attributes=head(whenGenerated="29990101;000000")),
        statement(attributes=head()),
    )
    with pytest.raises(DataError, match="2999-01-01, and by this machine's clock it is 2026-01-10") as caught:
        file_of(both).require_past(MADE)
    assert "clock" in (caught.value.hint or "")


def test_one_that_ends_in_the_future_is_refused() -> None:
    """Its days would seem to be known before they come."""
    file = file_of(document(statement(attributes=head(whenGenerated="20260105;000000"))))
    file.require_past(datetime.fromisoformat("2026-01-07"))
    with pytest.raises(DataError, match="it ends on 2026-01-09, and by this machine's clock it is 2026-01-06"):
        file.require_past(datetime.fromisoformat("2026-01-06T23:59:59"))


@pytest.mark.parametrize("account", ["-", "U1234567,U7654321", "All"])
def test_a_consolidated_statement_is_refused(account: str) -> None:
    with pytest.raises(DataError, match="no account number"):
        file_of(document(statement(attributes=head(accountId=account)))).require_accounts({"U1234567"})


def test_an_account_that_is_not_configured_is_named() -> None:
    """Also where it is the second one of a file."""
    two = file_of(document(statement(), statement(attributes=head(accountId="U7654321"))))
    two.require_accounts({"U1234567", "U7654321"})
    with pytest.raises(ConfigError, match="U7654321"):
        two.require_accounts({"U1234567"})
