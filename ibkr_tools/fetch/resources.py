"""The names of the parts a snapshot can have."""

import difflib
from collections.abc import Iterable

from ibkr_tools.config import RESOURCES, Resource
from ibkr_tools.errors import UsageError


def require_resources(names: Iterable[str]) -> tuple[Resource, ...]:
    """Returns the names as resources, each once, in the snapshot's order.

    Raises:
        UsageError: a name is none; the message suggests the closest.
    """
    given = list(names)
    for name in given:
        if name not in RESOURCES:
            close = difflib.get_close_matches(name, RESOURCES, n=1)
            raise UsageError(
                f"no resource {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""),
                hint=f"There are {', '.join(RESOURCES)}.",
            )
    return tuple(name for name in RESOURCES if name in given)
