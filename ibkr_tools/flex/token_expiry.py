"""When a person is told that the token ends soon: 14, 7, 3 and 1 days before, and when it is over. Pure."""

from datetime import date

WARNING_DAYS = (14, 7, 3, 1)


def warning_stage(expires: date | None, today: date) -> int | None:
    """Returns the smallest of the warnings that are due, in days; 0: the last day is over; None: none is due."""
    if expires is None:
        return None
    left = (expires - today).days
    if left < 0:
        return 0
    return min((days for days in WARNING_DAYS if left <= days), default=None)


def describe_expiry(expires: date, stage: int) -> str:
    """Returns what is said about it; a text for each stage, so that each is told once."""
    if stage == 0:
        return f"the token of the Flex Web Service has ended on {expires}"
    return f"the token of the Flex Web Service ends on {expires}, in {stage} day{'' if stage == 1 else 's'} or less"
