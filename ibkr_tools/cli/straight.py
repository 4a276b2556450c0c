"""The plain forms of `status` and `show`, understood without Typer: a third of their time would be its start.

Whatever is not plain (help, a mistake, a jq program) is left to Typer, which understands all of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class _Form:
    """What may stand in one place of a command line, and what stood there."""

    flags: frozenset[str]
    values: frozenset[str]
    given: dict[str, list[str]] = field(default_factory=dict)

    def take(self, argument: str, left: Iterator[str]) -> bool:
        """Takes an argument, and its value from those that are left; False if it is none of these."""
        if argument in self.flags:
            self.given[argument] = []
            return True
        value = next(left, "-") if argument in self.values else "-"
        # Typer knows what a value that looks like an option means.
        if value.startswith("-"):
            return False
        self.given.setdefault(argument, []).append(value)
        return True

    def last(self, option: str) -> str | None:
        """Returns the value of an option; given twice, the last one counts."""
        return self.given[option][-1] if option in self.given else None

    def path(self, option: str) -> Path | None:
        """Returns it as a path."""
        value = self.last(option)
        return None if value is None else Path(value)


def command(arguments: list[str]) -> Callable[[], int] | None:
    """Returns what runs the command; None where Typer has to understand it."""
    whole = _Form(frozenset({"--verbose"}), frozenset({"--config", "--runtime-dir", "--state-dir"}))
    status = _Form(frozenset({"--json"}), frozenset())
    show = _Form(frozenset({"--all"}), frozenset({"--account", "--at", "--file"}))
    left = iter(arguments)
    name = None
    for name in left:
        if not whole.take(name, left):
            break
    else:
        return None
    form = {"status": status, "show": show}.get(name)
    if form is None:
        return None
    parts = []
    for argument in left:
        if not argument.startswith("-"):
            parts.append(argument)
        elif not form.take(argument, left):
            return None
    if len(parts) > (1 if form is show else 0):
        return None

    def run() -> int:
        from ibkr_tools.cli import reading
        from ibkr_tools.cli.common import setting_from, write_out

        setting = setting_from(whole.path("--config"), whole.path("--runtime-dir"), whole.path("--state-dir"))
        if form is status:
            return reading.status(setting, json="--json" in status.given)
        resource = parts[0] if parts else None
        accounts = show.given.get("--account", [])
        shown = reading.Shown(setting, resource, accounts, at=show.last("--at"), file=show.path("--file"))
        write_out(shown.text(everything="--all" in show.given))
        return 0

    return run
