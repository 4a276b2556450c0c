"""What config.example.json has in the place of a user's own name and password: never sent to IBKR."""

from collections.abc import Iterator, Mapping

USERNAME = "readonlyuser"
PASSWORD = "the password of that user"  # noqa: S105  # it is none

PLACE = "is still the example's"


def _is(found: object, text: str) -> bool:
    return isinstance(found, str) and " ".join(found.split()).casefold() == text


def is_password(text: str) -> bool:
    """Says whether `text` is the example's, whatever white space is around it."""
    return _is(text, PASSWORD)


def left_over(configuration: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yields each key whose text is the example's, which nobody has replaced, and one line about it."""
    if _is(configuration.get("username"), USERNAME):
        yield "username", f"{PLACE}; the name of your read-only IBKR user belongs there"
    if _is(configuration.get("password"), PASSWORD):
        yield "password", f"{PLACE}; put the real one there, or take the key out"
