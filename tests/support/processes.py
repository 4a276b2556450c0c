"""Which processes are left, and what they are given.

A zombie is none: where nobody reaps, as in a container without an init, it stays.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

__all__ = ["is_alive", "is_group_alive", "unmeasured"]


def unmeasured(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment whose programs coverage does not measure: it loads modules and writes files."""
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}


def _state_and_group(pid: int | str) -> tuple[str, int]:
    """Returns the letter of a process's state and its process group. Source: proc_pid_stat(5), after the name."""
    state, _parent, group = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]
    return state, int(group)


def is_alive(pid: int | str) -> bool:
    """Says whether a process exists and has not ended."""
    try:
        return _state_and_group(pid)[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_group_alive(group: int) -> bool:
    """Says whether a process group has a member that has not ended."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # Processes come and go while we look.
            with suppress(FileNotFoundError, ProcessLookupError):
                state, its_group = _state_and_group(entry.name)
                if its_group == group and state not in "ZX":
                    return True
    return False
