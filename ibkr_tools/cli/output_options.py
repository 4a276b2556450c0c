"""The options that `fetch`, `api` and `show` share: how a result is printed."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from ibkr_tools.cli import completers
from ibkr_tools.cli.app_context import SeveralInstances
from ibkr_tools.cli.help_command import HelpCommand, command_path
from ibkr_tools.cli.printing import Format, Printing
from ibkr_tools.errors import UsageError

RetryOption = Annotated[
    float,
    typer.Option(
        "--retry-for",
        help="Try each read again for so long after trouble that passes; 0: not at all.",
        metavar="SECONDS",
        min=0,
    ),
]
PANEL = "Output"
"""The panel of these options in the help."""

_NamedValues = list[Any] | None
FormatOption = Annotated[
    Format | None,
    typer.Option(
        "-f",
        "--format",
        help="json; or of a list: ndjson, csv, or a table for people.",
        metavar="FORMAT",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
TableOption = Annotated[bool, typer.Option("--table", help="Short for --format table.", rich_help_panel=PANEL)]
JqOption = Annotated[
    str | None, typer.Option("--jq", help="Filter it with a jq program.", metavar="PROGRAM", rich_help_panel=PANEL)
]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--from-file",
        help="Read the jq program from a file.",
        metavar="FILE",
        autocompletion=completers.files,
        rich_help_panel=PANEL,
    ),
]
ArgOption = Annotated[
    _NamedValues,
    typer.Option(
        "--arg", help="Have $NAME be a text in the jq program.", metavar="NAME TEXT", parser=str, rich_help_panel=PANEL
    ),
]
ArgJsonOption = Annotated[
    _NamedValues,
    typer.Option(
        "--argjson",
        help="Have $NAME be JSON in the jq program.",
        metavar="NAME JSON",
        parser=str,
        rich_help_panel=PANEL,
    ),
]
RawOption = Annotated[
    bool, typer.Option("-r", "--raw-output", help="Print texts of jq without quotes.", rich_help_panel=PANEL)
]
JoinOption = Annotated[
    bool, typer.Option("-j", "--join-output", help="The same, and no newline after each.", rich_help_panel=PANEL)
]
CompactOption = Annotated[
    bool, typer.Option("-c", "--compact-output", help="One line per result.", rich_help_panel=PANEL)
]
AllOption = Annotated[bool, typer.Option("--all", help="All rows and columns of a table.", rich_help_panel=PANEL)]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns", help="Of CSV, with commas between them; all: every one.", metavar="NAMES", rich_help_panel=PANEL
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="Write to a file, in one step; -: print it.",
        metavar="FILE",
        autocompletion=completers.files,
        rich_help_panel=PANEL,
    ),
]
TableWidthOption = Annotated[
    int | None,
    typer.Option(
        "--table-width",
        help="Fit a table into so many columns, wherever it is printed.",
        metavar="COLUMNS",
        min=1,
        rich_help_panel=PANEL,
    ),
]


def output_options(
    *,
    jq: JqOption = None,
    from_file: FileOption = None,
    arg: ArgOption = None,
    argjson: ArgJsonOption = None,
    raw_output: RawOption = False,
    join_output: JoinOption = False,
    compact_output: CompactOption = False,
    form: FormatOption = None,
    table: TableOption = False,
    everything: AllOption = False,
    columns: ColumnsOption = None,
    output: OutputOption = None,
    table_width: TableWidthOption = None,
) -> Printing:
    """Returns what the options mean.

    Raises:
        UsageError: they contradict each other, or the jq program is wrong.
    """
    if table and form not in {None, Format.TABLE}:
        raise UsageError(f"--table and --format {form} are two different things")
    chosen = Format.TABLE if table else form or Format.JSON
    if columns is not None and chosen is not Format.CSV:
        raise UsageError("--columns goes with --format csv")
    if jq is not None and from_file is not None:
        raise UsageError("--jq and --from-file are two programs: give one of them")
    is_program = jq is not None or from_file is not None
    for value, name in ((raw_output, "-r"), (join_output, "-j"), (arg, "--arg"), (argjson, "--argjson")):
        if value and not is_program:
            raise UsageError(f"{name} goes with a jq program: --jq or --from-file")
        if value and name in {"-r", "-j"} and chosen is not Format.JSON:
            raise UsageError(f"{name} prints as jq does; it does not go with --format {chosen}")
    query = None
    if is_program:
        from ibkr_tools.fetch.jq_program import JqProgram, parse_variables, read_program

        args = parse_variables(arg or (), argjson or ())
        query = (
            JqProgram(read_program(from_file), args, origin=f"--from-file {from_file}")
            if from_file
            else JqProgram(jq or "", args)
        )
    file = None if output is None or str(output) == "-" else output
    return Printing(
        chosen,
        query,
        raw=raw_output,
        join=join_output,
        compact=compact_output,
        file=file,
        is_chosen=table or form is not None or compact_output,
        everything=everything,
        columns=columns,
        table_width=table_width,
    )


_TWO_VALUE_OPTIONS = frozenset({"arg", "argjson"})
"""Options that take a name and a value, and may be repeated: Typer has no words for it."""

_CONTEXT_KEY, _TYPED_KEY = "ibkr_tools.printing", "ibkr_tools.typed"


@cache
def _options_command() -> Any:
    """Returns what Typer makes of the signature of `output_options`, which is no command of its own."""
    options_app = typer.Typer(add_completion=False)
    options_app.command()(output_options)
    command = typer.main.get_command(options_app)
    for option in command.params:
        if option.name in _TWO_VALUE_OPTIONS:
            option.nargs = 2
    return command


class PrintingCommand(HelpCommand):
    """A command that has the options of `output_options` after its own; it gets what they mean by `printing_of`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._output_options = _options_command()
        self.params += self._output_options.params

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the command line; what the shared options mean is kept in the context."""
        rest = super().parse_args(ctx, args)
        values = {option.name: ctx.params.pop(option.name, None) for option in self._output_options.params}
        # A shell that completes a line has no use for what it means.
        if not ctx.resilient_parsing:
            ctx.meta[_CONTEXT_KEY] = self._output_options.callback(**values)
        return rest


class SeveralInstancesCommand(PrintingCommand):
    """One that can be about several instances at once."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the command line, and keeps it: each instance gets the words of the command's own options."""
        ctx.meta[_TYPED_KEY] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; for several instances, each in a process of its own."""
        several = ctx.find_object(SeveralInstances)
        if several is None:
            return super().invoke(ctx)
        from ibkr_tools.cli.several_instances import put_over_several

        options, operands = self._own_words(ctx)
        raise typer.Exit(put_over_several(several, [*command_path(ctx).split(), *options], operands, printing_of(ctx)))

    def _own_words(self, ctx: Any) -> tuple[list[str], list[str]]:
        """Returns what was typed of the command's own options, and of its operands; not how it is to be printed."""
        typed, _, _ = self.make_parser(ctx).parse_args(args=list(ctx.meta[_TYPED_KEY]))
        options, operands = list[str](), list[str]()
        parameters: list[Any] = [one for one in self.params if one not in self._output_options.params]
        for parameter in parameters:
            value = typed.get(parameter.name)
            if isinstance(value, bool):
                options += [parameter.opts[-1]] if value else parameter.secondary_opts[-1:]
            elif isinstance(value, str | list | tuple):
                texts: list[str] = [value] if isinstance(value, str) else list(value)
                is_operand = parameter.param_type_name == "argument"
                operands += texts if is_operand else []
                options += [] if is_operand else [f"{parameter.opts[-1]}={text}" for text in texts]
        return options, operands


def printing_of(context: typer.Context) -> Printing:
    """Returns how the result of a `PrintingCommand` is to be printed."""
    printing: Printing = context.meta[_CONTEXT_KEY]
    return printing


def parse_parameters(texts: Sequence[str]) -> dict[str, str]:
    """Returns what `--param` says, by name.

    Raises:
        UsageError: one is not NAME=VALUE, or there twice.
    """
    parameters: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UsageError(f"--param {text!r}: expected NAME=VALUE")
        if name in parameters:
            raise UsageError(
                f"--param {name} is given twice", hint="Several values of one go with commas between them."
            )
        parameters[name] = value
    return parameters
