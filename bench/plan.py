"""What goes wrong in a month besides the losses: maintenance, an outage, a day without logins."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bench.virtual import UPTIME_S
from bench.witness import Outage

START = datetime(2027, 3, 1, 12, tzinfo=UTC)
"""A Monday; America's summer time begins within the month, and Europe's."""

NEW_YORK = ZoneInfo("America/New_York")
DAY_S = 86_400.0
HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will go wrong, besides the losses; hours since the start, and how long."""

    maintenance: tuple[tuple[str, float, float], ...]
    outage: tuple[float, float]
    refused: tuple[float, float]

    def outages(self) -> list[Outage]:
        """Returns the planned outages on the virtual clock."""
        spans = [(f"maintenance ({kind})", begin_h, hours) for kind, begin_h, hours in self.maintenance]
        spans += [("outage", *self.outage), ("503 on login", *self.refused)]
        return [
            Outage(name, UPTIME_S + begin_h * HOUR_S, UPTIME_S + (begin_h + hours) * HOUR_S)
            for name, begin_h, hours in spans
        ]


def plan_of(days: float) -> Plan:
    """Returns the month's plan, or its like for fewer days: the same troubles, shorter."""
    if days >= 28:
        weekends = (("503", _hours_until(5, 23), 4.0), ("500", _hours_until(19, 23), 4.0))
        return Plan(maintenance=weekends, outage=(10 * 24.0 + 3, 6.0), refused=(15 * 24.0, 24.0))
    hours = days * 24
    return Plan(
        maintenance=(("503", 0.3 * hours, 1.0), ("500", 0.7 * hours, 1.0)),
        outage=(0.15 * hours, 1.0),
        refused=(0.45 * hours, 3.0),
    )


def _hours_until(day: int, hour: int) -> float:
    """Returns the hours from the start to an hour of New York's clock on a day of March."""
    return (datetime(2027, 3, day, hour, tzinfo=NEW_YORK) - START).total_seconds() / 3600
