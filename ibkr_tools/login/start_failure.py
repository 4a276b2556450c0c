"""Why Chromium does not start, in a sentence that is true, and what a person can do; its driver says hardly anything.

Chromium is started once more without its driver, and says itself what is missing.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools import user_command
from ibkr_tools.control_group import Shortages, describe_shortage, read_shortages
from ibkr_tools.errors import BrowserUnavailable
from ibkr_tools.login.browser_processes import BrowserPrograms, RunAs, install_command, read_version
from ibkr_tools.login.browser_protocol import BrowserLost
from ibkr_tools.login.chromium_flags import CHROMIUM_FLAGS
from ibkr_tools.login.disk_space import require_disk_space

__all__ = ["Complaint", "driver_failure", "read_complaint", "require_startable", "require_startable_alone"]

PROBE_TIMEOUT_S = 10.0
"""How long Chromium may take to show an empty page, in seconds."""

_ADVICE = "docs/login.md#what-a-machine-may-lack"


@dataclass(frozen=True, kw_only=True)
class Sign:
    """What a line of Chromium means.

    `hint`: what a person can do; empty: install the browser again. `person`: nothing but a person's act changes it.
    """

    pattern: str
    meaning: str
    hint: str
    person: bool = True


_SIGNS = (
    Sign(
        pattern=r"Too many open files|EMFILE|ENFILE",
        meaning="Chromium may not open as many files as it needs",
        hint="Raise the limit of open files: LimitNOFILE= of the unit, `ulimit -n` elsewhere; 1024 are enough.",
    ),
    Sign(
        pattern=r"Resource temporarily unavailable|pthread_create|EAGAIN",
        meaning="no further process or thread could be started",
        hint="Raise the limit of processes: TasksMax= of the unit, `ulimit -u` elsewhere; 512 are enough.",
        person=False,
    ),
    Sign(
        pattern=r"Cannot allocate memory|[Oo]ut of memory|ENOMEM",
        meaning="there is too little memory",
        hint=f"Give the login more memory ({_ADVICE}).",
        person=False,
    ),
    Sign(
        pattern=r"No usable sandbox|Failed to move to new namespace|setuid sandbox",
        meaning="Chromium's sandbox needs user namespaces, and the kernel gives it none",
        hint=f"Allow user namespaces, or install chromium-sandbox ({_ADVICE}).",
    ),
    Sign(
        pattern=r"error while loading shared libraries|cannot open shared object file|GLIBC",
        meaning="a library of Chromium is missing",
        hint="",
    ),
)
"""What has run out comes first: for want of it a library that is there cannot be opened, nor a sandbox be made."""


@dataclass(frozen=True)
class Complaint:
    """The line of what Chromium wrote that says why it ended ("" if none does), and what it means, if that is known."""

    line: str
    sign: Sign | None


def read_complaint(output: str) -> Complaint:
    """Returns why Chromium ended, of all that it wrote; a fatal line of its own before the others."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    fatal = [line for line in lines if ":FATAL:" in line]
    for candidates in (fatal, lines):
        for sign in _SIGNS:
            for line in candidates:
                if re.search(sign.pattern, line):
                    return Complaint(_without_prefix(line), sign)
    return Complaint(_without_prefix(next(iter([*fatal, *reversed(lines)]), "")), None)


def _without_prefix(line: str) -> str:
    """Returns the line without the process, time and place that Chromium puts in front."""
    return user_command.last_line(re.sub(r"^\[[^\]]*\] *", "", line))


def require_startable(programs: BrowserPrograms, before: Shortages, directories: Sequence[Path], reason: str) -> None:
    """Returns if nothing is known to keep Chromium from starting, whatever is in its profile.

    Args:
        programs: Chromium and its driver.
        before: what had run out before the start.
        directories: where Chromium writes.
        reason: what the driver said.

    Raises:
        OutputError: no room on a disk.
        BrowserLost: memory or processes have run out.
        BrowserUnavailable: Chromium and its driver do not fit each other.
    """
    require_disk_space(*directories)
    if shortage := describe_shortage(before, read_shortages()):
        raise BrowserLost(f"Chromium did not start: {shortage}")
    versions = _versions(programs)
    majors = {match.group(1) for text in versions if (match := re.search(r"(\d+)\.\d+\.\d+", text))}
    if len(majors) > 1:
        raise BrowserUnavailable(
            f"Chromium and its driver are of different versions: {reason} ({'; '.join(versions)})",
            hint=install_command(),
        )


def require_startable_alone(
    reason: str, programs: BrowserPrograms, run_as: RunAs, environment: Mapping[str, str]
) -> None:
    """Returns if Chromium shows a page with an empty profile and without its driver: then it can start here.

    Args:
        reason: what the driver said.
        programs: Chromium and its driver.
        run_as: the browser's user.
        environment: that of the browser.

    Raises:
        BrowserUnavailable: it cannot; nothing but a person's act changes it, as far as is known.
        BrowserLost: it cannot for want of something that may be there later.
    """
    is_started, output = _start_alone(programs, run_as, environment)
    if is_started:
        return
    versions = "; ".join(_versions(programs))
    if is_started is None:
        raise BrowserLost(
            f"Chromium did not start: {reason}; by itself it showed no page in {PROBE_TIMEOUT_S:.0f} s ({versions})"
        )
    complaint = read_complaint(output)
    if sign := complaint.sign or read_complaint(reason).sign:
        kind = BrowserUnavailable if sign.person else BrowserLost
        raise kind(
            f"{sign.meaning}: {complaint.line or reason} ({versions})", hint=sign.hint or install_command(again=True)
        )
    raise BrowserUnavailable(
        f"Chromium did not start: {reason}; it says itself: {complaint.line or 'nothing'} ({versions})",
        hint=f"Start it by hand and see: {programs.browser} --headless=new --dump-dom about:blank",
    )


def driver_failure(reason: str, programs: BrowserPrograms) -> BrowserLost:
    """Returns why no browser is there although Chromium starts: something of that moment, or of the driver."""
    return BrowserLost(
        f"Chromium did not start: {reason}; without its driver it does ({'; '.join(_versions(programs))})"
    )


def _versions(programs: BrowserPrograms) -> list[str]:
    return [read_version(program) for program in (programs.browser, programs.driver)]


def _start_alone(programs: BrowserPrograms, run_as: RunAs, environment: Mapping[str, str]) -> tuple[bool | None, str]:
    """Says whether Chromium by itself shows a page in time, None if it took longer; and what it wrote."""
    flags = [flag for flag in CHROMIUM_FLAGS if flag != "--remote-debugging-pipe"]

    def spawn(command: Sequence[str], environ: Mapping[str, str]) -> user_command.RunningProcess:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # of the identity all or nothing
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
            cwd="/",
            **run_as.popen,
        )

    with tempfile.TemporaryDirectory(
        prefix="ibkr-browser-", dir=environment["TMPDIR"], ignore_cleanup_errors=True
    ) as profile:
        command = [os.fspath(programs.browser), *flags, f"--user-data-dir={profile}", "--dump-dom", "about:blank"]
        try:
            run_as.give(Path(profile))
            result = user_command.run_user_command(
                command, {**environment, "HOME": profile}, PROBE_TIMEOUT_S, spawn=spawn
            )
        except OSError as error:
            return False, error.strerror or type(error).__name__
    is_started = None if result.exit_status is None else result.exit_status == 0
    return is_started, result.error_output.decode(errors="replace")
