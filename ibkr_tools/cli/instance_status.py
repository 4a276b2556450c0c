"""The status of the other IBKR users on this machine, each read by a process of its own.

Each instance belongs to another user. Root has to become that user before it opens anything there, and cannot come back
from it.
"""

import subprocess
from collections.abc import Sequence

import msgspec

from ibkr_tools.cli.app_context import AppContext
from ibkr_tools.directories import SYSTEM_CONFIGURATION, SYSTEM_RUNTIME
from ibkr_tools.errors import IbkrError, UsageError
from ibkr_tools.instance import PLAIN, describe_invisible, installed_instances, visible_instances

READ_TIMEOUT_S = 30.0


class InstanceStatus(msgspec.Struct, frozen=True):
    """What `ibkr-tools status` came to: the text or the JSON document, and the exit code; no name: `instance.PLAIN`."""

    name: str | None
    output: str
    exit_code: int


def read_others(app_context: AppContext, *, json: bool = False) -> list[InstanceStatus]:
    """Returns the status of every instance with a name, unless the global options have chosen one.

    A person who is not in the group of an instance sees that it is there; how it is, is not in the exit code then.
    """
    chosen = (app_context.is_instance_chosen, app_context.config, app_context.runtime_dir, app_context.state_dir)
    if any(chosen) or app_context.unchecked_directories.configuration != SYSTEM_CONFIGURATION:
        return []
    visible = visible_instances(SYSTEM_RUNTIME)
    return [
        _read(name, json=json) if name in visible else invisible(name) for name in installed_instances(SYSTEM_RUNTIME)
    ]


def invisible(name: str | None) -> InstanceStatus:
    """Returns what is told of an instance that this user may not look at."""
    return InstanceStatus(name, describe_invisible(name), 0)


def _read(name: str, *, json: bool) -> InstanceStatus:
    from ibkr_tools.cli.several_instances import ask_instance

    try:
        result = ask_instance(name, ["status", *(["--json"] if json else [])], timeout_s=READ_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        return InstanceStatus(name, f"cannot be read: {type(error).__name__}", IbkrError.exit_code)
    output = result.output.decode(errors="replace") or result.messages
    return InstanceStatus(name, output.rstrip("\n"), result.exit_code)


def combine_text(found: Sequence[InstanceStatus]) -> str:
    """Returns one text: each instance under its name, or the one that there is without."""
    if len(found) == 1:
        return found[0].output
    return "\n\n".join(f"instance {one.name or PLAIN}\n{one.output}" for one in found)


def combine_json(found: Sequence[InstanceStatus]) -> str:
    """Returns one JSON object: the status document of each instance by its name; null where it could not be read."""

    def document(one: InstanceStatus) -> object:
        try:
            return msgspec.json.decode(one.output)
        except msgspec.DecodeError:
            return None

    documents = {one.name or PLAIN: document(one) for one in found}
    return msgspec.json.format(msgspec.json.encode(documents), indent=2).decode()


def require_all_with_json(*, every: bool, json: bool) -> None:
    """Refuses --all where it would change nothing.

    Raises:
        UsageError: without --json.
    """
    if every and not json:
        raise UsageError("--all is for --json", hint="Without --json every instance is shown anyway.")
