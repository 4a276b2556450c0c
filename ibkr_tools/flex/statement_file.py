"""One file with Flex statements: what is in it, what does not add up, and whether it is of these accounts."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ibkr_tools.account_ids import is_number
from ibkr_tools.errors import ConfigError, DataError
from ibkr_tools.flex.statement_checks import StatementChecks
from ibkr_tools.flex.statement_xml import Row, Statement, StatementSection, read_statements, unpack

if TYPE_CHECKING:
    from io import BufferedReader


_CLOCK_TOLERANCE = timedelta(days=2)

_ZONES_APART = timedelta(days=1)
"""Times have no zone, and midnight may lie between two of them."""


@dataclass(frozen=True)
class StatementFile:
    """A whole file that was read: its XML, and one element of `checks` for each of its statements."""

    xml: bytes
    checks: tuple[StatementChecks, ...]

    @property
    def statements(self) -> list[Statement]:
        """Returns the heads of its statements."""
        return [check.statement for check in self.checks]

    def warnings(self) -> Iterator[str]:
        """Yields a line for all that does not add up or cannot be read in any of its statements."""
        declared = self.statements[0].declared_count
        if declared and declared != f"{len(self.checks)}":
            yield f"it says that it has {declared} statements, and has {len(self.checks)}"
        for check in self.checks:
            head = check.statement
            if head.to_day - head.generated_at.date() > _ZONES_APART:
                made = f"{head.generated_at:%Y-%m-%d}"
                yield f"{head.account}, {head.from_day} to {head.to_day}: it ends after it was made on {made}"
            yield from (str(discrepancy) for discrepancy in check.discrepancies())
            if check.unreadable:
                yield f"{head.account}, {head.from_day} to {head.to_day}: {'; '.join(check.unreadable)}"

    def require_past(self, now: datetime) -> None:
        """Checks that every statement was made by now, and ends by then.

        One that is made in the future would count instead of all that follow, and days to come seem to be known.

        Args:
            now: the time in UTC, without a zone. IBKR's times have none; a day or two more or less may be the zone's.

        Raises:
            DataError: one was not.
        """
        made = max(statement.generated_at for statement in self.statements)
        if made - now > _CLOCK_TOLERANCE:
            raise DataError(
                f"it was made on {made:%Y-%m-%d}, and by this machine's clock it is {now:%Y-%m-%d}",
                hint="Set the clock. If it is right, download the statement again.",
            )
        ends = max(statement.to_day for statement in self.statements)
        if ends - now.date() > _CLOCK_TOLERANCE:
            raise DataError(
                f"it ends on {ends}, and by this machine's clock it is {now:%Y-%m-%d}",
                hint="Set the clock. If it is right, download the statement again.",
            )

    def require_accounts(self, expected: Collection[str]) -> None:
        """Checks that every statement is of one of the `expected` accounts.

        Raises:
            ConfigError: one is of another; the message names it.
            DataError: one is of several accounts together.
        """
        together = [statement.account for statement in self.statements if not is_number(statement.account)]
        if together:
            raise DataError(
                f"a statement of {together[0]!r}, which is no account number",
                hint="If the query is of several accounts, choose one statement for each, not a consolidated one.",
            )
        others = sorted({statement.account for statement in self.statements} - set(expected))
        if others:
            raise ConfigError(
                f"it is of {', '.join(others)}, and the configuration has {', '.join(sorted(expected))}",
                hint=f"If it belongs here, say so: {' '.join(f'--account {account}' for account in others)}.",
            )


def read_statement_file(file: "BufferedReader[Any]") -> StatementFile:
    """Reads a file whole.

    Raises:
        DataError: it is no whole Flex statement in XML, or one that can be misread; see `read_statements`.
        OSError: it cannot be read.
    """
    xml = unpack(file)
    checks: list[StatementChecks] = []
    for event in read_statements(xml):
        match event:
            case Statement():
                checks.append(StatementChecks(event))
            case StatementSection() | Row():
                checks[-1].add(event)
    return StatementFile(xml, tuple(checks))
