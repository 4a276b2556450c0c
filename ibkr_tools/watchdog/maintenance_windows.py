"""When IBKR resets or maintains its servers: the published times, by region. Pure data and one function.

Sources: IBKR Campus "Web API v1.0 Documentation" (a session ends at midnight of New York, Zug or Hong Kong, whichever
is nearest) and IBKR's system status page (daily and weekend windows, "applies to trading systems in general").
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = "America/New_York"
ZURICH = "Europe/Zurich"
HONG_KONG = "Asia/Hong_Kong"
FRIDAY = 4


@dataclass(frozen=True)
class MaintenanceWindow:
    """An open window; `ends` is in UTC."""

    name: str
    ends: datetime


@dataclass(frozen=True)
class WindowRule:
    """A window's wall-clock times in its zone; `weekday` None: every day. It lasts past midnight if it ends first."""

    name: str
    zone: str
    begins: time
    ends: time
    weekday: int | None = None

    def open_at(self, now: datetime) -> MaintenanceWindow | None:
        """Returns the window if `now` (aware) is in it."""
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        extra_days = int(self.ends <= self.begins)
        for days_back in range(extra_days + 1):
            day = today - timedelta(days=days_back)
            if self.weekday not in {None, day.weekday()}:
                continue
            # Only in UTC do the hours that summer time skips or repeats have their length; of an hour that comes
            # twice, the second one ends a window.
            begins = datetime.combine(day, self.begins, zone).astimezone(UTC)
            ends = datetime.combine(day + timedelta(days=extra_days), self.ends.replace(fold=1), zone).astimezone(UTC)
            if begins <= now < ends:
                return MaintenanceWindow(self.name, ends)
        return None


_DAILY_RESET = "IBKR's daily reset"
_DAILY_MAINTENANCE = "IBKR's daily maintenance"
WEEKEND = WindowRule("IBKR's weekend maintenance", NEW_YORK, time(23), time(3), FRIDAY)
WINDOW_RULES: dict[str, tuple[WindowRule, ...]] = {
    "america": (
        WindowRule(_DAILY_RESET, NEW_YORK, time(23, 55), time(0, 15)),
        WindowRule(_DAILY_MAINTENANCE, NEW_YORK, time(0, 15), time(1, 45)),
        WEEKEND,
    ),
    "europe": (
        WindowRule(_DAILY_RESET, ZURICH, time(23, 55), time(0, 15)),
        WindowRule(_DAILY_MAINTENANCE, ZURICH, time(6, 25), time(7, 45)),
        WEEKEND,
    ),
    "asia": (
        WindowRule(_DAILY_RESET, HONG_KONG, time(23, 55), time(0, 15)),
        WindowRule(_DAILY_MAINTENANCE, HONG_KONG, time(4, 45), time(6, 5)),
        WindowRule(_DAILY_MAINTENANCE, HONG_KONG, time(20, 15), time(21, 15)),
        WEEKEND,
    ),
}


def open_window(region: str, now: datetime) -> MaintenanceWindow | None:
    """Returns the window that is open at `now` (aware) in a region of the configuration; of several, the longest.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: the machine has no time zone data.
    """
    windows = [window for rule in WINDOW_RULES[region] if (window := rule.open_at(now))]
    return max(windows, key=lambda window: window.ends, default=None)
