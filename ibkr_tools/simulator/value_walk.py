"""Made-up values of the past, the same ones for the same seed."""

import random
from collections.abc import Sequence
from datetime import date

__all__ = ["walk_back"]


def walk_back(value: float, days: Sequence[date], seed: str) -> list[float]:
    """Return what was worth `value` at the end of the last of these days at the end of each of them."""
    values = [value]
    for day in reversed(days[1:]):
        value /= 1 + random.Random(f"{seed}:{day}").uniform(-0.012, 0.0125)
        values.append(value)
    return values[::-1]
