"""Noon in New York: IBKR's hours for maintenance, in which logins are minutes apart, are far from every test then."""

from datetime import UTC, datetime

ZONES = "/usr/share/zoneinfo"
NEW_YORK = f"{ZONES}/America/New_York"


def zone_of_noon(now: datetime) -> str:
    """Returns the time zone in which it is about noon; east of Greenwich has a minus there. Source: tzfile(5), Etc."""
    ahead_h = 12 - now.astimezone(UTC).hour
    return f"Etc/GMT{-ahead_h:+d}" if ahead_h else "Etc/GMT"


def noon_in_new_york(now: datetime) -> str:
    """Returns the shell command that sets New York's clocks on a machine that is thrown away."""
    return f"cp --remove-destination {ZONES}/{zone_of_noon(now)} {NEW_YORK}"
