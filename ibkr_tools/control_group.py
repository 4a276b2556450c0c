"""What the kernel counts for the control group of this process: who was killed for want of memory, or not started.

systemd gives every unit a group, a container has one too. Both versions of the kernel's interface are read. Where a
group says nothing, the counter of the whole machine is all that there is. Sources: cgroup-v2 and cgroup-v1/memory in
the kernel's Documentation/admin-guide, proc_pid_cgroup(5), /proc/vmstat in proc(5).
"""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Shortages", "describe_shortage", "memory_advice", "read_shortages"]

_MB = 1 << 20
"""As systemd counts in MemoryMax=350M."""

LOGIN_NEEDS_MB = 500
"""Headless Chromium, its driver and Python on IBKR's page, in MB; measured up to 435."""

_UNLIMITED_BYTES = 1 << 60
"""What version 1 calls no limit is a number that no machine has."""


@dataclass(frozen=True, kw_only=True)
class Shortages:
    """How often something was missing so far; a counter that cannot be read is 0.

    `oom_kills`: processes of this control group that the kernel has killed for want of memory; `machine_oom_kills`: the
    same of the whole machine. `refused_processes`: how often the group had as many processes and threads as it may.
    `unit` is systemd's unit, None outside of one; `memory_limit` is in bytes, `process_limit` a number; None: no limit
    is known.
    """

    oom_kills: int = 0
    machine_oom_kills: int = 0
    refused_processes: int = 0
    unit: str | None = None
    memory_limit: int | None = None
    process_limit: int | None = None


def read_shortages(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> Shortages:
    """Reads the counters of this process's control group now."""
    memory, pids = (_directories(controller, proc, cgroups) for controller in ("memory", "pids"))
    names = [directory.name for directory in (*memory, *pids) if directory.name.endswith(".service")]
    return Shortages(
        # Version 2 counts in the first file, version 1 in the second one.
        oom_kills=_counter(memory, ("memory.events", "memory.oom_control"), "oom_kill"),
        machine_oom_kills=_value(proc / "vmstat", "oom_kill") or 0,
        refused_processes=_counter(pids, ("pids.events",), "max"),
        unit=names[0] if names else None,
        memory_limit=_limit(memory, ("memory.max", "memory.limit_in_bytes")),
        process_limit=_limit(pids, ("pids.max",)),
    )


def describe_shortage(before: Shortages, now: Shortages) -> str | None:
    """Says what has run out since `before` and what can be set, in one sentence; None: nothing has, as far as is known.

    Of a machine's counter nobody knows whose process was killed.
    """
    if now.oom_kills > before.oom_kills:
        return f"memory ran out, and the kernel killed a process of the browser: {memory_advice(now)}"
    if now.machine_oom_kills > before.machine_oom_kills:
        return (
            "memory ran out on this machine, and the kernel killed a process meanwhile: "
            "end other programs, or add memory or swap"
        )
    if now.refused_processes > before.refused_processes:
        limit = f"no more than {now.process_limit} processes and threads are" if now.process_limit else "no more is"
        set_there = f" (systemctl edit {now.unit}: TasksMax=)" if now.unit else " (pids.max of its control group)"
        return f"no further process could be started: {limit} allowed here{set_there}"
    return None


def memory_advice(now: Shortages) -> str:
    """Says what memory there is, how much a login needs, and what can be set."""
    limit = f"{now.memory_limit // _MB} MB are" if now.memory_limit else "too little is"
    where = f"systemctl edit {now.unit}: MemoryHigh= and MemoryMax=" if now.unit else "the container's memory limit"
    return f"{limit} allowed here, and a login may need {LOGIN_NEEDS_MB} MB ({where})"


def _directories(controller: str, proc: Path, cgroups: Path) -> list[Path]:
    """Returns the directory of the group of this process, then those above it; none where nobody tells."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return []
    paths = {
        controllers: path for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") > 1)
    }
    of_version_1 = next((path for names, path in paths.items() if controller in names.split(",")), None)
    roots = [(cgroups / controller, of_version_1)] if of_version_1 is not None else [(cgroups, paths.get(""))]
    found = []
    for root, path in roots:
        # A container that sees the machine's path has its own group at the root.
        directory = root / (path or "/").lstrip("/")
        directory = directory if directory.is_dir() else root
        while directory != root.parent:
            found.append(directory)
            directory = directory.parent
    return found


def _value(file: Path, key: str) -> int | None:
    """Returns the number behind `key` in a file with a key and a number per line."""
    try:
        match = re.search(rf"^{key} (\d+)$", file.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(match[1]) if match else None


def _counter(directories: list[Path], names: tuple[str, ...], key: str) -> int:
    values = [_value(directory / name, key) for directory in directories[:1] for name in names]
    return next((value for value in values if value is not None), 0)


def _limit(directories: list[Path], names: tuple[str, ...]) -> int | None:
    """Returns the lowest limit of the group and of those above it."""
    limits = []
    for file in (directory / name for directory in directories for name in names):
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < _UNLIMITED_BYTES:
            limits.append(int(text))
    return min(limits, default=None)
