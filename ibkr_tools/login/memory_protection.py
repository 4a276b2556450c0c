"""Keeps what is in memory, such as a password, from core files, and from other processes of the same user."""

import contextlib
import ctypes
import resource

_PR_SET_DUMPABLE = 4
_libc = ctypes.CDLL(None, use_errno=True)


def forbid_core_files() -> None:
    """Lets neither this process nor any that it starts leave a core file.

    A unit may forbid the call; it has LimitCORE=0 itself.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hide_memory(*, hidden: bool = True) -> None:
    """Keeps this process from being traced or dumped, and its /proc/PID/mem and environ from being read, but by root.

    Programs that it starts are not hidden: execve(2) resets it. It also holds where a core file goes to a program
    (core_pattern with `|`), which the kernel does not ask for the limit. A hidden process cannot write its own
    /proc/self/uid_map. Source: PR_SET_DUMPABLE in prctl(2), core(5).
    """
    _libc.prctl(_PR_SET_DUMPABLE, 0 if hidden else 1, 0, 0, 0)
