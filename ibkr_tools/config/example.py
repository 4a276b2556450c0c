"""config.example.json: where it is, and what it has in the place of a user's own name and password.

These are never sent to IBKR.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

EXAMPLE_USERNAME = "readonlyuser"
EXAMPLE_PASSWORD = "the password of that user"  # noqa: S105  # it is none

STILL_THE_EXAMPLE = "is still the example's"


_PLACES = (Path(__file__).parent, Path(__file__).parents[2])
"""The wheel carries it inside the package, a checkout at its root."""


def example_file() -> Path:
    """Returns where config.example.json is."""
    return next(
        (file for place in _PLACES if (file := place / "config.example.json").exists()), Path("config.example.json")
    )


def _is_same_text(value: object, text: str) -> bool:
    return isinstance(value, str) and " ".join(value.split()).casefold() == text


def is_password(text: str) -> bool:
    """Says whether `text` is the example's, whatever white space is around it."""
    return _is_same_text(text, EXAMPLE_PASSWORD)


def unreplaced_values(configuration: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yields each key whose text is the example's, which nobody has replaced, and one line about it."""
    if _is_same_text(configuration.get("username"), EXAMPLE_USERNAME):
        yield "username", f"{STILL_THE_EXAMPLE}; the name of your read-only IBKR user belongs there"
    if _is_same_text(configuration.get("password"), EXAMPLE_PASSWORD):
        yield "password", f"{STILL_THE_EXAMPLE}; put the real one there, or take the key out"
