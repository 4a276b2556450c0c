"""Commands whose modules are imported when they are asked for: `status` does not wait for those of the others."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer

from ibkr_tools.cli.command_table import COMMANDS
from ibkr_tools.cli.help_command import HelpCommand, HelpGroup


class LazyCommands(Mapping[str, Any]):
    """Click's commands by name; each is built when it is read for the first time."""

    def __init__(self, modules: Mapping[str, str], classes: Mapping[str, type[Any]]) -> None:
        """Takes the module of each command, and the class of those that are not a `HelpCommand`.

        The module has a function or a group (a `Typer`) that is called like the command, or a group called `app`.
        """
        self._modules = modules
        self._classes = classes
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = self._build(name)
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def _build(self, name: str) -> Any:
        module = import_module(self._modules[name])
        function = getattr(module, name, None)
        if function is None:
            group = typer.main.get_group(module.app)
            group.name = name
            vars(group)["rich_help_panel"] = COMMANDS[name].panel
            return group
        single = typer.Typer(add_completion=False)
        single.command(cls=self._classes.get(name, HelpCommand), rich_help_panel=COMMANDS[name].panel)(function)
        return typer.main.get_command(single)


def lazy_group(commands: LazyCommands) -> type[HelpGroup]:
    """Returns the class of a group with these commands, for `Typer(cls=...)`."""

    class LazyGroup(HelpGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.commands = commands  # type: ignore[assignment]  # nothing is added later

    return LazyGroup
