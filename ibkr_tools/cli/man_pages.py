"""The man pages, made of what `--help` is made of: a page for each command, one for the configuration, one for all.

Commands and options come from Typer, examples and exit codes from `command_examples`, keys from the schema of the
configuration. Pure.
"""

import re
from collections.abc import Iterator
from typing import Any

import typer.main

from ibkr_tools import __version__
from ibkr_tools.cli import man_overview, roff
from ibkr_tools.cli.app import app
from ibkr_tools.cli.command_examples import EXIT_CODES, EXTRAS
from ibkr_tools.cli.command_table import COMMANDS

PROGRAM = "ibkr-tools"
MANUAL = "ibkr-tools"
SITE = "https://github.com/ibkr-tools/ibkr-tools/tree/main/docs"

FILES = {
    "/etc/ibkr-tools/config.json": f"the configuration; see `{PROGRAM}-config`(5)",
    "/run/ibkr-tools/status.json": "the status that all processes write, and `status` reads",
    "/var/lib/ibkr-tools/": "snapshots, statements, history, login log, IBKR's gateway",
}
"""Where things are on an installed machine."""


def man_pages() -> dict[str, str]:
    """Returns every page by its file's name, such as `ibkr-tools-fetch.1`."""
    root = typer.main.get_command(app)
    context = typer.Context(root, info_name=PROGRAM, **root.context_settings)
    pages = {f"{PROGRAM}.1": _program_page(context)}
    for inner in _descendants(context):
        pages[f"{_page_name(inner)}.1"] = _command_page(inner)
    pages[f"{PROGRAM}-config.5"] = _configuration_page()
    pages[f"{PROGRAM}.7"] = _overview_page()
    # A heading begins a paragraph of its own.
    return {name: re.sub(r"^(\.S[HS] .*\n)\.PP\n", r"\1", text, flags=re.MULTILINE) for name, text in pages.items()}


def _children(context: Any) -> list[Any]:
    """Returns the contexts of the commands of a group, in the order of the help; none of a command."""
    commands = getattr(context.command, "commands", {})
    names = context.command.list_commands(context) if commands else []
    return [
        typer.Context(commands[name], info_name=name, parent=context) for name in names if not commands[name].hidden
    ]


def _descendants(context: Any) -> Iterator[Any]:
    for child in _children(context):
        yield child
        yield from _descendants(child)


def _page_name(context: Any) -> str:
    return "-".join(context.command_path.split())


def _summary(command: Any) -> str:
    """Returns the first sentence of a command's help, without a full stop."""
    first = re.split(r"\n\s*\n", (command.help or "").strip())[0]
    return " ".join(first.split()).rstrip(".")


def _name_section(name: str, summary: str) -> str:
    return f"{roff.heading('Name')}{roff.escape(name)} \\- {roff.inline(summary)}\n"


def _synopsis(context: Any) -> str:
    pieces = " ".join(context.command.collect_usage_pieces(context))
    return f"{roff.heading('Synopsis')}{roff.bold(context.command_path)} {roff.escape(pieces)}\n"


def _option_term(option: Any, context: Any) -> str:
    names = sorted(option.opts, key=len)
    term = ", ".join(map(roff.bold, names))
    if option.secondary_opts:
        term += ", " + ", ".join(map(roff.bold, option.secondary_opts))
    if not getattr(option, "is_flag", False):
        term += f" \\fI{roff.escape(option.make_metavar(ctx=context))}\\fR"
    return term


def _options(context: Any) -> str:
    """Returns arguments and options, each panel under its name."""
    panels: dict[str, list[str]] = {}
    for parameter in context.command.get_params(context):
        if getattr(parameter, "hidden", False):
            continue
        text = parameter.help or ""
        if parameter.param_type_name == "argument":
            title, term = "Arguments", f"\\fI{roff.escape(parameter.make_metavar(ctx=context))}\\fR"
        else:
            title = getattr(parameter, "rich_help_panel", None) or "Options"
            term = _option_term(parameter, context)
            is_told = getattr(parameter, "show_default", False) and not getattr(parameter, "is_flag", False)
            if is_told and parameter.default not in (None, ()):
                text += f" Default: {parameter.default}."
        panels.setdefault(title, []).append(roff.definition(term, text))
    order = ["Arguments", "Options", *(title for title in panels if title not in {"Arguments", "Options"})]
    blocks = [
        roff.heading(title if title in {"Arguments", "Options"} else f"{title} options") + "".join(panels[title])
        for title in order
        if title in panels
    ]
    return "".join(blocks)


def _commands(context: Any) -> str:
    """Returns the commands of a group, each panel of the program's under its name."""
    lines = []
    panel = ""
    for child in _children(context):
        if context.parent is None and COMMANDS[child.info_name].panel != panel:
            panel = COMMANDS[child.info_name].panel
            lines.append(roff.heading(panel, level=2))
        lines.append(roff.definition(f"{roff.bold(_page_name(child))}(1)", f"{_summary(child.command)}."))
    return roff.heading("Commands") + "".join(lines) if lines else ""


def _extras(path: str) -> str:
    extras = EXTRAS[path]
    examples = "".join(
        roff.paragraph(f"{example.meaning[:1].upper()}{example.meaning[1:]}:") + roff.example(example.line)
        for example in extras.examples
    )
    codes = "".join(roff.definition(roff.bold(str(code)), f"{text}.") for code, text in extras.exit_codes().items())
    return f"{roff.heading('Exit status')}{codes}{roff.heading('Examples')}{examples}"


def _see_also(*names: tuple[str, int]) -> str:
    pages = ", ".join(f"{roff.bold(name)}({section})" for name, section in names)
    return f"{roff.heading('See also')}{pages}\n.PP\n{roff.escape(SITE)}\n"


def _head(name: str, section: int) -> str:
    return roff.title(name, section, f"{PROGRAM} {__version__}", MANUAL)


def _program_page(context: Any) -> str:
    summary = _summary(context.command)
    files = "".join(roff.definition(f"\\fI{roff.escape(path)}\\fR", f"{text}.") for path, text in FILES.items())
    return "".join(
        (
            _head(PROGRAM, 1),
            _name_section(PROGRAM, f"{summary[:1].lower()}{summary[1:]}"),
            _synopsis(context),
            roff.heading("Description"),
            roff.paragraph(f"{summary}. `{PROGRAM}`(7) says how the parts work together."),
            _options(context),
            _commands(context),
            _extras(""),
            roff.heading("Files"),
            files,
            _see_also((f"{PROGRAM}-config", 5), (PROGRAM, 7), ("systemctl", 1), ("journalctl", 1)),
        )
    )


def _command_page(context: Any) -> str:
    name, path = _page_name(context), " ".join(context.command_path.split()[1:])
    summary = _summary(context.command)
    parent = _page_name(context.parent)
    return "".join(
        (
            _head(name, 1),
            _name_section(name, f"{summary[:1].lower()}{summary[1:]}"),
            _synopsis(context),
            roff.heading("Description"),
            roff.paragraph(context.command.help or summary),
            _options(context),
            _commands(context),
            _extras(path),
            _see_also((parent, 1), (f"{PROGRAM}-config", 5), (PROGRAM, 7)),
        )
    )


def _keys(definitions: dict[str, Any], name: str, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every key of the configuration, with its part of the schema."""
    for key, value in definitions[name]["properties"].items():
        if key == "$schema":
            continue
        if "$ref" in value:
            yield from _keys(definitions, value["$ref"].rsplit("/", 1)[-1], f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _configuration_page() -> str:
    import msgspec

    from ibkr_tools.config.schema import json_schema

    definitions = json_schema()["$defs"]
    sections: dict[str, list[str]] = {}
    for path, value in _keys(definitions, "Config"):
        text = value.get("description", "")
        if choices := value.get("enum"):
            text += f" One of {', '.join(map(str, choices))}."
        if value.get("default") is not None:
            text += f" Default: `{msgspec.json.encode(value['default']).decode()}`."
        section = path.split(".", 1)[0] if "." in path else ""
        sections.setdefault(section, []).append(roff.definition(roff.bold(path), text))
    keys = "".join((roff.heading(name, level=2) if name else "") + "".join(rows) for name, rows in sections.items())
    name = f"{PROGRAM}-config"
    return "".join(
        (
            _head(name, 5),
            _name_section(name, f"the configuration of {PROGRAM}"),
            roff.heading("Synopsis"),
            "\\fI/etc/ibkr\\-tools/config.json\\fR, \\fI\\(ti/.config/ibkr\\-tools/config.json\\fR\n",
            roff.heading("Description"),
            roff.paragraph(man_overview.CONFIGURATION),
            roff.heading("Keys"),
            keys,
            roff.heading("Examples"),
            roff.paragraph("Every problem of the configuration at once:"),
            roff.example(f"{PROGRAM} config check"),
            roff.paragraph("The smallest configuration:"),
            ".PP\n.RS 4\n.nf\n" + '{"username": "readonlyuser", "account": "U1234567"}' + "\n.fi\n.RE\n",
            _see_also((f"{PROGRAM}-config", 1), (PROGRAM, 7)),
        )
    )


def _overview_page() -> str:
    def table(rows: dict[str, str]) -> str:
        return "".join(roff.definition(roff.bold(term), f"{text}.") for term, text in rows.items())

    return "".join(
        (
            _head(PROGRAM, 7),
            _name_section(PROGRAM, "how a session is kept, and what each part does"),
            roff.heading("Description"),
            roff.paragraph(man_overview.DESCRIPTION),
            roff.heading("Units"),
            roff.paragraph("`systemctl start ibkr-gateway` starts all but the timers, and `stop` stops them."),
            table(man_overview.UNITS),
            roff.heading("States of the session"),
            roff.paragraph("`ibkr-tools status` shows one of them, since when and why, and what happens next."),
            table(man_overview.STATES),
            roff.heading("People without root"),
            roff.paragraph(man_overview.PEOPLE),
            roff.heading("When something is wrong"),
            roff.paragraph(man_overview.TROUBLE),
            roff.heading("Exit status"),
            table({str(code): text for code, text in EXIT_CODES.items()}),
            roff.heading("Files"),
            "".join(roff.definition(f"\\fI{roff.escape(path)}\\fR", f"{text}.") for path, text in FILES.items()),
            _see_also((PROGRAM, 1), (f"{PROGRAM}-config", 5), ("systemd.unit", 5), ("journalctl", 1)),
        )
    )
