"""The two clocks of a machine, in a test's hands."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["BEGIN", "Clocks"]

BEGIN = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@dataclass
class Clocks:
    """`true_s` is what really passes. The wall's clock can be set; the uptime begins anew with each life."""

    true_s: float = 0.0
    off_by: timedelta = timedelta()
    started_s: float = -7200.0

    @property
    def now(self) -> datetime:
        """What the wall's clock shows."""
        return BEGIN + timedelta(seconds=self.true_s) + self.off_by

    def uptime(self) -> tuple[str, float]:
        """Returns which life of the machine this is, and the seconds since it began."""
        return str(self.started_s), self.true_s - self.started_s

    def wait(self, span: timedelta) -> None:
        """Lets time pass."""
        self.true_s += span.total_seconds()

    def set_wall(self, by: timedelta) -> None:
        """Sets the wall's clock."""
        self.off_by += by

    def restart(self, off: timedelta = timedelta(minutes=1)) -> None:
        """Restarts the machine, which takes as long as that."""
        self.wait(off)
        self.started_s = self.true_s - 5.0
