"""What the watchdog says of the session, and how a fetch waits for one."""

import time
from collections.abc import Callable
from datetime import datetime

from ibkr_tools.errors import (
    BrokerageUnavailable,
    GatewayUnavailable,
    IbkrError,
    OutputError,
    SessionUnavailable,
    UpstreamUnavailable,
)
from ibkr_tools.installation import START_HINT
from ibkr_tools.portal.endpoints import Tier
from ibkr_tools.status import LoginSection, SessionSection, SessionState, StatusFile, utc_now

MAX_SESSION_WAIT_S = 86_400
"""The longest wait for a session, in seconds: a day."""

WAIT_FOR_SESSION_HINT = "`ibkr-tools status` says what is done about it; `ibkr-tools fetch --wait 60` waits for it."

_SERVING_STATES = {
    Tier.PORTFOLIO: frozenset({SessionState.UP, SessionState.DEGRADED, SessionState.COMPETING}),
    Tier.BROKERAGE: frozenset({SessionState.UP}),
}


def serving_session(status: StatusFile, now: datetime, tier: Tier = Tier.PORTFOLIO) -> SessionSection | None:
    """Returns the session's section if the watchdog says, freshly, that the tier answers."""
    session = status.read_section(SessionSection)
    return session if session and session.state in _SERVING_STATES[tier] and not session.is_stale(now) else None


def known_session_error(status: StatusFile, now: datetime, tier: Tier = Tier.PORTFOLIO) -> IbkrError | None:
    """Returns why the tier does not answer, as far as the watchdog freshly says so; None: it may, or nobody knows.

    What is known costs no request: IBKR counts them, and the login that is under way needs its own.
    """
    session = status.read_section(SessionSection)
    if session is None or session.is_stale(now):
        # Before the watchdog has said its first word, or without one, a login tells of itself.
        login = status.read_section(LoginSection)
        runs = login is not None and login.state == "running" and not login.is_stale(now)
        return SessionUnavailable("no session (a login is under way)", hint=WAIT_FOR_SESSION_HINT) if runs else None
    if session.state in _SERVING_STATES[tier]:
        return None
    known = f"{session.state.value}: {session.why}"
    if session.state is SessionState.GATEWAY_DOWN:
        return GatewayUnavailable(f"the watchdog says {known}", hint=START_HINT)
    if session.state in _SERVING_STATES[Tier.PORTFOLIO]:
        return BrokerageUnavailable(f"the brokerage tier is not up ({known})", hint=WAIT_FOR_SESSION_HINT)
    return SessionUnavailable(f"no session ({known})", hint=session.todo or WAIT_FOR_SESSION_HINT)


def wait_for_session(
    status: StatusFile, seconds: float, tier: Tier = Tier.PORTFOLIO, *, after: datetime | None = None
) -> None:
    """Returns as soon as the watchdog says that the tier answers; `after`: and has said so after that time.

    Raises:
        SessionUnavailable: it does not within `seconds`; the message says what the watchdog knows.
        OutputError: there is no runtime directory and none can be made.
    """

    def serves() -> bool:
        session = serving_session(status, utc_now(), tier)
        return session is not None and (after is None or session.updated_at > after)

    try:
        served = status.wait(serves, seconds)
    except OSError as error:
        raise OutputError(f"{status.path.parent}: cannot be watched ({error.strerror})") from error
    if not served:
        session = status.read_section(SessionSection)
        known = f"{session.state.value}: {session.why}" if session else "the watchdog has said nothing"
        raise SessionUnavailable(f"no session within {seconds:g} s ({known})", hint="`ibkr-tools status` says more.")


class SessionLossPolicy:
    """What to do about a session that is lost on the way: give up. `WaitForSession` waits for the next one."""

    def is_session_loss(self, error: IbkrError) -> bool:
        """Says whether it makes sense to wait after this error."""
        del error
        return False

    def wait(self, error: IbkrError) -> None:
        """Returns once there is a session again; raises the error if there is none in time."""
        raise error


class WaitForSession(SessionLossPolicy):
    """Waits for the next session when one is lost on the way, until a deadline that begins with the first loss."""

    def __init__(
        self,
        status: StatusFile,
        seconds: float,
        tier: Tier,
        report_loss: Callable[[IbkrError], datetime],
        progress: Callable[[str], None],
    ) -> None:
        """Creates a policy.

        Args:
            status: where the watchdog says how the session is.
            seconds: how long to wait in all; 0: not at all.
            tier: the tier that is needed.
            report_loss: tells the watchdog of the loss; returns when.
            progress: is told that it waits.
        """
        self._status = status
        self._seconds = seconds
        self._tier = tier
        self._report_loss = report_loss
        self._progress = progress
        self._deadline: float | None = None

    def is_session_loss(self, error: IbkrError) -> bool:
        """Says whether a session may come that makes up for this error."""
        if not self._seconds:
            return False
        if isinstance(error, UpstreamUnavailable):
            # What IBKR's servers do while the session is up is not the session's loss.
            return serving_session(self._status, utc_now(), self._tier) is None
        return type(error) in {SessionUnavailable, BrokerageUnavailable} or isinstance(error, GatewayUnavailable)

    def wait(self, error: IbkrError) -> None:
        """Returns once the watchdog, told of the loss, says that the tier answers; see `SessionLossPolicy.wait`."""
        now = time.monotonic()
        self._deadline = self._deadline or now + self._seconds
        if now >= self._deadline:
            raise error
        self._progress("waiting for the session")
        wait_for_session(self._status, self._deadline - now, self._tier, after=self._report_loss(error))
