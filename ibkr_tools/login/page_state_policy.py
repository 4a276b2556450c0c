"""What has to be decided about a state of IBKR's login page: the columns of the table in `page_states`."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_snapshot import PageSnapshot
from ibkr_tools.page_elements import PageElement

__all__ = ["PageStatePolicy", "PatienceName", "Reaction", "SessionBehind"]


class Reaction(Enum):
    """What the login does when the page shows a state; the value says it in the words of docs/login.md."""

    FILL = "the form is filled in and submitted once"
    WAIT = "waited for another state"
    REOPEN = "the page is opened again each second until the form is due"
    HIDE = "hidden by a style; nothing is consented to"
    SKIP = "skipped by a click"
    ANSWER = "answered by `login.second_factor`; without one the login ends"
    READ = "above an unused form: remembered and ignored; after the password the login ends"
    GIVE_UP = "the login ends: this does not become a login page by itself"
    PERSON = "the login ends: a person is needed"


class SessionBehind(Enum):
    """Whether IBKR may have given the browser a session when a state shows after the password.

    The API is asked: `REPORTED` and `LIKELY` for `Patience.session`; `POSSIBLE` for `Patience.settle`; `UNLIKELY` once,
    when the state has lasted for too long; `NO` not at all. While the browser has not left the form's address, nothing
    but a state that ends the login is `POSSIBLE`, nothing is `LIKELY` (these count as `UNLIKELY`), and after `REPORTED`
    the API is asked for `Patience.loading`.
    """

    REPORTED = "yes, the page says so"
    LIKELY = "yes, elsewhere than at the form"
    POSSIBLE = "yes"
    UNLIKELY = "once, at the end of the wait"
    NO = "no"


PatienceName = Literal["unchanged_form", "unexpected", "loading", "total", "none"]
"""The field of `login_timers.Patience` that says how long a state may last after the password.

`total`: as long as the login has time. `none`: the login ends or goes on at once.
"""


@dataclass(frozen=True, kw_only=True)
class PageStatePolicy:
    """Everything that is decided about one state of the page; nothing has a default.

    Attributes:
        elements: any one of these visible shows the state.
        predicate: shows the state as well; None: the elements alone do.
        reaction: what the login does.
        blocks_form: these elements over the form keep it from being submitted.
        session: whether a session may be behind it after the password.
        patience: how long it may last after the password.
        needs_parts: scripts or styles that did not come explain it.
        outcome: how a login ends in this state, unless the page says more (`page_handlers.end_for_stall`).
        why: that end in a sentence; a format of `snapshot` (`PageSnapshot`) and `place`, where the state was met.
    """

    elements: tuple[PageElement, ...]
    predicate: Callable[[PageSnapshot], bool] | None
    reaction: Reaction
    blocks_form: bool
    session: SessionBehind
    patience: PatienceName
    needs_parts: bool
    outcome: Outcome
    why: str

    def is_shown(self, snapshot: PageSnapshot) -> bool:
        """Says whether a snapshot shows this state, if it shows none of higher precedence."""
        return any(element in snapshot.visible for element in self.elements) or (
            self.predicate is not None and self.predicate(snapshot)
        )
