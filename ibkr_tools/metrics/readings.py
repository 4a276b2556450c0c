"""What the metrics are made of: files of the units, read without any request."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.errors import IbkrError
from ibkr_tools.fetch import snapshot_store
from ibkr_tools.fetch.snapshot import Snapshot
from ibkr_tools.instance import current_instance
from ibkr_tools.login.budget import Budget
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.portal.rate_limiter import RequestCounts, read_request_counts
from ibkr_tools.status import Status, StatusFile


@dataclass(frozen=True, kw_only=True)
class Readings:
    """Everything that is known at one moment; None is what cannot be read.

    Attributes:
        now: the moment (UTC).
        status: what the units say.
        budget: what the login log allows; None where logins never happen, or another user's log cannot be read.
        login_attempts: how many passwords were submitted since the login log began.
        requests: requests to IBKR, and answers 429, since the boot.
        memory_bytes: memory by the name of the unit, without that of the instance.
        instance: the name of the instance, where there are several; None: the one without a name.
        snapshot: the last complete one.
    """

    now: datetime
    status: Status
    budget: Budget | None = None
    login_attempts: int | None = None
    requests: RequestCounts = field(default_factory=RequestCounts)
    memory_bytes: Mapping[str, int] = field(default_factory=dict)
    instance: str | None = None
    snapshot: Snapshot | None = None


def take_readings(
    directories: Directories, config: Config, now: datetime, cgroups: Path = Path("/sys/fs/cgroup")
) -> Readings:
    """Reads the files of one instance; what is missing or damaged is left out."""
    instance = current_instance()
    status = StatusFile(directories.status_file).read_or_empty()
    login_log = LoginLog(directories.login, config.login.logins_a_day, directories=directories)
    is_readable = os.access(directories.login, os.R_OK | os.X_OK)
    snapshot = None
    with suppress(IbkrError):
        snapshot = Snapshot(snapshot_store.read_latest(directories.snapshots))
    return Readings(
        now=now,
        status=status,
        budget=login_log.budget(now) if is_readable else None,
        login_attempts=login_log.recorded_attempts(now) if is_readable else None,
        requests=read_request_counts(directories.pacing_file, directories.shared_pacing_file),
        memory_bytes=_memory(cgroups, instance),
        instance=instance,
        snapshot=snapshot,
    )


def _memory(cgroups: Path, instance: str | None) -> dict[str, int]:
    """Returns the memory of each unit that runs, in bytes, as `systemctl status` shows it.

    The kernel counts it for the unit's control group. The sandbox of one unit hides the processes of the others.
    systemd has the instances of a template in a slice of that.
    """
    end = f"@{instance}.service" if instance else ".service"
    units = f"system-ibkr*.slice/ibkr-*{end}" if instance else f"ibkr-*{end}"
    found = {}
    for parent, name in ((cgroups, "memory.current"), (cgroups / "memory", "memory.usage_in_bytes")):
        for file in (parent / "system.slice").glob(f"{units}/{name}"):
            with suppress(OSError, ValueError):
                found[file.parent.name.removesuffix(end)] = int(file.read_text())
    return found
