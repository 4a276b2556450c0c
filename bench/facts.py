"""On what a run was taken: machine, programs, and how busy the machine was with other things."""

import contextlib
import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from bench.processes import CHECKOUT
from ibkr_tools import __version__


def _first_line(*command: str) -> str:
    """Returns the first line a program prints about itself, on either stream; empty if it is not there."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=CHECKOUT
    )
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout.strip() else ""


def _field(file: str, key: str) -> str:
    """Returns what stands behind `key` in a file of lines such as `key : value` or `key=value`."""
    with contextlib.suppress(OSError):
        match = re.search(rf"^{key}\s*[:=]\s*(.*)$", Path(file).read_text(), re.MULTILINE)
        return match.group(1).strip('"') if match else ""
    return ""


def is_busy() -> bool:
    """Says whether other programs keep the machine busy, so that figures would tell more about them."""
    return os.getloadavg()[0] > 0.25 * (os.cpu_count() or 1)


def read_facts() -> dict[str, str]:
    """Returns names and texts for the head of a report; what cannot be found out is left out."""
    memory_kb = _field("/proc/meminfo", "MemTotal").split()
    commit = _first_line("git", "describe", "--always", "--dirty")
    facts = {
        "taken": datetime.now(UTC).isoformat(timespec="minutes"),
        "ibkr-tools": f"{__version__}" + (f" ({commit})" if commit else ""),
        "machine": f"{_field('/proc/cpuinfo', 'model name') or platform.machine()}, {os.cpu_count()} cores"
        + (f", {int(memory_kb[0]) / 2**20:.0f} GB" if memory_kb else ""),
        "system": f"{_field('/etc/os-release', 'PRETTY_NAME')}, Linux {platform.release()}",
        "programs": ", ".join(
            text
            for text in (
                f"Python {platform.python_version()}",
                _first_line("java", "-version"),
                # Debian's wrapper of the browser itself warns on the way; the two have the same version.
                _first_line("chromedriver", "--version").split(" (")[0],
            )
            if text
        ),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }
    return {name: text for name, text in facts.items() if text}
