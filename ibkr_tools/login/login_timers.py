"""How long a login waits for what, and the timers that measure it."""

from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from ibkr_tools.login.page_state_policy import PatienceName

__all__ = ["ConditionTimer", "Patience", "Timer"]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the flow waits for what. `total` bounds everything.

    `form`: from opening the page to a usable form. `silent_form`: how long a form that never talks to IBKR must stand
    unchanged before it counts as ready; `recognised_form`: the same for a form that no selector found, of which nobody
    knows whether it would talk. `quiet`: how long such a page must have nothing to do if its script handles the
    submission. `loading`: how long the page may say that it is busy. `switch`: for the page's answer to the live/paper
    switch, and for what comes of a page that was opened again right before `form` ended. `unchanged_form`: how long
    the same form may stand there after the submission without any sign. `unexpected`: how long an unknown or blank
    page may stand. `no_form`: how long a page without a form may have nothing to do before it counts as an unknown
    one. `session`: from leaving the form to a session; `logged_out`: how long the API may say that there is none,
    though the page says success, before the gateway is taken to have ended it (see `LoginFlow`). `poll`: between two
    snapshots.
    """

    total: timedelta = timedelta(seconds=90)
    form: timedelta = timedelta(seconds=30)
    silent_form: timedelta = timedelta(seconds=10)
    recognised_form: timedelta = timedelta(seconds=3)
    quiet: timedelta = timedelta(seconds=1)
    loading: timedelta = timedelta(seconds=60)
    switch: timedelta = timedelta(seconds=6)
    unchanged_form: timedelta = timedelta(seconds=20)
    unexpected: timedelta = timedelta(seconds=15)
    no_form: timedelta = timedelta(seconds=6)
    session: timedelta = timedelta(seconds=30)
    settle: timedelta = timedelta(seconds=2)
    logged_out: timedelta = timedelta(seconds=4)
    poll: timedelta = timedelta(milliseconds=40)

    def span(self, name: PatienceName) -> timedelta | None:
        """Returns how long a state with this patience may last; None: nothing but `total` bounds it."""
        match name:
            case "unchanged_form":
                return self.unchanged_form
            case "unexpected":
                return self.unexpected
            case "loading":
                return self.loading
            case "total" | "none":
                return None


class Timer:
    """Counts down from now."""

    def __init__(self, span: timedelta) -> None:
        self._end = monotonic() + span.total_seconds()

    @property
    def is_expired(self) -> bool:
        """Whether nothing is left."""
        return monotonic() >= self._end

    def extend(self, span: timedelta) -> None:
        """Moves the end."""
        self._end += span.total_seconds()

    def at_least(self, span: timedelta) -> "Timer":
        """Returns this timer, or one of `span` from now if that is later."""
        is_later = monotonic() + span.total_seconds() > self._end
        return Timer(span) if is_later else self


class ConditionTimer:
    """Measures how long a condition holds without a break."""

    def __init__(self, span: timedelta) -> None:
        self._span = span
        self._timer: Timer | None = None

    def has_lasted(self, *, condition: bool) -> bool:
        """Records whether `condition` holds now; says whether it has held for longer than the span."""
        self._timer = (self._timer or Timer(self._span)) if condition else None
        return self._timer is not None and self._timer.is_expired
