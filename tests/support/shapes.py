"""Compares answers with what is known of their shape."""

from typing import Any

__all__ = ["pick", "require_keys"]


def pick(data: Any, path: str) -> Any:
    """Return a part of an answer: keys and indexes with dots between them; `*` is the first value of an object."""
    for step in filter(None, path.split(".")):
        where = int(step) if isinstance(data, list) else next(iter(data)) if step == "*" else step
        data = data[where]
    return data


def require_keys(data: Any, keys: str) -> None:
    """Fail unless the object has all of `keys` (with spaces between them)."""
    missing = [key for key in keys.split() if key not in data]
    assert not missing, f"{missing} are not in {sorted(data)}"
