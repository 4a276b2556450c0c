"""Who listens on a port, from what the kernel shows of itself."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ibkr_tools.errors import ConfigError, PortTaken

_LISTEN = "0A"
# Columns of /proc/net/tcp: local address, state, uid, inode. Source: proc(5).
_ADDRESS, _STATE, _UID, _INODE = 1, 3, 7, 9


def _listeners(port: int, proc: Path) -> dict[str, int]:
    """Returns inode and user id of every socket that listens on `port`."""
    found = {}
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "self/net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[_STATE] == _LISTEN and int(fields[_ADDRESS].rpartition(":")[2], 16) == port:
                found[fields[_INODE]] = int(fields[_UID])
    return found


def _holder(inodes: set[str], proc: Path) -> tuple[int, str] | None:
    """Returns process id and name of one that has such a socket open; None if we may not see it."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in proc.iterdir():
        if not process.name.isdecimal():
            continue
        try:
            if any(str(entry.readlink()) in wanted for entry in (process / "fd").iterdir()):
                return int(process.name), (process / "comm").read_text().strip()
        except OSError:
            # Gone meanwhile, or another user's.
            continue
    return None


def describe_owner(port: int, proc: Path = Path("/proc")) -> str:
    """Returns who listens on `port`, as exactly as we may know: program and pid, else the user, else "somebody"."""
    listeners = _listeners(port, proc)
    if holder := _holder(set(listeners), proc):
        pid, name = holder
        return f"{name} (pid {pid})"
    for uid in listeners.values():
        import pwd

        try:
            return f"a program of the user {pwd.getpwuid(uid).pw_name}"
        except KeyError:
            return f"a program of the user id {uid}"
    return "another program"


@contextmanager
def held(port: int) -> Iterator[None]:
    """Listens on `port` of every address for the length of the block: Java could, too, when it is over.

    Raises:
        PortTaken: somebody listens there; says who.
        ConfigError: this user may not listen there.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As Java does, so that connections of a gateway that has just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104  # the jar listens on every address
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
