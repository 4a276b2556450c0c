"""What `--help` and the man pages show: the same examples, exit codes and panels, which are those that there are."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from ibkr_tools import errors
from ibkr_tools.cli import command_table, man_overview, roff
from ibkr_tools.cli.app import app
from ibkr_tools.cli.command_examples import EXIT_CODES, EXTRAS
from ibkr_tools.cli.man_pages import man_pages
from ibkr_tools.cli.output_options import PANEL
from ibkr_tools.config.schema import json_schema
from ibkr_tools.status import SessionState
from tests.support.checkout import CHECKOUT

ROOT: Any = typer.main.get_command(app)
PAGES = man_pages()


def every(command: Any = ROOT, *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yields every command and group with its path; that of the program is empty."""
    yield above, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from every(inner, *above, name)


COMMANDS = dict(every())


def shown_options(path: tuple[str, ...]) -> list[Any]:
    """Returns the options and arguments of a command but for hidden ones."""
    return [option for option in COMMANDS[path].params if not getattr(option, "hidden", False)]


def page_of(path: tuple[str, ...]) -> str:
    return PAGES["-".join(["ibkr-tools", *path]) + ".1"]


def test_every_command_has_examples_and_exit_codes() -> None:
    """And none is left over."""
    assert EXTRAS.keys() == {" ".join(path) for path in COMMANDS}


def test_every_command_is_in_a_panel() -> None:
    assert {name: command.rich_help_panel for name, command in ROOT.commands.items()} == {
        name: entry.panel for name, entry in command_table.COMMANDS.items()
    }


def test_the_exit_codes_are_those_that_there_are() -> None:
    """0, 1 of diff, and those of the classes of errors."""
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.IbkrError)]
    assert EXIT_CODES.keys() == {0, 1, *(kind.exit_code for kind in classes)}


@pytest.mark.parametrize("path", sorted(COMMANDS), ids=" ".join)
def test_every_example_is_accepted_by_the_parser(path: tuple[str, ...]) -> None:
    """And begins with the command it is an example of."""
    for example in EXTRAS[" ".join(path)].examples:
        words = shlex.split(example.line)
        program, *arguments = words[1:] if words[0] == "sudo" else words
        assert program == "ibkr-tools"
        assert tuple(arguments[: len(path)]) == path
        command = ROOT
        context = typer.Context(ROOT, info_name="ibkr-tools")
        while getattr(command, "commands", None):
            name = arguments.pop(0)
            command = command.commands[name]
            context = typer.Context(command, info_name=name, parent=context)
        command.make_context(command.name, arguments, parent=context).close()


def test_an_example_with_an_unknown_option_is_refused() -> None:
    """The check above can fail."""
    command = ROOT.commands["fetch"]
    with pytest.raises(Exception, match="No such option"):
        command.make_context("fetch", ["--tabel"])


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("status --instance anna", "ibkr-tools --instance NAME status"),
        ("flex fetch --instance=anna", "ibkr-tools --instance NAME flex fetch"),
        ("flex --state-dir /x fetch", "ibkr-tools --state-dir DIR flex"),
        ("doctor --verbose", "ibkr-tools --verbose doctor"),
        ("status --instanz anna", None),
    ],
)
def test_an_option_of_the_program_after_a_command_is_refused_with_its_place(
    words: str, place: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """2, as for any other that is not there."""
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as caught:
        ROOT.main(words.split(), prog_name="ibkr-tools")
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert (f"goes before the command: {place} " if place else "No such option: --instanz") in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("show positions --on yesterday", "'yesterday' is no day such as 2026-11-22"),
        ("history values --from 2026-02-30", "'2026-02-30' is no day such as 2026-11-22"),
        ("history values --to 22.11.2026", "'22.11.2026' is no day such as 2026-11-22"),
        ("history positions --on 2026-11-22T12:00", "'2026-11-22T12:00' is no day such as 2026-11-22"),
        ("flex fetch --from 03/07/2026", "'03/07/2026' is no day such as 2026-11-22"),
        ("fetch --wait abc", "'abc' is no number of seconds such as 30 or 0.5"),
        ("fetch --wait 5min", "'5min' is no number of seconds such as 30 or 0.5"),
        ("flex fetch --days 1.5", "'1.5' is no whole number such as 30"),
        ("show --table-width wide", "'wide' is no whole number of columns such as 30"),
    ],
)
def test_a_text_of_the_wrong_kind_is_refused_with_the_form_that_is_understood(
    words: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not with a pattern of strftime, nor the name of a type. 2, as for any wrong command line."""
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as caught:
        ROOT.main(words.split(), prog_name="ibkr-tools")
    shown = capsys.readouterr().err
    assert caught.value.code == 2
    assert re.search(rf"Invalid value for '--[a-z-]+': {re.escape(told)} *│", shown), shown


@pytest.mark.parametrize("path", sorted(COMMANDS), ids=" ".join)
def test_help_fits_80_columns_and_shows_examples_and_exit_codes(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No name of an option or of what it takes is broken into two lines."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        ROOT.main([*path, "--help"], prog_name="ibkr-tools")
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())
    extras = EXTRAS[" ".join(path)]
    assert all(example.line in shown for example in extras.examples)
    assert all(re.search(rf"│ +{code}  ", shown) for code in extras.exit_codes())
    for option in shown_options(path):
        for name in (*option.opts, *option.secondary_opts):
            assert not name.startswith("-") or re.search(rf"(?<![\w-]){name}(?![\w-])", shown), name
        if option.param_type_name == "option" and option.metavar:
            assert option.metavar in shown, option.metavar


def test_what_chooses_how_a_result_is_printed_is_in_a_panel_of_its_own() -> None:
    for name in ("fetch", "api", "show", "diff"):
        panels = {option.opts[-1]: option.rich_help_panel for option in ROOT.commands[name].params}
        assert panels["--jq"] == panels["--output"] == PANEL
        assert panels["--account" if name != "api" else "--param"] != PANEL


@pytest.mark.parametrize("path", sorted(COMMANDS), ids=" ".join)
def test_a_man_page_has_every_option_example_and_exit_code(path: tuple[str, ...]) -> None:
    page = page_of(path)
    for option in shown_options(path):
        for name in option.opts if option.param_type_name == "option" else ():
            assert roff.bold(name) in page, name
        assert roff.inline(option.help) in page
    extras = EXTRAS[" ".join(path)]
    assert all(f"\n{roff.escape(example.line)}\n" in page for example in extras.examples)
    assert all(f".TP\n\\fB{code}\\fR\n" in page for code in extras.exit_codes())


def test_there_is_a_page_for_each_command_one_for_the_configuration_and_one_for_all() -> None:
    expected = {"-".join(["ibkr-tools", *path]) + ".1" for path in COMMANDS}
    assert PAGES.keys() == expected | {"ibkr-tools-config.5", "ibkr-tools.7"}


def test_the_page_of_the_configuration_has_every_key() -> None:
    page = PAGES["ibkr-tools-config.5"]
    for section in json_schema()["$defs"].values():
        for key, value in section["properties"].items():
            assert "$ref" in value or key == "$schema" or re.search(rf"\\fB([a-z_.]+\.)?{key}\\fR", page), key


def test_the_page_of_all_names_every_unit_and_every_state() -> None:
    """And none that there is not."""
    files = [*CHECKOUT.glob("systemd/ibkr-*.*")]
    units = {file.name for file in files if file.suffix in {".service", ".path", ".timer", ".socket"}}
    assert {unit for row in man_overview.UNITS for unit in row.split(", ")} == units
    assert man_overview.STATES.keys() == {state.value for state in SessionState}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("-x", "\\-x"),
        (".PP", "\\&.PP"),
        ("a\\b", "a\\eb"),
        ("'quoted'", "\\(aqquoted\\(aq"),
        ("a\n b", "a b"),
        ("Köln", "K\\[u00F6]ln"),
    ],
)
def test_no_text_is_a_command_of_roff(text: str, written: str) -> None:
    assert roff.escape(text) == written
