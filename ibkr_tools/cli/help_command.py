"""Commands and groups whose `--help` ends with examples and exit codes, and which know the program's own options."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from typer import BadParameter
from typer.core import TyperCommand, TyperGroup

from ibkr_tools.cli.command_table import COMMANDS


def command_path(context: Any) -> str:
    """Returns a command as it is typed after the program's name; empty: the program itself."""
    names: list[str] = []
    while context.parent is not None:
        names.insert(0, context.info_name or "")
        context = context.parent
    return " ".join(names)


def _print_extras(context: Any) -> None:
    """Prints the panels under the options: examples, and exit codes."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text
    from typer.rich_utils import MAX_WIDTH

    from ibkr_tools.cli.command_examples import EXTRAS

    path = command_path(context)
    extras = EXTRAS.get(path)
    if extras is None:
        return
    console = Console(width=MAX_WIDTH, highlight=False)
    examples = Text()
    for number, example in enumerate(extras.examples):
        examples.append("\n" if number else "").append(example.line, "bold")
        examples.append(f"\n    {example.meaning}")
    codes = Table.grid(padding=(0, 2, 0, 0))
    codes.add_column(justify="right", style="bold")
    for code, meaning in extras.exit_codes().items():
        codes.add_row(str(code), Text(meaning))
    for title, content in (("Examples", examples), ("Exit codes", codes)):
        console.print(Panel(content, title=title, title_align="left", border_style="dim"))
    page = "-".join(["ibkr-tools", *path.split()])
    console.print(Text(f" More: man {page}"))


_UsageError = cast("type[Exception]", BadParameter.__base__)
"""Click's, which Typer does not export, and has in a place of its own since some version."""


_REFUSALS = (
    (r" does not match the formats? (?s:.*)", " is no day such as 2026-11-22"),
    (r" is not a valid float(?: range)?\.", " is no number{of_what} such as 30 or 0.5"),
    (r" is not a valid int(?:eger)?(?: range)?\.", " is no whole number{of_what} such as 30"),
)
"""How Click says that a text is not of the kind that an option takes, and what is said in place of it."""


@contextmanager
def _readable_refusals() -> Iterator[None]:
    """Has a text of the wrong kind refused with the form that is understood, not with a name of a type."""
    try:
        yield
    except _UsageError as error:
        facts = vars(error)
        message, unit = str(facts["message"]), getattr(facts.get("param"), "metavar", None) or ""
        of_what = f" of {unit.lower()}" if unit.endswith("S") else ""
        for pattern, words in _REFUSALS:
            if found := re.search(pattern, message):
                facts["message"] = message[: found.start()] + words.format(of_what=of_what)
        raise


@contextmanager
def _place_of_global_options(context: Any) -> Iterator[None]:
    """Has an option of the program itself that comes after a command refused with the place where it belongs."""
    try:
        yield
    except _UsageError as error:
        # Only NoSuchOption says what it takes the name for.
        facts = vars(error)
        name = facts.get("option_name") if "possibilities" in facts else None
        program = context.find_root().command
        option = next((one for one in program.params if name in one.opts), None)
        if name and context.parent is not None and option is not None:
            words = [name, *([option.metavar] if option.metavar else []), command_path(context)]
            facts |= {
                "message": f"{name} goes before the command: ibkr-tools {' '.join(words)}",
                "possibilities": None,
            }
        raise


class HelpCommand(TyperCommand):
    """A command with examples and exit codes in its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the command line."""
        with _place_of_global_options(ctx), _readable_refusals():
            return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints the help."""
        super().format_help(ctx, formatter)
        _print_extras(ctx)


class HelpGroup(TyperGroup):
    """A group of commands with examples and exit codes in its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the command line up to a command of the group."""
        with _place_of_global_options(ctx), _readable_refusals():
            return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints the help."""
        super().format_help(ctx, formatter)
        _print_extras(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        """Returns the names of the commands, in the order of the panels."""
        order = list(COMMANDS)
        names = super().list_commands(ctx)
        is_program = ctx.parent is None
        return sorted(names, key=order.index) if is_program else names
