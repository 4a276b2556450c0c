"""What a report says of the machine besides the checks: versions, and how much is installed. No name of anybody."""

import platform
import re
from pathlib import Path

from ibkr_tools.doctor.subject import Subject, ask, program_environment


def describe_environment(subject: Subject, version: str) -> dict[str, str]:
    """Returns versions by what they are of; `version` is that of ibkr-tools."""
    return {
        "ibkr-tools": f"{version}, {subject.extent.value}",
        "system": _system(),
        "kernel": f"{platform.release()} {platform.machine()}",
        "systemd": _systemd(subject),
        "python": platform.python_version(),
        "seen as": "root" if subject.is_root else "another user",
    }


def _system(path: Path = Path("/etc/os-release")) -> str:
    try:
        match = re.search(r'^PRETTY_NAME="?([^"\n]+)', path.read_text(), re.MULTILINE)
    except OSError:
        return "unknown"
    return match[1] if match else "unknown"


def _systemd(subject: Subject) -> str:
    told = ask(["systemctl", "--version"], program_environment(subject))
    match = re.match(r"systemd (\d+)", told.output)
    return f"{match[1] if match else 'none'}{'' if subject.is_booted else ', not running here'}"
