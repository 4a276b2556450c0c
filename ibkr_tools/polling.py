"""Waits for a condition that nobody announces: only this module calls `time.sleep`."""

import time
from collections.abc import Callable

__all__ = ["poll_until"]


def poll_until(condition: Callable[[], object], timeout_s: float, step_s: float) -> bool:
    """Says whether `condition` holds within `timeout_s` seconds; tries it at once, and every `step_s` after that."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if (left_s := deadline_s - time.monotonic()) <= 0:
            return False
        time.sleep(min(step_s, left_s))
    return True
