"""A network namespace for this process: a loopback interface of its own, and nothing else that could be reached.

Sources: unshare(2), user_namespaces(7), network_namespaces(7), netdevice(7).
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path

from ibkr_tools.login.memory_protection import hide_memory

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_libc = ctypes.CDLL(None, use_errno=True)


def enter() -> None:
    """Moves this process, which has one thread, into a network of its own; there is no way back.

    Root needs no more than that. Everybody else gets it inside a user namespace in which only he himself is mapped:
    files of others, root's too, then seem to belong to the overflow user (65534).

    Raises:
        OSError: the kernel, or a policy of the machine, does not allow it.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _unshare(_CLONE_NEWNET)
    else:
        # A process that has changed its user is hidden, and could not write its own maps.
        hide_memory(hidden=False)
        _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        Path("/proc/self/setgroups").write_bytes(b"deny")
        Path("/proc/self/uid_map").write_bytes(f"{user} {user} 1".encode())
        Path("/proc/self/gid_map").write_bytes(f"{group} {group} 1".encode())
    _bring_loopback_up()


def find_obstacle() -> OSError | None:
    """Returns why `enter` would fail, None if it would not: tries it in a process that ends at once.

    A policy may let a process make a namespace and then keep it from using it, which could not be undone.
    """
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        return OSError(errno.EINVAL, "the process has several threads")
    child = os.fork()
    if child == 0:
        code = errno.EIO
        try:
            enter()
            code = 0
        except OSError as error:
            code = error.errno or errno.EIO
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return None if code == 0 else OSError(code, os.strerror(code) if code > 0 else f"signal {-code}")


def has_socket(path: str) -> bool:
    """Says whether a Unix socket of that path was made in this process's network: there they are listed, elsewhere not.

    A name that is no path begins with `@`, as in $NOTIFY_SOCKET.

    Raises:
        OSError: there is no /proc.
    """
    lines = Path("/proc/self/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()
    return any(line.split()[-1] == path for line in lines if line.split())


def _unshare(flags: int) -> None:
    if _libc.unshare(flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        # struct ifreq: 16 bytes of name, then a union of 24 bytes.
        request = struct.pack("16sh22x", b"lo", 0)
        _, flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))
