"""Counts what falls into a second, as IBKR does."""

__all__ = ["TINY", "most_in_a_second"]

TINY = 1e-6
"""Seconds; adding and taking away floats may differ in the last digit."""


def most_in_a_second(slots: list[float]) -> int:
    """Returns the largest number of slots that fall into one second."""
    return max((sum(1 for other in slots if slot <= other < slot + 1.0 - TINY) for slot in slots), default=0)
