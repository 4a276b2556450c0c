"""The error codes of IBKR's Flex Web Service: what each means, what is done about it, and what a person can do. Pure.

Source: docs/reference/flex-service.md#error-codes. Tables that others publish differ, and are wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from ibkr_tools.installation import INSTALL_SERVICES


class ErrorReaction(Enum):
    """What is done about an error."""

    POLL = auto()
    """The statement is being made: ask for it again."""

    NOT_AVAILABLE = auto()
    """There is none for these days, or not yet; some queries answer so to any days that they are asked for."""

    MINUTES = auto()
    """The same request again in some minutes, a few times; then in half an hour."""

    HALF_HOUR = auto()
    """IBKR's figures of the day are not complete: again in half an hour."""

    SLOW_DOWN = auto()
    """Too many requests: none of any process for more than a minute."""

    START_AGAIN = auto()
    """The reference is not known: ask for a new one, once."""

    HOUR = auto()
    """A new token or query may not be known yet: again in an hour, twice; then a person."""

    PERSON = auto()
    """No request until a person has done something."""

    LOCKED = auto()
    """No request at all: each one would prolong it."""


@dataclass(frozen=True)
class ServiceError:
    """One code. `meaning` completes "IBKR says that …"."""

    code: int
    meaning: str
    reaction: ErrorReaction
    hint: str | None = None


RENEWAL_HINT = (
    "Make a new token (Client Portal, Performance & Reports > Flex Queries, gear of Flex Web Service), "
    f'put it into the configuration as "token" in "flex", then {INSTALL_SERVICES}.'
)
_QUERY_HINT = "flex.query must be the number of an Activity Flex Query of the same user who has made the token."

_ROWS = (
    ServiceError(1001, "the statement could not be made at this time", ErrorReaction.MINUTES),
    ServiceError(1003, "there is no statement for these days, or not yet", ErrorReaction.NOT_AVAILABLE),
    ServiceError(1004, "the statement is not complete yet", ErrorReaction.HALF_HOUR),
    ServiceError(1005, "the day's settlements are not ready yet", ErrorReaction.HALF_HOUR),
    ServiceError(1006, "the day's FIFO profits are not ready yet", ErrorReaction.HALF_HOUR),
    ServiceError(1007, "the day's MTM profits are not ready yet", ErrorReaction.HALF_HOUR),
    ServiceError(1008, "the day's MTM and FIFO profits are not ready yet", ErrorReaction.HALF_HOUR),
    ServiceError(1009, "its server is under heavy load", ErrorReaction.MINUTES),
    ServiceError(1010, "the query is of a kind that is no longer served", ErrorReaction.PERSON, _QUERY_HINT),
    ServiceError(
        1011,
        "the Flex Web Service is not enabled",
        ErrorReaction.PERSON,
        "Enable it in Client Portal: Performance & Reports > Flex Queries, gear of Flex Web Service.",
    ),
    ServiceError(1012, "the token has expired", ErrorReaction.PERSON, RENEWAL_HINT),
    ServiceError(
        1013,
        "the token may not be used from this address",
        ErrorReaction.PERSON,
        "The token was bound to another address when it was made. " + RENEWAL_HINT,
    ),
    ServiceError(1014, "the query is invalid", ErrorReaction.PERSON, _QUERY_HINT),
    ServiceError(
        1015,
        "the token is invalid",
        ErrorReaction.PERSON,
        "A newer token has replaced it, or it was mistyped. " + RENEWAL_HINT,
    ),
    ServiceError(
        1016, "the account is invalid", ErrorReaction.PERSON, "See in Client Portal of which accounts the query is."
    ),
    ServiceError(1017, "the reference is invalid", ErrorReaction.START_AGAIN),
    ServiceError(1018, "too many requests were sent", ErrorReaction.SLOW_DOWN),
    ServiceError(1019, "the statement is being made", ErrorReaction.POLL),
    ServiceError(
        1020,
        "the request cannot be validated",
        ErrorReaction.HOUR,
        "A token or a query that was made just now may need an hour. Else one of the two is mistyped.",
    ),
    ServiceError(1021, "the statement could not be retrieved", ErrorReaction.MINUTES),
    ServiceError(
        1025,
        "the token is locked after too many failed requests",
        ErrorReaction.LOCKED,
        "Nothing is sent any more, since each request would prolong it. " + RENEWAL_HINT,
    ),
)

ERRORS: Mapping[int, ServiceError] = {row.code: row for row in _ROWS}
"""IBKR's table, and 1025, which is not in it."""


def service_error(code: int) -> ServiceError:
    """Returns what is known of a code; one that IBKR has added since is taken for trouble that may pass."""
    return ERRORS.get(code) or ServiceError(code, "something that is not known here", ErrorReaction.MINUTES)
