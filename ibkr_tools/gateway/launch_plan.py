"""What the parent of Java has to know, and the command line that tells it. It imports nothing of the preparation."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools.directories import Directories, find_directories
from ibkr_tools.gateway.filter_probe import FilterPolicy

ARCHIVE_OPTION = "-XX:SharedArchiveFile="
"""Java's option that names a class archive; see `ibkr_tools.gateway.class_archive`."""


@dataclass(frozen=True, kw_only=True)
class LaunchPlan:
    """One start of the gateway.

    `command` is that of Java, `build` IBKR's date of the distribution, `port` and `upstream` those of the configuration
    at this start.
    """

    command: tuple[str, ...]
    directories: Directories
    port: int
    upstream: str
    build: str
    filter_policy: FilterPolicy

    @property
    def home(self) -> Path:
        """Java's working and home directory."""
        return (self.directories.gateway / "work").absolute()

    @property
    def command_without_archive(self) -> tuple[str, ...]:
        """The command of Java without its class archive; the same one if it has none."""
        return tuple(argument for argument in self.command if not argument.startswith(ARCHIVE_OPTION))

    def parent_command(self) -> list[str]:
        """Returns the command line of the parent: isolated, whatever the current directory has in it."""
        directories = (str(self.directories.runtime), str(self.directories.state))
        arguments = (*directories, str(self.port), self.upstream, self.build, self.filter_policy)
        return [sys.executable, "-I", "-m", "ibkr_tools.gateway.parent", *arguments, *self.command]


def parse_arguments(arguments: Sequence[str]) -> LaunchPlan:
    """Returns the plan that the arguments of a `LaunchPlan.parent_command` tell."""
    runtime, state, port, upstream, build, filter_policy, *command = arguments
    return LaunchPlan(
        command=tuple(command),
        directories=find_directories(runtime=Path(runtime), state=Path(state)),
        port=int(port),
        upstream=upstream,
        build=build,
        filter_policy=FilterPolicy(filter_policy),
    )


def java_environment(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Returns all that Java gets of our environment: nothing of systemd's, no credentials, no options of others."""
    inherited = {name: environ[name] for name in ("TZ", "TMPDIR") if name in environ}
    return {
        **inherited,
        "PATH": environ.get("PATH", os.environ.get("PATH", os.defpath)),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        # glibc makes an arena per thread, of which little is ever given back.
        "MALLOC_ARENA_MAX": "2",
    }
