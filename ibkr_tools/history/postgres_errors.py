"""What an error of PostgreSQL, or of libpq, means for whoever wanted the history. Pure."""

from enum import Enum, auto


class ErrorMeaning(Enum):
    """Who has to do something about it."""

    UNAVAILABLE = auto()
    """Nobody: the server is not there, or busy. Another time it may be."""

    CONFIGURATION = auto()
    """Whoever wrote the URL, the password or the rights of the role."""

    DAMAGED = auto()
    """Whoever has changed the tables: they are not as this program makes them."""


_BY_STATE = {
    "0A": ErrorMeaning.CONFIGURATION,
    "21": ErrorMeaning.DAMAGED,
    "22": ErrorMeaning.DAMAGED,
    "23": ErrorMeaning.DAMAGED,
    "25006": ErrorMeaning.CONFIGURATION,
    "28": ErrorMeaning.CONFIGURATION,
    "3D": ErrorMeaning.CONFIGURATION,
    "3F": ErrorMeaning.DAMAGED,
    "42": ErrorMeaning.DAMAGED,
    "42501": ErrorMeaning.CONFIGURATION,
    "44": ErrorMeaning.DAMAGED,
    "XX001": ErrorMeaning.DAMAGED,
    "XX002": ErrorMeaning.DAMAGED,
}
"""By SQLSTATE or its class (PostgreSQL's appendix A); what is not here passes by itself, such as 57P01."""

_OF_CONFIGURATION = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "pg_hba.conf",
    "not permitted to log in",
    "permission denied",
    "invalid ",
    "unrecognized",
    "bad value",
    "not found",
    "could not parse",
    "could not match",
    "could not open",
    "could not read",
    "could not load",
    "certificate",
    "private key",
    "does not support",
    "is not supported",
    "but SSL was required",
    "encryption required",
    "channel binding",
    "requires",
    "too long",
)
"""What libpq and the server say, in English, of what a person has to change before there is a connection."""


def meaning_of(state: str | None, text: str, *, is_operational: bool) -> ErrorMeaning:
    """Returns what an error means.

    Args:
        state: its SQLSTATE; None: it has none, as those before there is a connection, and those of psycopg itself.
        text: what it says.
        is_operational: whether it is one of the database's operation, in the words of DB-API 2.0.
    """
    if state:
        return _BY_STATE.get(state) or _BY_STATE.get(state[:2]) or ErrorMeaning.UNAVAILABLE
    if any(words in text for words in _OF_CONFIGURATION):
        return ErrorMeaning.CONFIGURATION
    return ErrorMeaning.UNAVAILABLE if is_operational else ErrorMeaning.DAMAGED
