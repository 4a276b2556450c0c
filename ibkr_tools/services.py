"""The processes that keep a session: one row each. systemd's units and `ibkr-tools up` start the same ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools.directories import Directories


@dataclass(frozen=True, kw_only=True)
class Service:
    """One process: the unit `ibkr-NAME.service` runs it under systemd.

    It runs for ever, or, with `request`, once whenever the file exists whose path that returns. The last part of the
    path may be a pattern, as in a path unit's PathExistsGlob=. `takes_verbose`: the program has the option --verbose.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    request: Callable[[Directories], Path] | None = None
    takes_verbose: bool = True


SERVICES = (
    Service(name="gateway", module="ibkr_tools.gateway", takes_verbose=False),
    Service(name="watchdog", module="ibkr_tools.watchdog"),
    Service(
        name="login",
        module="ibkr_tools",
        arguments=("login", "--unattended"),
        request=lambda directories: directories.login_request,
    ),
    Service(
        name="snapshot",
        module="ibkr_tools",
        arguments=("fetch", "--save", "--unattended"),
        request=lambda directories: directories.snapshot_request,
    ),
    Service(
        name="alert",
        module="ibkr_tools",
        arguments=("alert", "--unattended"),
        # Not the temporary file of a writer, which begins with a dot.
        request=lambda directories: directories.outbox / "[!.]*.json",
    ),
)
"""In the order of their start; they are ended in the opposite one."""
