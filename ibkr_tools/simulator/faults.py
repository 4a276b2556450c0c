"""Trouble on order: which calls fail, how, and how often. Pure bookkeeping."""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import msgspec

__all__ = ["Fault", "FaultInjector", "FaultKind"]

FaultKind = Literal["status", "hang", "html", "truncate", "split", "close", "slow", "json", "half"]


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One fault. `path` is a shell pattern on the path below `/v1/api` (or the whole path, as `/sso/Login`).

    `count` calls are hit, None means until cleared; in either case no longer than `until` (simulated seconds since
    the epoch), which the control port also takes as `for_s`, simulated seconds from now. `status` is used by kinds
    `status`, `json` and `html`, `body` by `json` (any JSON) and `status` (text), `delay_s` (real seconds) by `slow`.
    The first three take `headers` too, such as Retry-After. `half` ends in the middle of its JSON, whole as HTTP goes.
    """

    path: str
    kind: FaultKind
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    status: Annotated[int, msgspec.Meta(ge=200, le=699)] = 200
    body: Any = None
    delay_s: Annotated[float, msgspec.Meta(ge=0)] = 2.0
    method: str | None = None
    headers: dict[str, str] = {}
    until: float | None = None
    hits: int = 0


class FaultInjector:
    """The faults that are switched on, oldest first; the first one that fits is used."""

    def __init__(self) -> None:
        """Start without trouble."""
        self.faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Switch on one fault."""
        self.faults.append(fault)

    def clear(self, path: str | None = None) -> int:
        """Switch off the faults with exactly this pattern, or all; return how many."""
        kept = [] if path is None else [fault for fault in self.faults if fault.path != path]
        removed = len(self.faults) - len(kept)
        self.faults = kept
        return removed

    def expire(self, now: float) -> bool:
        """Switch off the faults whose time is over; say whether there were any."""
        kept = [fault for fault in self.faults if fault.until is None or now < fault.until]
        over = len(kept) < len(self.faults)
        self.faults = kept
        return over

    def find(self, method: str, path: str, short_path: str) -> Fault | None:
        """Return the fault that would hit this call."""
        for fault in self.faults:
            fits = fnmatchcase(path, fault.path) or fnmatchcase(short_path, fault.path)
            if fits and (fault.method is None or fault.method.upper() == method):
                return fault
        return None

    def take(self, method: str, path: str, short_path: str) -> Fault | None:
        """Return the fault that hits this call, and count it."""
        fault = self.find(method, path, short_path)
        if fault is not None:
            fault.hits += 1
            if fault.count is not None and fault.hits >= fault.count:
                self.faults.remove(fault)
        return fault
