"""The browser as a set of processes: which program, as which user, in which profile; and that all of them end."""

import contextlib
import ctypes
import os
import pwd
import resource
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic

from ibkr_tools import command_output, files, programs
from ibkr_tools.errors import BrowserUnavailable

INSTALL = "sudo apt-get install --no-install-recommends chromium chromium-driver chromium-sandbox"
BROWSERS = ("/usr/lib/chromium/chromium", "chromium", "chromium-browser", "google-chrome")
"""Debian's `chromium` on PATH is a shell script that reads /proc/cpuinfo, which a unit with ProcSubset=pid has not."""
DRIVERS = ("chromedriver", "/usr/lib/chromium-browser/chromedriver", "/usr/lib/chromium/chromedriver")
UNPRIVILEGED = ("ibkr", "nobody")
LOCKS = ("SingletonLock", "SingletonSocket", "SingletonCookie")

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The two programs, as paths."""

    browser: Path
    driver: Path


def _found(wanted: str | None, candidates: tuple[str, ...]) -> Path | None:
    for name in (wanted,) if wanted else candidates:
        if path := shutil.which(name):
            return Path(path)
    return None


def find_programs(browser: str | None = None, driver: str | None = None) -> Programs:
    """Finds Chromium and its driver; the arguments name one and only one candidate.

    Raises:
        BrowserUnavailable: one of them is missing, or cannot be started.
    """
    for named in (browser, driver):
        if named is not None and (said := programs.objection(named)):
            raise BrowserUnavailable(said, hint=INSTALL)
    found = (_found(browser, BROWSERS), _found(driver, DRIVERS))
    if found[0] is None:
        raise BrowserUnavailable(f"no Chromium: {browser or ', '.join(BROWSERS)} not found", hint=INSTALL)
    if found[1] is None:
        raise BrowserUnavailable(f"no chromedriver: {driver or ', '.join(DRIVERS)} not found", hint=INSTALL)
    return Programs(browser=found[0], driver=found[1])


def read_version(program: Path) -> str:
    """Returns what `program --version` prints, in one line."""
    try:
        _, said, _ = command_output.ask([os.fspath(program), "--version"], 10)
    except (OSError, OverflowError) as error:
        return f"{program} ({type(error).__name__})"
    return " ".join(said.split()) or f"{program} (says nothing about its version)"


@dataclass(frozen=True, kw_only=True)
class Runner:
    """As whom the browser runs: None is as ourselves. Chromium refuses its own sandbox to root."""

    user: pwd.struct_passwd | None

    @property
    def popen(self) -> dict[str, object]:
        """Arguments for subprocess.Popen: user, own session, no core files, death together with ours."""
        arguments: dict[str, object] = {"start_new_session": True, "preexec_fn": _die_with_parent}
        if self.user is not None:
            arguments |= {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        return arguments

    def owns(self, directory: Path) -> bool:
        """Says whether `directory` is one of this user's; a link is nobody's where the user is not ourselves."""
        entry = directory.stat() if self.user is None else directory.lstat()
        uid = os.geteuid() if self.user is None else self.user.pw_uid
        return stat.S_ISDIR(entry.st_mode) and entry.st_uid == uid

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


def _die_with_parent() -> None:
    # Core files would have the password in them. A unit may forbid the call; it has LimitCORE=0 itself.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def choose_runner() -> Runner:
    """Chooses an unprivileged user when we are root.

    Raises:
        BrowserUnavailable: the machine has none of the users that this could be.
    """
    if os.geteuid() != 0:
        return Runner(user=None)
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            return Runner(user=pwd.getpwnam(name))
    raise BrowserUnavailable("Chromium runs sandboxed, so not as root, and there is no user `ibkr` or `nobody`")


def _is_browser(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("chrom")
    except OSError:
        return False


def clean_profile(profile: Path, *, patience_s: float = 3.0) -> None:
    """Removes the locks that a killed browser left in `profile`.

    Chromium's lock is a link that reads HOST-PID.

    Raises:
        BrowserUnavailable: a living browser uses the profile.
    """
    lock = profile / LOCKS[0]
    deadline = monotonic() + patience_s
    while lock.is_symlink():
        pid = str(lock.readlink()).rpartition("-")[2]
        if not pid.isdigit() or not _is_browser(int(pid)):
            break
        if monotonic() > deadline:
            raise BrowserUnavailable(f"the browser profile {profile} is in use by process {pid}")
        Event().wait(0.1)
    for name in LOCKS:
        (profile / name).unlink(missing_ok=True)


@contextlib.contextmanager
def prepared_profile(wanted: Path, runner: Runner) -> Iterator[Path]:
    """Gives a profile directory that the browser's user owns: the kept one if it is theirs, else one for now.

    What is there already never changes its owner: whoever could put it there would choose what does.
    """
    if runner.can_enter(wanted):
        is_new = not os.path.lexists(wanted)
        files.make_directory(wanted, mode=0o700)
        if is_new:
            _give(wanted, runner)
        if runner.owns(wanted):
            clean_profile(wanted)
            yield wanted
            return
    with tempfile.TemporaryDirectory(prefix="ibkr-browser-", ignore_cleanup_errors=True) as scrap:
        _give(Path(scrap), runner)
        yield Path(scrap)


def _give(directory: Path, runner: Runner) -> None:
    """Gives a directory that we have just made to the browser's user."""
    if runner.user is None:
        return
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(fd, runner.user.pw_uid, runner.user.pw_gid)
    finally:
        os.close(fd)


def environment(home: Path) -> dict[str, str]:
    """Returns all that the browser gets from our environment: no credentials directory, no notify socket, no proxy."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "SE_OFFLINE": "true",
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "DBUS_SYSTEM_BUS_ADDRESS": "disabled:",
    }


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keeps SIGTERM and SIGINT waiting: cleaning up is done to the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def adopt_orphans() -> None:
    """Makes this process the parent of every orphan below it, so that no browser process can slip away."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _parents() -> dict[int, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def browser_processes(among: int | None = None) -> set[int]:
    """Returns the processes below `among` (default: this process) that are of a browser or its driver."""
    parents = _parents()
    below: set[int] = set()
    frontier = {os.getpid() if among is None else among}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier} - below
        below |= frontier
    return {pid for pid in below if _is_browser(pid)}


def _group_lives(group: int | None) -> bool:
    if group is None:
        return False
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end_all(spared: set[int], *, group: int | None = None, patience_s: float = 5.0) -> bool:
    """Kills and reaps all browser processes below us but `spared`; False if one resists (it hangs in the kernel).

    `group` is the driver's process group: a unit that hides processes from each other hides the sandboxed ones from
    us, their signals it does not.
    """
    deadline = monotonic() + patience_s
    while True:
        lives = _group_lives(group)
        left = browser_processes() - spared
        if not left and not lives:
            return True
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in {*left, *({group} if group else ())}:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if monotonic() > deadline:
            return False
        Event().wait(0.01)
