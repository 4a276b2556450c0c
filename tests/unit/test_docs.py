"""The documentation says what is there: commands, configuration keys, states, exit codes, units, links."""

import os
import re
import shlex
import typing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import typer.main

from ibkr_tools import errors
from ibkr_tools.cli.app import app
from ibkr_tools.cli.printing import Format
from ibkr_tools.config import schema
from ibkr_tools.config.schema import DEFAULT_RESOURCES, Config
from ibkr_tools.simulator.demo import Demo
from ibkr_tools.simulator.flex_service import FlexSettings
from ibkr_tools.simulator.settings import BehaviourSettings, PageSettings
from ibkr_tools.status import SessionSection, SessionState
from tests.support import login_tables, unit_files
from tests.support.checkout import CHECKOUT

PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md"), *CHECKOUT.glob("clientportal/*.md")])
EVERYTHING = "\n".join(page.read_text() for page in PAGES)
README = (CHECKOUT / "README.md").read_text()
SURE = (CHECKOUT / "docs/reference/index.md").read_text().split("## How sure a statement is")[1].split("## ")[0]


def commands() -> Iterator[str]:
    """Yields every command as a person types it."""
    for name, command in vars(typer.main.get_command(app))["commands"].items():
        yield from (
            (f"{name} {inner}" for inner in vars(command).get("commands", {}))
            if vars(command).get("commands")
            else (name,)
        )


def keys(kind: type[msgspec.Struct], path: str = "") -> Iterator[tuple[str, object]]:
    """Yields every key of the configuration with its default."""
    hints = typing.get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        if isinstance(hints[field.name], type) and issubclass(hints[field.name], msgspec.Struct):
            yield from keys(hints[field.name], f"{path}{field.name}.")
        else:
            yield f"{path}{field.name}", field.default


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_is_documented(command: str) -> None:
    assert f"ibkr-tools {command}" in EVERYTHING


@pytest.mark.parametrize("command", ["fetch", "api", "show"])
def test_every_option_that_prints_or_chooses_is_documented(command: str) -> None:
    pages = "\n".join((CHECKOUT / f"docs/{name}.md").read_text() for name in ("fetch", "formats", "show", "resources"))
    options = vars(typer.main.get_command(app))["commands"][command].params
    shown = [option for option in options if not getattr(option, "hidden", False)]
    names = {name for option in shown for name in option.opts if name.startswith("--")} - {"--help"}
    assert not {name for name in names if not re.search(rf"{name}(?![\w-])", pages)}
    assert all(f"| `{form.value}` |" in pages for form in Format)


@pytest.mark.parametrize(("key", "default"), list(keys(Config)))
def test_every_key_is_documented_with_its_default(key: str, default: object) -> None:
    row = next(
        (line for line in (CHECKOUT / "docs/configuration.md").read_text().splitlines() if f"`{key}`" in line), None
    )
    assert row is not None
    shown = row.split("|")[2].strip()
    if isinstance(default, bool | str | int):
        assert shown == f"`{msgspec.json.encode(default).decode().strip(chr(34))}`"
    if default is None:
        assert shown == "`null`"


def test_every_resource_is_documented() -> None:
    page = (CHECKOUT / "docs/fetch.md").read_text()
    assert all(f"| `{name}` |" in page for name in DEFAULT_RESOURCES)


@pytest.mark.parametrize("state", list(SessionState))
def test_every_session_state_is_documented(state: SessionState) -> None:
    assert f"| `{state.value}` |" in (CHECKOUT / "docs/status.md").read_text()


@pytest.mark.parametrize("name", sorted(login_tables.TABLES))
def test_the_tables_of_the_login_are_the_generated_ones(name: str) -> None:
    """After a change of an outcome, a state or an element: `.venv/bin/python -P -m tests.support.login_tables`."""
    assert login_tables.shown_table(name) == login_tables.TABLES[name]()


@pytest.mark.parametrize(
    "setting",
    [field.name for kind in (PageSettings, BehaviourSettings, FlexSettings) for field in msgspec.structs.fields(kind)],
)
def test_every_setting_of_the_simulator_is_documented(setting: str) -> None:
    assert f"`{setting}`" in (CHECKOUT / "docs/simulator.md").read_text()


def test_every_exit_code_is_documented() -> None:
    found = {int(code) for code in re.findall(r"^\| (\d+) \|", (CHECKOUT / "docs/status.md").read_text(), re.MULTILINE)}
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.IbkrError)]
    assert found == {0, *(one.exit_code for one in classes)}


def test_the_table_of_exit_codes_says_what_systemd_starts_again() -> None:
    """In a column for the gateway and the watchdog, and in one for the fetch."""
    page = (CHECKOUT / "docs/status.md").read_text()
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    assert len(rows) > 8
    for column, names in ((1, ("ibkr-gateway", "ibkr-watchdog")), (2, ("ibkr-fetch",))):
        for service in (unit_files.unit(f"{name}.service") for name in names):
            restarted = {"always": "started again", "on-failure": "not"}[service.one("Restart")]
            stays = dict.fromkeys(service.all("RestartPreventExitStatus"), "stays failed")
            expected = {row[0]: stays.get(row[0], "started again") for row in rows} | {"0": restarted}
            assert {row[0]: row[column] for row in rows} == expected, service.name


def test_the_table_of_units_is_the_generated_one() -> None:
    """After a change of a unit: `.venv/bin/python -P -m tests.support.unit_files`."""
    assert unit_files.shown_table(unit_files.PAGE.read_text()) == unit_files.table()


def anchors(page: Path) -> set[str]:
    """Returns what a link to a page may name after `#`: its headings, as code hosts spell them, and its own anchors."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", one)).lower() for one in headings}
    return {slug.replace(" ", "-") for slug in slugs} | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file of this repository, and what follows its `#` is a heading or an anchor there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def tables(page: Path) -> Iterator[list[str]]:
    """Yields every table of a page: its rows, the header first; what stands in a block of code is none."""
    text = re.sub(r"^( *)```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for table in re.findall(r"(?:^\|.*(?:\n|\Z))+", text, re.MULTILINE):
        yield table.splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_row_of_a_table_has_the_cells_of_its_header(page: Path) -> None:
    """A bar within a cell is written with a backslash."""
    for header, *rows in tables(page):
        cells = len(re.findall(r"(?<!\\)\|", header))
        assert [row for row in rows if len(re.findall(r"(?<!\\)\|", row)) != cells] == []


def sources() -> Iterator[Path]:
    """Yields the files of this repository that may cite a page."""
    for folder in ("ibkr_tools", "tests", "bench", "bin", "systemd", "clientportal"):
        yield from (
            path for path in (CHECKOUT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts
        )


def test_what_the_code_cites_is_there() -> None:
    """A page that a comment, a docstring or a message names, and what follows its `#`."""
    lost = set()
    for file in sources():
        for path, anchor in re.findall(r"\b(docs/[\w/-]+\.md)(?:#([\w-]+))?", file.read_text(errors="replace")):
            page = CHECKOUT / path
            if not page.exists() or (anchor and anchor not in anchors(page)):
                lost.add((str(file.relative_to(CHECKOUT)), path, anchor))
    assert not lost


@pytest.mark.parametrize("page", sorted(CHECKOUT.glob("docs/reference/*.md")), ids=lambda page: page.name)
def test_each_statement_of_the_reference_has_a_name_of_its_own(page: Path) -> None:
    """The name that is shown is the anchor, and no page has it twice."""
    found = re.findall(r'<a id="([^"]+)"></a>([^| ]+) \|', page.read_text())
    names = [name for name, _ in found]
    assert all(name == shown for name, shown in found)
    assert len(set(names)) == len(names) == page.read_text().count("<a id=")


@pytest.mark.parametrize("page", sorted(CHECKOUT.glob("docs/reference/*.md")), ids=lambda page: page.name)
def test_each_statement_of_the_reference_says_how_sure_it_is(page: Path) -> None:
    """In the words of the reference's first page; they begin the last column, one or several of them."""
    words = set(re.findall(r"^\| (\w+) \|", SURE, re.MULTILINE)) - {"word"}
    assert len(words) == 5
    is_statement = False
    for line in page.read_text().splitlines():
        if not line.startswith("|"):
            is_statement = False
        elif line.endswith("| how sure |"):
            is_statement = True
        elif is_statement and not line.startswith("| ---"):
            last = re.sub(r"\([^)]*\)|:.*", "", re.split(r"(?<!\\)\|", line)[-2])
            assert {word for word in re.split(r"[,\s]", last) if word} <= words, line


def test_every_page_is_in_the_index_and_the_navigation() -> None:
    """Nobody finds a page that is in neither."""
    index = (CHECKOUT / "docs/index.md").read_text() + (CHECKOUT / "docs/reference/index.md").read_text()
    navigation = (CHECKOUT / "mkdocs.yml").read_text()
    for page in CHECKOUT.glob("docs/**/*.md"):
        name = page.relative_to(CHECKOUT / "docs").as_posix()
        assert re.search(rf"[ :]{name}$", navigation, re.MULTILINE), name
        assert name == "index.md" or f"({page.name}" in index or f"({name}" in index, name


@pytest.mark.parametrize("script", sorted(set(re.findall(r"\./bin/(\w+)", EVERYTHING))))
def test_scripts_that_are_named_are_there_to_be_run(script: str) -> None:
    assert os.access(CHECKOUT / "bin" / script, os.X_OK)


class Recorded(Demo):
    """The demonstration, of which only the commands happen, and only on paper."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def start(self) -> None:
        pass

    def wait(self, wanted: Callable[[SessionSection], bool], what: str) -> SessionSection:
        now = datetime.now(UTC)
        return SessionSection(updated_at=now, state=SessionState.UP, since=now, why=what)

    def drop(self) -> float:
        return 1.0

    def show(self, *arguments: str) -> None:
        self.shown.append(shlex.join(arguments))

    def _say(self, text: str) -> None:
        pass


def test_the_readme_shows_what_the_demo_prints() -> None:
    """The block in the README is the demo's own output: the same commands, in the same order."""
    block = README.split("<!-- demo -->")[1].split("<!-- /demo -->")[0]
    demo = Recorded()
    demo.run()
    assert re.findall(r"^ *\$ ibkr-tools (.+)", block, re.MULTILINE) == demo.shown


def test_the_schema_tells_editors_what_a_key_is_for() -> None:
    """Every leaf of the published schema has a description."""
    definitions = schema.json_schema()["$defs"]
    for name, section in definitions.items():
        for key, leaf in section["properties"].items():
            assert "description" in leaf or "$ref" in str(leaf) or key == "$schema", f"{name}.{key}"
