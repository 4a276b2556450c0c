"""A throw-away machine: a root file system, by default this machine's own, booted in a container with systemd as PID 1.

The root is the lower layer of an overlay whose upper layer is a tmpfs: whatever happens inside is gone afterwards
and never touches that root. The network is the container's own and leads nowhere.
It is not a virtual machine: kernel, clock and processors are the real ones, and memory limits are not enforced
where the host has its memory controller elsewhere.

Needs root, and systemd-nspawn here; systemd and dbus there. Source: systemd-nspawn(1), observed on systemd 252 with
252 and 257 inside.
"""

import contextlib
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.support.patience import run_patiently, slowdown

REQUIRED_PROGRAMS = ("systemd-nspawn", "nsenter", "mount", "umount")

# Units of the host that would only make a boot slower, or wait for a network that is not there.
_UNWANTED_UNITS = (
    "systemd-timesyncd.service",
    "systemd-networkd-wait-online.service",
    "NetworkManager-wait-online.service",
)

_UNIFIED_CGROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup"))

# With --keep-unit nspawn leaves the second half of a reboot to whoever started it, and says so by this code.
_REBOOT = 133

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


_T = TypeVar("_T")

# Python has no setns() before 3.12. Source: setns(2).
_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


class ContainerError(AssertionError):
    """The container did not boot, or a command in it failed; the message carries its output."""


def has_program(root: Path, name: str) -> bool:
    """Says whether a root file system has a program; a link counts, wherever it leads as seen from outside."""
    return any(os.path.lexists(root / folder / name) for folder in ("usr/bin", "usr/sbin"))


def missing_needs(root: Path, programs: tuple[str, ...]) -> list[str]:
    """Returns what this machine lacks for booting a container, and `root` for being booted; empty if nothing.

    Args:
        root: the root file system to boot.
        programs: what has to be there besides systemd and dbus.
    """
    lacking = [name for name in REQUIRED_PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0:
        lacking.append("root")
    if not (root / "usr/lib/systemd/systemd").exists():
        lacking.append("systemd")
    return lacking + [name for name in ("dbus-daemon", *programs) if not has_program(root, name)]


def wait_until(
    what: str,
    condition: Callable[[], _T],
    *,
    within_s: float,
    every_s: float = 0.1,
) -> _T:
    """Returns the first true answer of `condition`, asked after `every_s` seconds, and less often the longer it takes.

    Most conditions start a process inside to look: what takes a minute is not asked for a thousand times.

    Raises:
        ContainerError: none came within `within_s` seconds of a quiet machine; the message says what was waited for.
    """
    begun, limit_s = time.monotonic(), within_s
    while not (answer := condition()):
        limit_s = max(limit_s, min(within_s * slowdown(), within_s + _MOST_LONGER_S))
        if time.monotonic() - begun > limit_s:
            raise ContainerError(f"waited {limit_s:g} s in vain for: {what}")
        time.sleep(every_s)
        every_s = max(every_s, min(every_s * _SLOWER, _SELDOM_S))
    return answer


_SLOWER, _SELDOM_S = 1.2, 0.2
_MOST_LONGER_S = 300.0
"""However busy the machine is: what waits in vain holds up all tests after it."""


class Container:
    """One throw-away machine; booted by entering the context, gone without a trace after it.

    Attributes:
        root: its root file system as seen from outside: files written there are seen inside at once.
        boot_s: how long it took to boot.
    """

    def __init__(self, base: Path = Path("/"), name: str = "ibkr-tools-test") -> None:
        """Boots nothing yet. `base` is the root file system to boot; it is only read."""
        self.name = f"{name}-{os.getpid()}"
        self._lower = base
        self._base = Path()
        self.root = Path()
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._cgroups: list[Path] = []
        self._leader: int | None = None
        self.boot_s = 0.0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.callback(self._clean_up)
            self._mount()
            self._boot()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean_up()

    # The file system.

    def _mount(self) -> None:
        self._base = Path(tempfile.mkdtemp(prefix="ibkr-tools-container-"))
        _call("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(self._base))
        for part in ("upper", "work", "root"):
            (self._base / part).mkdir()
        layers = f"lowerdir={self._lower},upperdir={self._base}/upper,workdir={self._base}/work"
        self.root = self._base / "root"
        _call("mount", "-t", "overlay", "-o", layers, "overlay", str(self.root))
        units = self.root / "etc/systemd/system"
        for wants in units.glob("*.wants"):
            shutil.rmtree(wants)
        for unit in _UNWANTED_UNITS:
            (units / unit).unlink(missing_ok=True)
            (units / unit).symlink_to("/dev/null")
        # In an image of Docker it forbids packages to start anything.
        (self.root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
        # Without an id systemd takes this for a first boot and enables every unit it finds.
        (self.root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        (self.root / "etc/hostname").write_text("container\n")
        # Java asks for the address of the machine's own name and fails without one.
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost container\n")
        # The journal of before a reboot is wanted after it.
        (self.root / "var/log/journal").mkdir(parents=True, exist_ok=True)
        # The host's file may be bind-mounted and lead to a resolver that is not there.
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run").mkdir(exist_ok=True)

    # The processes.

    def _make_cgroups(self) -> None:
        """Gives the container a cgroup of its own: two of them in one would be told to share `payload`."""
        for hierarchy in _UNIFIED_CGROUPS:
            if (hierarchy / "cgroup.procs").exists():
                group = hierarchy / self.name
                group.mkdir(exist_ok=True)
                self._cgroups.append(group)

    def _boot(self) -> None:
        self._make_cgroups()
        started = time.monotonic()
        self._spawn()
        self._wait_booted()
        self.boot_s = time.monotonic() - started

    def _spawn(self) -> None:
        self._leader = None
        groups = [str(group / "cgroup.procs") for group in self._cgroups]
        join = "".join(f"echo $$ >{shlex.quote(group)} && " for group in groups)
        spawn = shlex.join(
            [
                "systemd-nspawn",
                "--quiet",
                "--boot",
                f"--directory={self.root}",
                f"--machine={self.name}",
                # No systemd on the host to register with.
                "--register=no",
                "--keep-unit",
                "--private-network",
                # IPAddressDeny= is a BPF program, the firewall wants netfilter.
                "--system-call-filter=bpf",
                "--capability=CAP_BPF,CAP_NET_ADMIN",
                "--resolv-conf=off",
                "--timezone=off",
                "--link-journal=no",
                "--console=pipe",
            ]
        )
        with (self._base / "console.log").open("ab") as console:
            self._nspawn = subprocess.Popen(
                ["/bin/sh", "-c", f"{join}exec {spawn}"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**_ENVIRONMENT, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )

    def _wait_booted(self) -> None:
        def booted() -> bool:
            if self._nspawn is None or self._nspawn.poll() is not None:
                raise ContainerError(f"the container ended while booting:\n{self.console()}")
            self._leader = self._find_leader()
            if self._leader is None:
                return False
            state = self.run("systemctl is-system-running", check=False).stdout.strip()
            return state in {"running", "degraded"}

        wait_until("the container to boot", booted, within_s=60)

    def _find_leader(self) -> int | None:
        """Returns the process that is PID 1 inside, as numbered outside."""
        assert self._nspawn is not None
        pid = self._nspawn.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        except OSError:
            return None
        for child in children:
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{child}/status").read_text(encoding="ascii")
                numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
                if numbers[-1] == "1" and len(numbers) > 2 and Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    return int(child)
        return None

    @property
    def leader(self) -> int:
        """The process that is PID 1 inside, as numbered outside."""
        if self._leader is None:
            raise ContainerError("the container is not running")
        return self._leader

    def reboot(self) -> float:
        """Reboots, waits until the machine is up again, and returns the seconds it took."""
        started = time.monotonic()
        nspawn = self._nspawn
        assert nspawn is not None
        self.run("systemctl --no-block reboot", check=False)
        wait_until("the end before the reboot", lambda: nspawn.poll() is not None, within_s=60)
        if (code := nspawn.returncode) != _REBOOT:
            raise ContainerError(f"the container ended with {code} instead of rebooting:\n{self.console()}")
        self._spawn()
        self._wait_booted()
        return time.monotonic() - started

    def _power_off(self) -> None:
        nspawn = self._nspawn
        if nspawn is None or nspawn.poll() is not None:
            return
        if self._leader is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.run("systemctl --no-block poweroff", check=False, timeout_s=10)
        for sign, patience_s in ((None, 30), (signal.SIGTERM, 10), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            if sign is not None:
                nspawn.send_signal(sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                nspawn.wait(patience_s)
                return

    def _clean_up(self) -> None:
        self._power_off()
        if self._leader is not None:
            # nspawn was killed and its PID 1 was not: then everything inside ends with that one.
            with contextlib.suppress(OSError):
                if Path(f"/proc/{self._leader}/comm").read_text() == "systemd\n":
                    os.kill(self._leader, signal.SIGKILL)
        self._leader = None
        self._nspawn = None
        if self.root != Path():
            subprocess.run(["umount", "--lazy", str(self.root)], check=False, stderr=subprocess.DEVNULL)
        if self._base != Path():
            subprocess.run(["umount", "--lazy", str(self._base)], check=False, stderr=subprocess.DEVNULL)
            with contextlib.suppress(OSError):
                self._base.rmdir()
        for group in self._cgroups:
            for directory, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    Path(directory).rmdir()

    # What a test does.

    def nsenter(self, *command: str) -> list[str]:
        """Returns the command line that runs `command` inside, for a caller with its own Popen."""
        environment = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        return ["nsenter", f"--target={self.leader}", "--all", "--", "env", "-i", *environment, *command]

    def run(
        self, command: str, *, check: bool = True, timeout_s: float = 60, stdin: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a shell command as root inside and returns its result.

        It runs beside the container's units, not in one: the journal does not have it.

        Raises:
            ContainerError: it failed (unless `check` is false); the message has its output.
            subprocess.TimeoutExpired: it took longer than `timeout_s` of a quiet machine.
        """
        result = run_patiently(self.nsenter("/bin/bash", "-c", command), timeout_s=timeout_s, stdin=stdin)
        if check and result.returncode != 0:
            raise ContainerError(
                f"`{command}` ended with {result.returncode}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
            )
        return result

    def output(self, command: str, *, timeout_s: float = 60) -> str:
        """Runs a shell command inside and returns its stdout without the last line end."""
        return self.run(command, timeout_s=timeout_s).stdout.removesuffix("\n")

    def show(self, unit: str, name: str) -> str:
        """Returns one property of a unit, as `systemctl show` prints it."""
        return self.output(f"systemctl show --value --property={name} {shlex.quote(unit)}")

    def inside(self, path: str) -> Path:
        """Returns where the absolute `path` is for a reader outside, as PID 1 sees it: /run and /tmp too."""
        return Path(f"/proc/{self.leader}/root") / path.lstrip("/")

    def in_network(self, action: Callable[[], _T]) -> _T:
        """Calls `action` in a thread whose new sockets belong to the container, and returns its answer."""

        def enter_and_act() -> _T:
            with Path(f"/proc/{self.leader}/ns/net").open("rb") as namespace:
                if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            return action()

        # A thread of its own: the kernel keeps the network per thread, and this one is not used again.
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(enter_and_act).result()

    @property
    def written(self) -> Path:
        """The folder with every file that was written inside, apart from /run and /tmp."""
        return self._base / "upper"

    def copy_in(self, source: Path, target: str) -> None:
        """Copies a file or a folder to the absolute path `target` inside."""
        into = self.root / target.lstrip("/")
        into.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, into, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(source, into)

    def journal(self, *options: str, lines: int = 120) -> str:
        """Returns the end of the journal, newest last, with all that was said until now."""
        show = f"journalctl --quiet --no-pager --output=short-precise --lines={lines} {shlex.join(options)}"
        return self.run(f"journalctl --sync; {show}", check=False).stdout

    def console(self) -> str:
        """Returns what systemd-nspawn and the boot printed."""
        with contextlib.suppress(OSError):
            return (self._base / "console.log").read_text(errors="replace")[-4000:]
        return ""

    def processes(self) -> Iterator["Process"]:
        """Yields every process inside that still exists, seen from outside, threads apart."""
        wanted = Path(f"/proc/{self.leader}/ns/pid").readlink()
        for directory in Path("/proc").iterdir():
            if directory.name.isdigit():
                with contextlib.suppress(OSError):
                    if (directory / "ns/pid").readlink() == wanted:
                        yield Process(directory)


class Process:
    """One process inside a container, seen from outside."""

    def __init__(self, directory: Path) -> None:
        self.pid = int(directory.name)
        self._directory = directory
        self.argv = (directory / "cmdline").read_bytes()
        self.environ = (directory / "environ").read_bytes()
        self.uid = directory.stat().st_uid
        # The name of the program's file: Chromium writes over its argv, and threads over their names.
        self.program = (directory / "exe").readlink().name

    def kill(self, sign: signal.Signals) -> None:
        """Sends a signal from outside."""
        os.kill(self.pid, sign)

    def __repr__(self) -> str:
        return f"{self.pid} (uid {self.uid}): {self.argv.replace(bytes(1), b' ').decode(errors='replace')[:200]}"


def _call(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
