"""The browser as a set of processes: which program, as which user, in which environment; and that all of them end."""

import contextlib
import os
import platform
import pwd
import resource
import shutil
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ibkr_tools import executables, user_command
from ibkr_tools.errors import BrowserUnavailable
from ibkr_tools.installation import LAYOUT
from ibkr_tools.login import chrome_for_testing
from ibkr_tools.polling import poll_until
from ibkr_tools.process_control import die_with_parent

BROWSER_NAMES = ("/usr/lib/chromium/chromium", "chromium", "chromium-browser", "google-chrome")
"""Debian's `chromium` on PATH is a shell script that reads /proc/cpuinfo, which a unit with ProcSubset=pid has not."""
DRIVER_NAMES = ("chromedriver", "/usr/lib/chromium-browser/chromedriver", "/usr/lib/chromium/chromedriver")
UNPRIVILEGED_USERS = ("ibkr", "nobody")

OPEN_FILES = 1024
"""How many files Chromium may open, where the hard limit allows it; with 256 a login succeeds."""


def install_command(*, again: bool = False) -> str:
    """Returns the command that installs a browser and its driver; `again`: also if they are there.

    Where logins use Chrome for Testing it is that; on Ubuntu too, whose Chromium is a snap, which no service can run.
    """
    if chrome_for_testing.find_chrome() is not None or _is_ubuntu():
        return f"{LAYOUT.install} --browser chrome-for-testing"
    packages = "--no-install-recommends chromium chromium-driver chromium-sandbox"
    return f"sudo apt-get install {packages}{' --reinstall' if again else ''}"


def _is_ubuntu() -> bool:
    try:
        return platform.freedesktop_os_release().get("ID") == "ubuntu"
    except OSError:
        return False


@dataclass(frozen=True, kw_only=True)
class BrowserPrograms:
    """The two programs, as paths."""

    browser: Path
    driver: Path


def _find_program(wanted: str | None, candidates: tuple[str, ...]) -> Path | None:
    for name in (wanted,) if wanted else candidates:
        if path := shutil.which(name):
            return Path(path)
    return None


def find_browser_programs(browser: str | None = None, driver: str | None = None) -> BrowserPrograms:
    """Finds Chromium and its driver; the arguments name one and only one candidate.

    Where Chrome for Testing is installed and neither is named, it is that.

    Raises:
        BrowserUnavailable: one of them is missing, or cannot be started.
    """
    if browser is None and driver is None and (chrome := chrome_for_testing.find_chrome()):
        browser, driver = str(chrome.browser), str(chrome.driver)
    for named in (browser, driver):
        if named is not None and (objection := executables.start_problem(named)):
            raise BrowserUnavailable(objection, hint=install_command())
    paths = (_find_program(browser, BROWSER_NAMES), _find_program(driver, DRIVER_NAMES))
    if paths[0] is None:
        raise BrowserUnavailable(
            f"no Chromium: {browser or ', '.join(BROWSER_NAMES)} not found", hint=install_command()
        )
    if paths[1] is None:
        raise BrowserUnavailable(
            f"no chromedriver: {driver or ', '.join(DRIVER_NAMES)} not found", hint=install_command()
        )
    return BrowserPrograms(browser=paths[0], driver=paths[1])


def read_version(program: Path) -> str:
    """Returns what `program --version` prints, in one line."""
    try:
        result = user_command.run_user_command([os.fspath(program), "--version"], os.environ, 10)
    except OSError as error:
        return f"{program} ({type(error).__name__})"
    output = "" if result.has_printed_too_much else result.output.decode(errors="replace")
    return " ".join(output.split()) or f"{program} (says nothing about its version)"


@dataclass(frozen=True, kw_only=True)
class RunAs:
    """As whom the browser runs: None is as ourselves. Chromium refuses its own sandbox to root."""

    user: pwd.struct_passwd | None

    @property
    def popen(self) -> dict[str, object]:
        """Arguments for subprocess.Popen: user, own session, no core files, death together with ours."""
        arguments: dict[str, object] = {"start_new_session": True, "preexec_fn": partial(_set_up_child, os.getpid())}
        if self.user is not None:
            arguments |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return arguments

    def owns(self, directory: Path) -> bool:
        """Says whether `directory` is one of this user's; a link is nobody's where the user is not ourselves."""
        entry = directory.stat() if self.user is None else directory.lstat()
        uid = os.geteuid() if self.user is None else self.user.pw_uid
        return stat.S_ISDIR(entry.st_mode) and entry.st_uid == uid

    def give(self, directory: Path) -> None:
        """Gives this user a directory that we have just made, perhaps where they can exchange it: no link is followed.

        Raises:
            OSError: something else is there by now.
        """
        if self.user is None:
            return
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchown(fd, self.user.pw_uid, self.user.pw_gid)
        finally:
            os.close(fd)

    def can_enter(self, path: Path) -> bool:
        """Says whether this user may pass through all directories above `path`."""
        if self.user is None:
            return True
        for parent in path.absolute().parents:
            if parent.exists():
                entry = parent.stat()
                bit = 0o100 if entry.st_uid == self.user.pw_uid else 0o010 if entry.st_gid == self.user.pw_gid else 0o1
                if not entry.st_mode & bit:
                    return False
        return True


def _set_up_child(parent_pid: int) -> None:
    # Core files would have the password in them. A unit may forbid the call; it has LimitCORE=0 itself.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A login shell's soft limit may be lower than what Chromium opens.
    with contextlib.suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    die_with_parent(parent_pid)


def choose_browser_user() -> RunAs:
    """Chooses an unprivileged user when we are root.

    Raises:
        BrowserUnavailable: the machine has none of the users that this could be.
    """
    if os.geteuid() != 0:
        return RunAs(user=None)
    for name in UNPRIVILEGED_USERS:
        with contextlib.suppress(KeyError):
            return RunAs(user=pwd.getpwnam(name))
    raise BrowserUnavailable("Chromium runs sandboxed, so not as root, and there is no user `ibkr` or `nobody`")


def is_browser(pid: int) -> bool:
    """Says whether a process that lives is of a browser, or its driver."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("chrom")
    except OSError:
        return False


def browser_environment(home: Path, temporary: Path) -> dict[str, str]:
    """Returns all that the browser gets from our environment: no credentials directory, no notify socket, no proxy."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
    return {
        "PATH": os.defpath,
        **kept,
        "TMPDIR": str(temporary),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "SE_OFFLINE": "true",
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "DBUS_SYSTEM_BUS_ADDRESS": "disabled:",
    }


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Keeps SIGTERM and SIGINT waiting: cleaning up is done to the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _parent_pids() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return parents


def find_browser_processes(among: int | None = None) -> set[int]:
    """Returns the processes below `among` (default: this process) that are of a browser or its driver."""
    parents = _parent_pids()
    below: set[int] = set()
    frontier = {os.getpid() if among is None else among}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier} - below
        below |= frontier
    return {pid for pid in below if is_browser(pid)}


def _kill_group(group: int | None) -> bool:
    if group is None:
        return False
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def kill_all(excluded_pids: set[int], *, group: int | None = None, timeout_s: float = 5.0) -> bool:
    """Kills and reaps our browser processes but `excluded_pids`; False if one resists (it hangs in the kernel).

    `group` is the driver's process group: a unit that hides processes from each other hides the sandboxed ones from
    us, their signals it does not.
    """

    def are_gone() -> bool:
        is_group_alive = _kill_group(group)
        left = find_browser_processes() - excluded_pids
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in {*left, *({group} if group else ())}:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        # One whose parent ends during a scan is not below us for that scan, and is our child in the next one.
        return not left and not is_group_alive and not find_browser_processes() - excluded_pids

    return poll_until(are_gone, timeout_s, 0.01)
