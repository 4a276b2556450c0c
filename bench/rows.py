"""Which losses a run goes through: their names in the table, how often each is tried, what medians shall stay below."""

import math
from dataclasses import dataclass

from bench.loss import HANG_S, Kind


@dataclass(frozen=True)
class Row:
    """One kind of loss; `share` of the rounds are spent on it, and the medians shall stay below `*_s`, in seconds.

    `rested`: it comes as alone as in real life, more than a minute after the last validation.
    """

    kind: Kind
    name: str
    share: float
    noticed_s: float | None = None
    served_s: float | None = None
    rested: bool = False

    def times(self, rounds: int) -> int:
        """Returns how often it is tried, once at least."""
        return math.ceil(self.share * rounds)


PUSHED = "session dropped, pushed"
PUSHED_AGAIN = f"{PUSHED}, within a minute of the last"
SILENT = "session dropped, silently"
JAVA_KILLED = "gateway's Java killed"

PORTFOLIO = (
    Row("sts", PUSHED, 0.6, 1, 4, rested=True),
    Row("sts", PUSHED_AGAIN, 0.6, 1),
    Row("close", "session dropped, socket closed", 0.4, 1, 4, rested=True),
    Row("expired", "session expired", 0.4, 1, 4, rested=True),
    Row("fetch", "session dropped, a fetch meets it", 0.5),
    Row("silent", SILENT, 0.5, 30),
    Row("java-killed", JAVA_KILLED, 0.5, 1),
    Row("java-hung", "gateway's Java hangs", 0.2),
    Row("servers-hang", f"IBKR's servers hang for {HANG_S:.0f} s", 0.2),
)
"""What befalls a user of the portfolio tier."""

BROKERAGE = (Row("brokerage", "brokerage tier lost", 0.5, 1),)
"""What befalls, besides, a user who wants both tiers."""
