"""The machine: its clock, time zones, memory, disks, shared memory and certificates."""

import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ibkr_tools.doctor.finding import Finding, Findings, Private, Text, place
from ibkr_tools.doctor.subject import Extent, Subject, ask, program_environment
from ibkr_tools.installation import LAYOUT
from ibkr_tools.instance import current_instance, unit_of
from ibkr_tools.status import Section, StatusFile

_CLOCK, _ZONES, _MEMORY = Findings("clock"), Findings("time zones"), Findings("memory")
_DISK, _SHARED, _CERTIFICATES = Findings("disk"), Findings("shared memory"), Findings("certificates")

MAX_CLOCK_ERROR = timedelta(minutes=1)
"""A code of an authenticator app is good for 30 s around its time, and IBKR's windows are of minutes."""

_SET_CLOCK = "sudo timedatectl set-ntp true"
_CA_FILE = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, kw_only=True)
class ClockFacts:
    """What can be compared with the clock without asking anybody else.

    `made_at`: when the program was installed. `written_at`: the latest time in the status file. `shift_s`: by how many
    seconds this clock is before the one with which systemd noted the watchdog's last message, None without one.
    `synchronised`: whether somebody keeps the clock right; None where that is not this machine's business.
    """

    now: datetime
    made_at: datetime | None
    written_at: datetime | None
    shift_s: float | None
    synchronised: bool | None


def read_clock(subject: Subject) -> ClockFacts:
    """Looks at the clock."""
    made_at = None
    for path in (LAYOUT.stamp, Path(__file__)) if subject.is_installed else (Path(__file__),):
        if path.exists():
            made_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            break
    status = StatusFile(subject.directories.status_file).read_or_empty()
    sections: list[Section | None] = [status.gateway, status.session, status.login, status.fetch]
    written = [section.updated_at for section in sections if section is not None]
    environment = program_environment(subject)
    is_own = subject.is_booted and ask(["systemd-detect-virt", "--quiet", "--container"], environment).status == 1
    synchronised = None
    if is_own:
        told = ask(
            ["timedatectl", "show", "--property=CanNTP", "--property=NTP", "--property=NTPSynchronized"], environment
        )
        values = dict(line.split("=", 1) for line in told.output.splitlines() if "=" in line)
        if values.get("CanNTP") == "yes":
            synchronised = "yes" in (values.get("NTP"), values.get("NTPSynchronized"))
    return ClockFacts(
        now=subject.now,
        made_at=made_at,
        written_at=max(written, default=None),
        shift_s=_shift_s(subject) if subject.is_booted and subject.extent is Extent.FULL else None,
        synchronised=synchronised,
    )


def _shift_s(subject: Subject) -> float | None:
    """Compares with systemd's own clock: it notes when the watchdog has last reported, in both of its times."""
    names = ("WatchdogTimestampMonotonic", "WatchdogTimestamp")
    told = ask(
        ["systemctl", "show", "--timestamp=unix", f"--property={','.join(names)}", _watchdog()],
        program_environment(subject),
    )
    values = dict(line.split("=", 1) for line in told.output.splitlines() if "=" in line)
    try:
        monotonic_s = int(values[names[0]]) / 1e6
        wall_s = float(values[names[1]].removeprefix("@"))
        uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    except (KeyError, ValueError, OSError):
        return None
    # The two clocks differ by the time that the machine has slept.
    slept_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return subject.now.timestamp() - (wall_s + (uptime_s - slept_s) - monotonic_s) if monotonic_s else None


def _watchdog() -> str:
    return unit_of("ibkr-watchdog.service", current_instance())


def judge_clock(facts: ClockFacts) -> Iterator[Finding]:
    """Yields what shows that the clock is wrong."""
    margin = MAX_CLOCK_ERROR
    if facts.made_at is not None and facts.now < facts.made_at - margin:
        yield _CLOCK.fault(
            f"it is {facts.now:%Y-%m-%d %H:%M} by the clock, earlier than the installation ({facts.made_at:%Y-%m-%d})",
            _SET_CLOCK,
        )
    elif facts.shift_s is not None and abs(facts.shift_s) > margin.total_seconds():
        yield _CLOCK.fault(f"the clock has been changed by {facts.shift_s:+.0f} s in this minute", _SET_CLOCK)
    elif facts.written_at is not None and facts.written_at > facts.now + margin:
        yield _CLOCK.fault(
            f"the status file was written later than now, at {facts.written_at:%Y-%m-%d %H:%M}", _SET_CLOCK
        )
    elif facts.synchronised is False:
        yield _CLOCK.notice("nobody keeps the clock right", _SET_CLOCK)
    else:
        yield _CLOCK.ok(f"{facts.now:%Y-%m-%d %H:%M} UTC")


def check_time_zones() -> Iterator[Finding]:
    """Looks whether the time of New York is known, by which IBKR's windows are told."""
    reinstall = "sudo apt-get install --reinstall -y tzdata"
    try:
        ZoneInfo.no_cache("America/New_York")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield _ZONES.fault("the time of New York is not known, by which IBKR's windows are told", reinstall)
        return
    if Path("/etc/localtime").is_symlink() and not Path("/etc/localtime").exists():
        yield _ZONES.notice(
            "/etc/localtime leads to a time zone that is not there", "sudo timedatectl set-timezone UTC"
        )
    else:
        yield _ZONES.ok("New York's is known")


def read_memory(proc: Path = Path("/proc")) -> Mapping[str, int]:
    """Returns the numbers of /proc/meminfo in MB."""
    values = {}
    for line in (proc / "meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            values[name] = int(words[0]) // 1024
    return values


LOGIN_MB = 450
"""What Chromium, its driver and Python take during a login; measured with simple pages."""

_SWAP = "sudo fallocate -l 1G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile"


def judge_memory(values: Mapping[str, int], *, extent: Extent) -> Iterator[Finding]:
    """Yields whether a login has enough."""
    total = values.get("MemTotal", 0) + values.get("SwapTotal", 0)
    left = values.get("MemAvailable", 0) + values.get("SwapFree", 0)
    wanted = LOGIN_MB if extent is not Extent.STATEMENTS else 100
    if left < wanted:
        yield _MEMORY.fault(f"{left} MB are left, a login needs {wanted}", _SWAP)
    elif total < 2 * wanted:
        yield _MEMORY.notice(f"{total} MB in all, of which a login needs {wanted}", _SWAP)
    else:
        yield _MEMORY.ok(f"{left} of {total} MB are left")


@dataclass(frozen=True, kw_only=True)
class FileSystem:
    """One file system of ours: where we use it, and what is left there."""

    path: Path
    mount: Path
    size: int
    free: int
    has_names: bool
    is_read_only: bool
    kind: str


FAULT_FREE, NOTICE_FREE = 16 << 20, 200 << 20
"""Bytes. A start of Chromium wants 32 MB where temporary files go; snapshots and the journal grow."""


def read_file_systems(paths: Sequence[Path]) -> list[FileSystem]:
    """Returns the file systems that these paths are on, each once; passes by what is not there, or not to be seen."""
    kinds = _mounts()
    found: dict[int, FileSystem] = {}
    for path in paths:
        try:
            device, entry = path.stat().st_dev, os.statvfs(path)
        except OSError:
            continue
        mount = path
        while mount.parent != mount and mount.parent.stat().st_dev == device:
            mount = mount.parent
        found.setdefault(
            device,
            FileSystem(
                path=path,
                mount=mount,
                size=entry.f_blocks * entry.f_frsize,
                free=entry.f_bavail * entry.f_frsize,
                has_names=not entry.f_files or bool(entry.f_favail),
                is_read_only=bool(entry.f_flag & os.ST_RDONLY),
                kind=kinds.get(str(mount), ""),
            ),
        )
    return list(found.values())


def _mounts(proc: Path = Path("/proc")) -> Mapping[str, str]:
    try:
        lines = (proc / "self/mounts").read_text().splitlines()
    except OSError:
        return {}
    return {words[1]: words[2] for words in map(str.split, lines) if len(words) > 2}  # noqa: PLR2004  # device, place, kind


def judge_disk(file_systems: Sequence[FileSystem]) -> Iterator[Finding]:
    """Yields what is full, or cannot be written."""
    for system in file_systems:
        mount, where, is_memory = place(system.mount), place(system.path), system.kind == "tmpfs"
        if isinstance(mount, Private):
            mount = Private(shlex.quote(str(mount.text)))
        look: Text = ("sudo du -xh --max-depth=2 ", mount, " | sort -h | tail -n 15")
        if is_memory:
            # What is there already, and as much again as is wanted.
            look = (f"sudo mount -o remount,size={(system.size + 2 * FAULT_FREE) >> 20}M ", mount)
        left = f"{system.free >> 20} MB left"
        if system.is_read_only:
            yield _DISK.fault((where, " cannot be written: read-only"), ("sudo mount -o remount,rw ", mount))
        elif system.size and system.free < FAULT_FREE:
            yield _DISK.fault((where, f" is full: {left}"), look)
        elif not system.has_names:
            files = "sudo mount -o remount,nr_inodes=0 " if is_memory else "sudo df -i "
            yield _DISK.fault((where, " is full: it takes no more files"), (files, mount))
        elif system.size and system.free < NOTICE_FREE and not is_memory:
            yield _DISK.notice((where, f" is nearly full: {left}"), look)
        else:
            yield _DISK.ok((where, f": {left}"))
    if not file_systems:
        yield _DISK.unseen("no directory of ours can be looked at")


def check_disk(subject: Subject) -> Iterator[Finding]:
    """Looks at every file system that is written to."""
    directories = subject.directories
    inner = [directories.state / name for name in ("gateway", "snapshots", "statements", "history", "shared")]
    places = [directories.state, *inner, directories.login, directories.browser, directories.runtime]
    wanted = [*places, Path(os.environ.get("TMPDIR") or "/tmp"), Path("/var/tmp")]  # noqa: S108  # where Chromium writes
    yield from judge_disk(read_file_systems(wanted))


def check_shared_memory(path: Path = Path("/dev/shm")) -> Iterator[Finding]:  # noqa: S108  # a name to look for
    """Looks at shared memory, which Python and Chromium may use."""
    if not path.is_dir():
        yield _SHARED.fault(
            f"{path} is missing", f"sudo mkdir {path} && sudo mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs {path}"
        )
    elif (mode := path.stat().st_mode & 0o7777) != 0o1777:  # noqa: PLR2004  # for everybody, and sticky
        yield _SHARED.fault(f"{path} is {mode:04o} and should be 1777", f"sudo chmod 1777 {path}")
    elif os.statvfs(path).f_flag & os.ST_RDONLY:
        yield _SHARED.fault(f"{path} cannot be written", f"sudo mount -o remount,rw {path}")
    else:
        yield _SHARED.ok(f"{os.statvfs(path).f_bavail * os.statvfs(path).f_frsize >> 20} MB left")


def check_certificates() -> Iterator[Finding]:
    """Looks whether the machine knows the authorities by which IBKR's hosts prove who they are."""
    install = "sudo apt-get install --reinstall -y ca-certificates && sudo update-ca-certificates"
    try:
        count = _CA_FILE.read_bytes().count(b"BEGIN CERTIFICATE")
    except OSError:
        yield _CERTIFICATES.fault(f"{_CA_FILE} cannot be read: no host of IBKR can prove who it is", install)
        return
    if count == 0:
        yield _CERTIFICATES.fault(f"{_CA_FILE} is empty: no host of IBKR can prove who it is", install)
    else:
        yield _CERTIFICATES.ok(f"{count} authorities")
