"""Who listens on a port, from what the kernel shows of itself."""

import errno
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools.errors import ConfigError, PortTaken

_LISTEN, _TIME_WAIT = "0A", "06"
# Columns of /proc/net/tcp: local address, state, uid, inode. Source: proc(5).
_ADDRESS, _STATE, _UID, _INODE = 1, 3, 7, 9


@dataclass(frozen=True)
class _ProcSocket:
    """One that the kernel lists; `uid` is whose."""

    inode: str
    uid: int
    listens: bool


def _sockets(port: int, proc: Path) -> list[_ProcSocket] | None:
    """Returns the sockets on `port` of this machine, those that listen or are connected; None where nobody tells.

    One that is only bound is in no table.
    """
    sockets, is_readable = list[_ProcSocket](), False
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "self/net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        is_readable = True
        sockets += [
            _ProcSocket(fields[_INODE], int(fields[_UID]), fields[_STATE] == _LISTEN)
            for fields in map(str.split, lines)
            # What is over belongs to nobody.
            if fields[_STATE] != _TIME_WAIT and int(fields[_ADDRESS].rpartition(":")[2], 16) == port
        ]
    return sockets if is_readable else None


def _holder(inodes: set[str], proc: Path) -> tuple[int, str] | None:
    """Returns process id and name of one that has such a socket open; None if we may not see it."""
    links = {f"socket:[{inode}]" for inode in inodes}
    for process in proc.iterdir():
        if not process.name.isdecimal():
            continue
        try:
            if any(str(entry.readlink()) in links for entry in (process / "fd").iterdir()):
                return int(process.name), (process / "comm").read_text(errors="replace").strip()
        except OSError:
            # Gone meanwhile, or another user's.
            continue
    return None


@dataclass(frozen=True)
class Listener:
    """Who listens on a port: whose the sockets are, and the process that has one open where we may see it."""

    uids: tuple[int, ...]
    pid: int | None


def listener(port: int, proc: Path = Path("/proc")) -> Listener | None:
    """Returns who listens on `port`; None where nobody does, or nobody tells."""
    sockets = [entry for entry in _sockets(port, proc) or () if entry.listens]
    if not sockets:
        return None
    holder = _holder({entry.inode for entry in sockets}, proc)
    return Listener(uids=tuple(sorted({entry.uid for entry in sockets})), pid=holder[0] if holder else None)


def unit_of(pid: int, proc: Path = Path("/proc")) -> str | None:
    """Returns the system's service that a process belongs to; None where it belongs to none, or is gone.

    Below a service, a scope and the manager of a user (`user@1000.service`) others make control groups, and name them
    as they like.
    """
    try:
        lines = (proc / str(pid) / "cgroup").read_text(errors="replace").split("\n")
    except OSError:
        return None
    for line in lines:
        names = line.split("/")[1:]
        name = next((name for name in names if not name.endswith(".slice")), "")
        if _SERVICE.fullmatch(name) and not name.startswith("user@"):
            return name
    return None


_SERVICE = re.compile(r"[A-Za-z0-9:_.\\@-]+\.service")
"""See systemd.unit(5)."""


def describe_owner(port: int, proc: Path = Path("/proc")) -> str:
    """Returns who has `port`, as exactly as we may know: program and pid, else the user, else that there is one."""
    sockets = _sockets(port, proc)
    if sockets is None:
        return "another program"
    if not sockets:
        return "a program that has reserved it and does not listen; the kernel does not tell which"
    if listeners := [entry for entry in sockets if entry.listens]:
        return _describe_process(listeners, proc)
    return f"a connection of {_describe_process(sockets, proc)}"


def _describe_process(sockets: list[_ProcSocket], proc: Path) -> str:
    if holder := _holder({entry.inode for entry in sockets}, proc):
        pid, name = holder
        return f"{name} (pid {pid})"
    import pwd

    uid = sockets[0].uid
    try:
        return f"a program of the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"a program of the user id {uid}"


@contextmanager
def listening_on(port: int, *, both_families: bool = False) -> Iterator[None]:
    """Listens on `port` of every address for the length of the block: Java could, too, when it is over.

    `both_families`: of IPv6 too, as Java does that is not told to use IPv4 alone.

    Raises:
        PortTaken: somebody listens there; says who.
        ConfigError: this user may not listen there.
    """
    with _make_socket(both_families=both_families) as probe:
        # As Java does, so that connections of a gateway that has just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("::" if probe.family == socket.AF_INET6 else "0.0.0.0", port))  # noqa: S104  # as the jar does
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"port {port} is taken by {describe_owner(port)}",
                    hint='End that program, or choose another "gateway.port" in config.json.',
                ) from error
            raise ConfigError(
                f"port {port}: {error.strerror}", hint='Choose a "gateway.port" from 1024 up in config.json.'
            ) from error
        yield


def _make_socket(*, both_families: bool) -> socket.socket:
    """Makes a socket that can listen on every address; of IPv4 alone where the kernel has no IPv6."""
    if both_families:
        with suppress(OSError):
            both = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            return both
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
