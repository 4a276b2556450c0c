"""What `ibkr-tools doctor` comes to for the other IBKR users on this machine: a line each."""

import os
import subprocess
from dataclasses import dataclass
from typing import Any

import msgspec

from ibkr_tools.cli.app_context import AppContext
from ibkr_tools.cli.several_instances import InstanceResult, ask_instance
from ibkr_tools.directories import SYSTEM_CONFIGURATION, SYSTEM_RUNTIME
from ibkr_tools.errors import IbkrError
from ibkr_tools.instance import describe_invisible, installed_instances, visible_instances

EXAMINATION_TIMEOUT_S = 180.0
"""Each program that a check starts may take ten seconds."""


@dataclass(frozen=True)
class InstanceVerdict:
    """One line about an instance, and the exit code of its own `ibkr-tools doctor`."""

    line: str
    exit_code: int


def examine_others(app_context: AppContext, *, is_online: bool = False) -> list[InstanceVerdict]:
    """Has every instance with a name examined, unless the global options have chosen one.

    Of one that this user may not look at, that alone is told, and it is not in the exit code.
    """
    if (
        app_context.is_instance_chosen
        or app_context.is_named
        or app_context.unchecked_directories.configuration != SYSTEM_CONFIGURATION
    ):
        return []
    words = ["doctor", "--json", *(["--online"] if is_online else [])]
    verdicts, visible = [], visible_instances(SYSTEM_RUNTIME)
    for name in installed_instances(SYSTEM_RUNTIME):
        if name not in visible:
            verdicts.append(InstanceVerdict(f"{name}: {describe_invisible(name)}", 0))
            continue
        try:
            verdicts.append(describe_verdict(ask_instance(name, words, timeout_s=EXAMINATION_TIMEOUT_S)))
        except (OSError, subprocess.SubprocessError) as error:
            line = f"{name}: cannot be examined: {type(error).__name__}"
            verdicts.append(InstanceVerdict(line, IbkrError.exit_code))
    return verdicts


def describe_verdict(result: InstanceResult) -> InstanceVerdict:
    """Returns the line about an instance; `result` is that of `ibkr-tools doctor --json`."""
    sudo = "sudo " if os.geteuid() == 0 else ""
    command = f"{sudo}ibkr-tools --instance {result.name} doctor"
    try:
        checks: list[dict[str, Any]] = msgspec.json.decode(result.output)["checks"]
        verdicts = [check["verdict"] for check in checks]
    except (msgspec.DecodeError, KeyError, TypeError):
        return InstanceVerdict(f"{result.name}: could not be examined: {command}", result.exit_code)
    faults, notices = verdicts.count("fault"), verdicts.count("notice")
    parts = [f"{faults} to do" if faults else "nothing to do", *([f"{notices} to know"] if notices else [])]
    line = f"{result.name}: {', '.join(parts)}{f': {command}' if faults or notices else ''}"
    return InstanceVerdict(line, result.exit_code)
