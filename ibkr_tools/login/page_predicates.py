"""What a snapshot of the login page shows, as far as it takes more than one visible element to say so. Pure."""

import re

from ibkr_tools.login.page_snapshot import PageSnapshot, count_second_factors
from ibkr_tools.login.page_vocabulary import says
from ibkr_tools.login.redaction import unredacted
from ibkr_tools.page_elements import PageElement, SecondFactor

__all__ = ["MAINTENANCE", "is_unstyled", "wants_passkey", "wants_review"]

MAINTENANCE = re.compile(
    r"maintenance|temporarily unavailable|systems? (is |are )?(currently )?(unavailable|not available)|"
    r"try again later",
    re.IGNORECASE,
)
"""What IBKR's pages say while its servers are down on purpose."""

MIN_UNSTYLED_FACTORS = 3
"""The page shows one second factor at a time; so many beside the form mean that nothing hides them."""

_FORM_FIELDS = frozenset({PageElement.USERNAME, PageElement.PASSWORD})


def is_unstyled(snapshot: PageSnapshot) -> bool:
    """Whether the blocks that are hidden by style are not: then visibility says nothing."""
    return PageElement.USERNAME in snapshot.visible and count_second_factors(snapshot) >= MIN_UNSTYLED_FACTORS


def wants_passkey(snapshot: PageSnapshot) -> bool:
    """Whether a passkey is asked for or to be made, and nothing else is possible."""
    if snapshot.second_factor is not None or not _FORM_FIELDS.isdisjoint(snapshot.visible):
        return snapshot.second_factor is SecondFactor.FIDO
    return says(_everything(snapshot), "passkey")


def wants_review(snapshot: PageSnapshot) -> bool:
    """Whether the data of the account are to be looked through, as IBKR asks once a year."""
    has_form = snapshot.second_factor is not None or not _FORM_FIELDS.isdisjoint(snapshot.visible)
    return not has_form and says(_everything(snapshot), "review")


def _everything(snapshot: PageSnapshot) -> str:
    return f"{unredacted(snapshot.headline)} | {unredacted(snapshot.text)}"
