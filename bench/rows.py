"""Which losses a run goes through: their names in the table, how often each is tried, what medians shall stay below."""

import math
from dataclasses import dataclass

from bench.loss import HANG_S, Kind


@dataclass(frozen=True)
class Row:
    """One kind of loss; `share` of the rounds are spent on it, and the medians shall stay below `*_s`, in seconds."""

    kind: Kind
    name: str
    share: float
    noticed_s: float | None = None
    served_s: float | None = None

    def times(self, rounds: int) -> int:
        """Returns how often it is tried, once at least."""
        return math.ceil(self.share * rounds)


PUSHED = "session dropped, pushed"
SILENT = "session dropped, silently"
JAVA_KILLED = "gateway's Java killed"

PORTFOLIO = (
    Row("sts", PUSHED, 1, 1, 4),
    Row("close", "session dropped, socket closed", 0.5, 1, 4),
    Row("expired", "session expired", 0.5, 1, 4),
    Row("fetch", "session dropped, a fetch meets it", 0.5),
    Row("silent", SILENT, 0.5, 30),
    Row("java-killed", JAVA_KILLED, 0.5, 1),
    Row("java-hung", "gateway's Java hangs", 0.2),
    Row("servers-hang", f"IBKR's servers hang for {HANG_S:.0f} s", 0.2),
)
"""What befalls a user of the portfolio tier."""

BROKERAGE = (Row("brokerage", "brokerage tier lost", 0.5, 1),)
"""What befalls, besides, a user who wants both tiers."""
