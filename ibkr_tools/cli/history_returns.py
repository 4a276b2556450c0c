"""`ibkr-tools history returns`: what the account has earned, period by period."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ibkr_tools.cli import completers
from ibkr_tools.cli.history_options import (
    AccountOption,
    FromOption,
    PeriodOption,
    ToOption,
    database_of,
    days_of,
    note_unknown,
    put_rows,
    split_of,
)

if TYPE_CHECKING:
    from ibkr_tools.history.return_report import PeriodReturn


def returns(
    context: typer.Context,
    account: AccountOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    period: PeriodOption = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="A return of each month or year.",
            metavar="month|year",
            show_default=False,
            autocompletion=completers.choices("month", "year"),
        ),
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="All these accounts as one: transfers between them are no flows.")
    ] = False,
    benchmark: Annotated[
        Path | None,
        typer.Option(
            help="Compare with the prices in this CSV file (day,close), in the account's base currency.",
            metavar="FILE",
            autocompletion=completers.files,
        ),
    ] = None,
) -> None:
    """Show time-weighted and money-weighted returns, beside IBKR's own."""
    from ibkr_tools.history.benchmark import read_benchmark
    from ibkr_tools.history.return_query import read_returns
    from ibkr_tools.views.returns_table import format_returns

    split = split_of(by)
    database = database_of(context)
    if account:
        note_unknown(account, dict(database.base_currencies()))
    found = read_returns(
        database,
        account or (),
        *days_of(from_, to, period),
        split=split,
        together=together,
        benchmark=None if benchmark is None else read_benchmark(benchmark),
    )
    put_rows(context, "returns", [_row(item) for item in found], lambda width: format_returns(found, width=width))


def _row(item: "PeriodReturn") -> dict[str, Any]:
    """Returns a period as JSON and CSV have it; ratios, not percent."""
    measured = item.measured
    return {
        "account": item.account,
        "period": item.period,
        "from": measured.begin.day.isoformat(),
        "to": measured.end.day.isoformat(),
        "days": measured.days,
        "currency": item.currency,
        "begin": measured.begin.total,
        "flows": measured.flows,
        "gain": measured.gain,
        "end": measured.end.total,
        "time_weighted_ratio": _rounded(measured.time_weighted),
        "time_weighted_ratio_a_year": _rounded(item.time_weighted_a_year),
        "money_weighted_ratio": _rounded(measured.money_weighted),
        "money_weighted_ratio_a_year": _rounded(item.money_weighted_a_year),
        "ibkr_ratio": _rounded(item.ibkr),
        "difference_ratio": _rounded(item.difference),
        "benchmark_ratio": _rounded(item.benchmark),
        "days_left_out": measured.days_left_out,
        "problem": measured.problem,
    }


def _rounded(ratio: Any) -> Any:
    """Returns a ratio with twelve decimals: no return is known better."""
    return None if ratio is None else round(float(ratio), 12)
