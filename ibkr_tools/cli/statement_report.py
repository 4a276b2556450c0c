"""What is said of a file with Flex statements: what is in it, what does not add up, what its query lacks."""

from collections.abc import Sequence

from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.flex import query_sections
from ibkr_tools.flex.statement_checks import StatementChecks
from ibkr_tools.flex.statement_file import StatementFile


def describe(file: StatementFile, *, with_query: bool = False) -> list[str]:
    """Returns what is in a file, in lines."""
    lines = []
    for statement_check in file.checks:
        lines.append(_describe_statement(statement_check))
        if with_query:
            lines += [f"  {line}" for line in _describe_query(statement_check)]
    return lines


def _describe_statement(statement_check: StatementChecks) -> str:
    head = statement_check.statement
    days = f"{head.from_day} to {head.to_day}" if head.from_day != head.to_day else f"{head.from_day}"
    rows = f"{statement_check.rows:,} row{'' if statement_check.rows == 1 else 's'}"
    return f"{head.account}, {days}: {rows} in {len(statement_check.sections)} sections, made {head.generated_at}"


def _describe_query(statement_check: StatementChecks) -> Sequence[str]:
    lines = query_sections.missing_from_query(statement_check.attributes)
    if absent := query_sections.not_shown(statement_check.sections):
        lines.append(f"not ticked, or nothing happened: {', '.join(absent)}")
    return lines


def warn(name: str, file: StatementFile) -> bool:
    """Says on standard error what does not add up, and whether something did not."""
    warnings = list(file.warnings())
    for warning in warnings:
        print_stderr(f"warning: {name}: {warning}", 30)
    return bool(warnings)


def tell_unknown(name: str, file: StatementFile) -> None:
    """Says on standard error what this version knows nothing of; to be called once for each file that is kept."""
    from ibkr_tools.flex.statement_xml import read_statements
    from ibkr_tools.history.unknown_names import MAX_NAMED, unknown_names

    if unknown := unknown_names(read_statements(file.xml)):
        more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
        print_stderr(
            f"note: {name}: unknown to this version, and kept as it is: {', '.join(unknown[:MAX_NAMED])}{more}", 20
        )
