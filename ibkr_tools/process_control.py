"""prctl(2): who ends with whom, and who inherits whose children."""

import ctypes
import os
import signal

__all__ = ["become_subreaper", "die_with_parent"]

# Source: linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None)


def die_with_parent(parent_pid: int) -> None:
    """Has the kernel send this process SIGKILL when its parent ends; survives execve(2), for a `preexec_fn`."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        # The parent has ended before the kernel was asked.
        os.kill(os.getpid(), signal.SIGKILL)


def become_subreaper() -> None:
    """Makes this process the parent of what its descendants leave behind, in the place of process 1."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
