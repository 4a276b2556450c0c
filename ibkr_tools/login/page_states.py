"""The states of IBKR's login page: one row says how a state is recognised, what it means and what is done. Pure.

`classify`, what `login_form`, `login_flow` and `page_handlers` do, and the table in docs/login.md are derived from
these rows (`python -P -m tests.support.login_tables` writes the table). How an element is found on the page is said in
`ibkr_tools.page_elements`.
"""

from dataclasses import replace
from enum import StrEnum
from http import HTTPStatus
from typing import Self

from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_predicates import MAINTENANCE, is_unstyled, wants_passkey, wants_review
from ibkr_tools.login.page_snapshot import PageSnapshot
from ibkr_tools.login.page_state_policy import PageStatePolicy, Reaction, SessionBehind
from ibkr_tools.login.redaction import unredacted
from ibkr_tools.page_elements import PageElement

__all__ = [
    "BLOCKING_ELEMENTS",
    "FORM",
    "SUCCESS_TEXT",
    "PageState",
    "classify",
]

SUCCESS_TEXT = "Client login succeeds"
"""Written by the gateway itself, when IBKR answered the last step with a redirect; no proof of a session."""


class PageState(StrEnum):
    """What the page shows, as far as the next step is concerned; of several states the first one counts.

    A maintenance note above a usable form is information only: the form counts.
    """

    policy: PageStatePolicy

    PENDING = (
        "no answer yet",
        PageStatePolicy(
            elements=(),
            predicate=lambda snapshot: not unredacted(snapshot.url).startswith(("http", "chrome-error:")),
            reaction=Reaction.WAIT,
            blocks_form=False,
            session=SessionBehind.UNLIKELY,
            patience="unexpected",
            needs_parts=False,
            outcome=Outcome.UNREACHABLE,
            why="no answer: the gateway does not reach IBKR, or hangs",
        ),
    )
    UNREACHABLE = (
        "the browser's own error page",
        PageStatePolicy(
            elements=(),
            predicate=lambda snapshot: snapshot.is_browser_error and not snapshot.is_bad_status,
            reaction=Reaction.REOPEN,
            blocks_form=False,
            session=SessionBehind.LIKELY,
            patience="unexpected",
            needs_parts=False,
            outcome=Outcome.UNREACHABLE,
            why="the browser could not open the gateway's login page ({snapshot.net_error})",
        ),
    )
    DENIED = (
        "access denied",
        PageStatePolicy(
            elements=(),
            predicate=lambda snapshot: unredacted(snapshot.text) == "Access Denied",
            reaction=Reaction.PERSON,
            blocks_form=False,
            session=SessionBehind.NO,
            patience="none",
            needs_parts=False,
            outcome=Outcome.DENIED,
            why="the gateway answers Access Denied to this machine (127.0.0.1)",
        ),
    )
    RESTRICTED = (
        "a verification page",
        PageStatePolicy(
            elements=(PageElement.RESTRICTED,),
            predicate=lambda snapshot: "/restricted/" in snapshot.unredacted_path,
            reaction=Reaction.PERSON,
            blocks_form=True,
            session=SessionBehind.POSSIBLE,
            patience="none",
            needs_parts=False,
            outcome=Outcome.RESTRICTED,
            why="IBKR wants to verify who this is, by e-mail",
        ),
    )
    UNSTYLED = (
        "a page without its style",
        PageStatePolicy(
            elements=(),
            predicate=is_unstyled,
            reaction=Reaction.WAIT,
            blocks_form=False,
            session=SessionBehind.UNLIKELY,
            patience="unexpected",
            needs_parts=True,
            outcome=Outcome.BLANK_PAGE,
            why="the login page stayed a page without its style",
        ),
    )
    CONSENT = (
        "a consent layer",
        PageStatePolicy(
            elements=(PageElement.CONSENT,),
            predicate=None,
            reaction=Reaction.HIDE,
            blocks_form=True,
            session=SessionBehind.UNLIKELY,
            patience="total",
            needs_parts=False,
            outcome=Outcome.UNKNOWN_PAGE,
            why="{place} there was a consent layer",
        ),
    )
    PROMO = (
        "an advert",
        PageStatePolicy(
            elements=(PageElement.PROMO,),
            predicate=None,
            reaction=Reaction.SKIP,
            blocks_form=True,
            session=SessionBehind.UNLIKELY,
            patience="total",
            needs_parts=False,
            outcome=Outcome.UNKNOWN_PAGE,
            why="{place} there was an advert",
        ),
    )
    PASSKEY = (
        "the demand for a passkey",
        PageStatePolicy(
            elements=(),
            predicate=wants_passkey,
            reaction=Reaction.PERSON,
            blocks_form=False,
            session=SessionBehind.POSSIBLE,
            patience="none",
            needs_parts=False,
            outcome=Outcome.PASSKEY,
            why="IBKR asks for a passkey, which no program can give",
        ),
    )
    SECOND_FACTOR = (
        "a second factor",
        PageStatePolicy(
            elements=(),
            predicate=lambda snapshot: snapshot.second_factor is not None,
            reaction=Reaction.ANSWER,
            blocks_form=False,
            session=SessionBehind.NO,
            patience="none",
            needs_parts=False,
            outcome=Outcome.SECOND_FACTOR,
            why="IBKR asks for {snapshot.second_factor}",
        ),
    )
    LOADING = (
        "loading",
        PageStatePolicy(
            elements=(PageElement.LOADING,),
            predicate=None,
            reaction=Reaction.WAIT,
            blocks_form=True,
            session=SessionBehind.UNLIKELY,
            patience="loading",
            needs_parts=True,
            outcome=Outcome.STILL_LOADING,
            why="IBKR's page kept saying that it is busy",
        ),
    )
    ERROR = (
        "an error",
        PageStatePolicy(
            # An empty one says nothing.
            elements=(),
            predicate=lambda snapshot: bool(snapshot.error),
            reaction=Reaction.READ,
            blocks_form=False,
            session=SessionBehind.NO,
            patience="none",
            needs_parts=False,
            outcome=Outcome.UNKNOWN_ERROR,
            why="IBKR says {snapshot.quoted_error}",
        ),
    )
    FINISHED = (
        "a finished login",
        PageStatePolicy(
            elements=(PageElement.FINISHED,),
            predicate=lambda snapshot: unredacted(snapshot.text) == SUCCESS_TEXT,
            reaction=Reaction.WAIT,
            blocks_form=True,
            session=SessionBehind.REPORTED,
            patience="unexpected",
            needs_parts=False,
            outcome=Outcome.UNKNOWN_PAGE,
            why="{place} there was a finished login",
        ),
    )
    TASKS = (
        "tasks of a user, such as the yearly review of the data",
        PageStatePolicy(
            elements=(PageElement.TASKS,),
            predicate=wants_review,
            reaction=Reaction.PERSON,
            blocks_form=True,
            session=SessionBehind.POSSIBLE,
            patience="none",
            needs_parts=False,
            outcome=Outcome.TASKS,
            why="IBKR wants this user to review or confirm data, or to change the password",
        ),
    )
    CREDENTIALS = (
        "the form",
        PageStatePolicy(
            elements=(),
            predicate=lambda snapshot: {PageElement.USERNAME, PageElement.PASSWORD} <= snapshot.visible.keys(),
            reaction=Reaction.FILL,
            blocks_form=False,
            session=SessionBehind.UNLIKELY,
            patience="unchanged_form",
            needs_parts=True,
            outcome=Outcome.UNREACHABLE,
            why="IBKR does not answer what the form asks it",
        ),
    )
    USERNAME_STEP = (
        "the form's first step",
        PageStatePolicy(
            elements=(PageElement.USERNAME,),
            predicate=None,
            reaction=Reaction.FILL,
            blocks_form=False,
            session=SessionBehind.UNLIKELY,
            patience="unchanged_form",
            needs_parts=True,
            outcome=Outcome.UNREACHABLE,
            why="IBKR does not answer what the form's first step asks it",
        ),
    )
    INCOMPLETE = (
        "a page that is still being loaded",
        PageStatePolicy(
            elements=(),
            predicate=lambda snapshot: not snapshot.is_complete,
            reaction=Reaction.WAIT,
            blocks_form=False,
            session=SessionBehind.UNLIKELY,
            patience="loading",
            needs_parts=True,
            outcome=Outcome.STILL_LOADING,
            why="IBKR's page kept the browser busy loading it",
        ),
    )
    MAINTENANCE = (
        "a maintenance note",
        PageStatePolicy(
            # An empty note says nothing.
            elements=(),
            predicate=lambda snapshot: bool(snapshot.bulletin or MAINTENANCE.search(unredacted(snapshot.text))),
            reaction=Reaction.WAIT,
            blocks_form=False,
            session=SessionBehind.UNLIKELY,
            patience="unexpected",
            needs_parts=False,
            outcome=Outcome.MAINTENANCE,
            why="IBKR says {snapshot.quoted_text}",
        ),
    )
    BLOCKED = (
        "a refusal of this machine's address",
        PageStatePolicy(
            elements=(),
            predicate=lambda snapshot: (
                snapshot.status == HTTPStatus.FORBIDDEN or unredacted(snapshot.text).lower().startswith("access denied")
            ),
            reaction=Reaction.GIVE_UP,
            blocks_form=False,
            session=SessionBehind.POSSIBLE,
            patience="unexpected",
            needs_parts=False,
            outcome=Outcome.BLOCKED,
            why="IBKR's network refuses this machine's address: {snapshot.quoted_text}",
        ),
    )
    TOO_MANY = (
        "too many requests",
        PageStatePolicy(
            elements=(),
            predicate=lambda snapshot: snapshot.status == HTTPStatus.TOO_MANY_REQUESTS,
            reaction=Reaction.GIVE_UP,
            blocks_form=False,
            session=SessionBehind.POSSIBLE,
            patience="unexpected",
            needs_parts=False,
            outcome=Outcome.TOLD_TO_WAIT,
            why="IBKR answers 429, too many requests",
        ),
    )
    SERVER_ERROR = (
        "a server's error",
        PageStatePolicy(
            elements=(),
            predicate=lambda snapshot: snapshot.status >= HTTPStatus.INTERNAL_SERVER_ERROR,
            reaction=Reaction.GIVE_UP,
            blocks_form=False,
            session=SessionBehind.POSSIBLE,
            patience="unexpected",
            needs_parts=False,
            outcome=Outcome.SERVER_ERROR,
            why="IBKR answers {snapshot.status} instead of its page",
        ),
    )
    BLANK = (
        "nothing",
        PageStatePolicy(
            elements=(),
            predicate=lambda snapshot: not snapshot.text and not snapshot.inputs,
            reaction=Reaction.WAIT,
            blocks_form=False,
            session=SessionBehind.LIKELY,
            patience="unexpected",
            needs_parts=True,
            outcome=Outcome.BLANK_PAGE,
            why="the login page stayed blank",
        ),
    )
    UNKNOWN = (
        "an unknown page",
        PageStatePolicy(
            elements=(),
            predicate=lambda _: True,
            reaction=Reaction.WAIT,
            blocks_form=False,
            session=SessionBehind.LIKELY,
            patience="unexpected",
            needs_parts=True,
            outcome=Outcome.UNKNOWN_PAGE,
            why="{place} there was an unknown page",
        ),
    )

    def __new__(cls, value: str, policy: PageStatePolicy) -> Self:
        """Makes a member of one row."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.policy = policy
        return member


FORM = frozenset(state for state in PageState if state.policy.reaction is Reaction.FILL)
"""States in which user name or password can be filled in."""

BLOCKING_ELEMENTS = tuple(
    element for state in PageState if state.policy.blocks_form for element in state.policy.elements
)
"""Elements that keep the form from being submitted while they are visible."""


def classify(snapshot: PageSnapshot) -> PageState:
    """Says what the page shows: the first state of `PageState` that the snapshot shows."""
    if snapshot.is_browser_error:
        # What Chromium's own page says is not IBKR's; its status is.
        snapshot = replace(snapshot, visible={}, text="", inputs=0, is_complete=True)
    return next(state for state in PageState if state.policy.is_shown(snapshot))
