"""How long something takes, in words for a person. Pure."""

import math


def format_wait(seconds: float) -> str:
    """Returns a wait as a person says it: seconds, or minutes from two on; never too short."""
    whole = math.ceil(seconds)
    return f"{whole} s" if whole < 120 else f"{math.ceil(whole / 60)} min"  # noqa: PLR2004
