"""One fetch from beginning to end: waits for the session if told to, fetches, says in the status how it went."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from ibkr_tools import session_hint
from ibkr_tools.alert_outbox import ACCOUNTS_TOPIC
from ibkr_tools.config.schema import Config
from ibkr_tools.errors import (
    AccountUnavailable,
    BrokerageUnavailable,
    ConfigError,
    GatewayUnavailable,
    IbkrError,
    OutputError,
    SessionUnavailable,
    UpstreamUnavailable,
    UsageError,
)
from ibkr_tools.fetch.calls import ESSENTIAL, plan
from ibkr_tools.fetch.document import Covers, Document
from ibkr_tools.fetch.missing_data import NOTHING_KNOWN, MissingData, outcome
from ibkr_tools.fetch.retry import RETRY_FOR_S, Pause, RetryPolicy
from ibkr_tools.fetch.snapshot import Counted, Fetcher, Losses, Progress, Selection
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.endpoints import Tier
from ibkr_tools.status import FetchSection, LoginSection, SessionSection, SessionState, StatusFile, utc_now

LONGEST_WAIT_S = 86_400
"""How long anybody may wait for a session, in seconds: a day."""

WAIT_HINT = "`ibkr-tools status` says what is done about it; `ibkr-tools fetch --wait 60` waits for it."

_SERVES = {
    Tier.PORTFOLIO: frozenset({SessionState.UP, SessionState.DEGRADED, SessionState.COMPETING}),
    Tier.BROKERAGE: frozenset({SessionState.UP}),
}


def session_serves(status: StatusFile, now: datetime, tier: Tier = Tier.PORTFOLIO) -> SessionSection | None:
    """Returns the session's section if the watchdog says, freshly, that the tier answers."""
    session = status.read_section(SessionSection)
    return session if session and session.state in _SERVES[tier] and not session.is_stale(now) else None


def known_obstacle(status: StatusFile, now: datetime, tier: Tier = Tier.PORTFOLIO) -> IbkrError | None:
    """Returns why the tier does not answer, as far as the watchdog freshly says so; None: it may, or nobody knows.

    What is known costs no request: IBKR counts them, and the login that is under way needs its own.
    """
    session = status.read_section(SessionSection)
    if session is None or session.is_stale(now):
        # Before the watchdog has said its first word, or without one, a login tells of itself.
        login = status.read_section(LoginSection)
        runs = login is not None and login.state == "running" and not login.is_stale(now)
        return SessionUnavailable("no session (a login is under way)", hint=WAIT_HINT) if runs else None
    if session.state in _SERVES[tier]:
        return None
    known = f"{session.state.value}: {session.why}"
    if session.state is SessionState.GATEWAY_DOWN:
        return GatewayUnavailable(f"the watchdog says {known}", hint="systemctl start ibkr-gateway")
    if session.state in _SERVES[Tier.PORTFOLIO]:
        return BrokerageUnavailable(f"the brokerage tier is not up ({known})", hint=WAIT_HINT)
    return SessionUnavailable(f"no session ({known})", hint=session.todo or WAIT_HINT)


def wait_for_session(
    status: StatusFile, seconds: float, tier: Tier = Tier.PORTFOLIO, *, after: datetime | None = None
) -> None:
    """Returns as soon as the watchdog says that the tier answers; `after`: and has said so after that time.

    Raises:
        SessionUnavailable: it does not within `seconds`; the message says what the watchdog knows.
        OutputError: there is no runtime directory and none can be made.
    """

    def serves() -> bool:
        session = session_serves(status, utc_now(), tier)
        return session is not None and (after is None or session.updated_at > after)

    try:
        served = status.wait(serves, seconds)
    except OSError as error:
        raise OutputError(f"{status.path.parent}: cannot be watched ({error.strerror})") from error
    if not served:
        session = status.read_section(SessionSection)
        known = f"{session.state.value}: {session.why}" if session else "the watchdog has said nothing"
        raise SessionUnavailable(f"no session within {seconds:g} s ({known})", hint="`ibkr-tools status` says more.")


class Waiting(Losses):
    """Waits for the next session when one is lost on the way, until a deadline that begins with the first loss."""

    def __init__(
        self, status: StatusFile, seconds: float, tier: Tier, tell: Callable[[IbkrError], datetime], progress: Progress
    ) -> None:
        """Prepares it.

        Args:
            status: where the watchdog says how the session is.
            seconds: how long to wait in all; 0: not at all.
            tier: the tier that is needed.
            tell: tells the watchdog of the loss; returns when.
            progress: is told that it waits.
        """
        self._status = status
        self._seconds = seconds
        self._tier = tier
        self._tell = tell
        self._progress = progress
        self._deadline: float | None = None

    def is_lost(self, error: IbkrError) -> bool:
        """Says whether a session may come that makes up for this error."""
        if not self._seconds:
            return False
        if isinstance(error, UpstreamUnavailable):
            # What IBKR's servers do while the session is up is not the session's loss.
            return session_serves(self._status, utc_now(), self._tier) is None
        return type(error) in {SessionUnavailable, BrokerageUnavailable} or isinstance(error, GatewayUnavailable)

    def wait(self, error: IbkrError) -> None:
        """Returns once the watchdog says, after it was told of the loss, that the tier answers; see `Losses.wait`."""
        now = time.monotonic()
        self._deadline = self._deadline or now + self._seconds
        if now >= self._deadline:
            raise error
        self._progress("waiting for the session")
        wait_for_session(self._status, self._deadline - now, self._tier, after=self._tell(error))


class Fetch:
    """One fetch with everything it needs; `run` may be called once."""

    def __init__(
        self,
        config: Config,
        make_client: Callable[[], PortalClient],
        status: StatusFile,
        *,
        hint: Path | None = None,
        progress: Progress = lambda _: None,
        counted: Counted = lambda _done, _of: None,
        now: Callable[[], datetime] = utc_now,
        pause: Pause | None = None,
    ) -> None:
        """Prepares it; nothing is sent yet.

        Args:
            config: the configuration.
            make_client: makes a client of the gateway; up to four are used at once, and closed in the end.
            status: where the session's state is read, and how the fetch went is said.
            hint: what is left where we may not write the status, if there is no session; see `hints`.
            progress: is told what is asked for.
            counted: is told how many calls are done, and of how many.
            now: the time, aware, in UTC.
            pause: waits so many seconds before something is asked again; default: real ones.
        """
        self._config = config
        self._make_client = make_client
        self._status = status
        self._hint = hint
        self._progress = progress
        self._counted = counted
        self._now = now
        self._pause = pause

    def run(
        self,
        resources: Sequence[str] = (),
        accounts: Sequence[str] = (),
        *,
        parameters: Mapping[str, str] | None = None,
        fresh: bool = False,
        wait_s: float = 0.0,
        retry_s: float = RETRY_FOR_S,
        partial: bool | None = None,
        save_in: Path | None = None,
    ) -> Document:
        """Returns one complete snapshot; saved first if `save_in` names a directory.

        Args:
            resources: what to take, all of it; empty: what the configuration says, of which supplementary parts may be
                missing in the end (`covers.missing`).
            accounts: of which accounts, by number or alias; empty: those of the configuration.
            parameters: of the resources, see `calls.plan`.
            fresh: take positions past IBKR's cache.
            wait_s: how long to wait for the session, at first and when it is lost on the way, in seconds.
            retry_s: for how long one read is tried again, in seconds; 0: not at all.
            partial: go without an account that alone answers nothing (`covers.missing_accounts`); None: as the
                configuration says.
            save_in: the directory of saved snapshots.

        Raises:
            UsageError: the resources, parameters or accounts are none; nothing was sent for the first two.
            IbkrError: the snapshot could not be completed or saved; the status says so too.
        """
        if not 0 <= wait_s <= LONGEST_WAIT_S:
            raise UsageError(f"cannot wait for {wait_s} s, but for {LONGEST_WAIT_S} at most")
        retry = RetryPolicy.within(retry_s)
        given, settings = dict(parameters or {}), self._config.fetch
        parts = plan(resources or settings.resources, given, self._config.session.tier, fresh=fresh)
        optional = frozenset[str]() if resources else frozenset(part.name for part in parts) - ESSENTIAL
        required = [part.endpoint.tier for part in parts if part.name not in optional]
        needed = Tier.BROKERAGE if Tier.BROKERAGE in required else Tier.PORTFOLIO
        found = MissingData(
            accounts=frozenset(accounts),
            resources=frozenset(part.name for part in parts),
            all=not (resources or accounts),
        )
        try:
            self._require_session(wait_s, needed)
        except IbkrError as error:
            self._say("failed", error.message)
            raise
        session = session_serves(self._status, self._now())
        fetcher = Fetcher(
            self._make_client,
            now=self._now,
            losses=Waiting(self._status, wait_s, needed, self._lost, self._progress),
            progress=self._progress,
            counted=self._counted,
            pause=self._pause,
            retry=retry,
        )
        selection = Selection(
            account=self._config.account,
            accounts=tuple(accounts) or settings.accounts,
            known=session.accounts if session else (),
            blame=UsageError if accounts else ConfigError,
            partial=settings.partial if partial is None else partial,
            optional=optional,
        )
        try:
            document = fetcher.snapshot(
                parts, selection, Covers(accounts=(), resources=(), parameters=given, fresh=fresh)
            )
            saved = None
            if save_in:
                from ibkr_tools.fetch import store

                saved = store.save(save_in, document, settings.keep_days, self._now())
        except IbkrError as error:
            lost = type(error) is SessionUnavailable or isinstance(error, GatewayUnavailable)
            if type(error) is SessionUnavailable and not error.hint:
                error.hint = WAIT_HINT
            dead = fetcher.missing_accounts if isinstance(error, AccountUnavailable) else {}
            topic = ACCOUNTS_TOPIC if dead else None
            self._say("failed", error.message, session_lost=lost, found=found.failed(dead), topic=topic)
            raise
        covers = document.covers
        self._say("succeeded", outcome(covers), saved=saved, found=found.came(covers))
        return document

    def _require_session(self, wait_s: float, needed: Tier) -> None:
        """Returns if there may be a session that serves; waits for it if told to.

        Raises:
            SessionUnavailable: there is none, as the watchdog says, or none in time.
            GatewayUnavailable: the watchdog says that the gateway is down.
        """
        if wait_s:
            wait_for_session(self._status, wait_s, needed)
        elif error := known_obstacle(self._status, self._now(), needed):
            raise error

    def _lost(self, error: IbkrError) -> datetime:
        return self._say("waiting", error.message, session_lost=True)

    def _say(
        self,
        state: Literal["waiting", "succeeded", "failed"],
        why: str,
        *,
        saved: Path | None = None,
        session_lost: bool = False,
        found: MissingData | None = None,
        topic: str | None = None,
    ) -> datetime:
        before = self._status.read_section(FetchSection)
        gone, parts = (found or NOTHING_KNOWN).carried(before)
        now = self._now()
        section = FetchSection(
            updated_at=now,
            state=state,
            why=why,
            session_lost=session_lost,
            missing_accounts=gone,
            missing=parts,
            topic=topic,
            saved=str(saved) if saved else before.saved if before else None,
            saved_at=now if saved else before.saved_at if before else None,
        )
        try:
            self._status.write(section)
        except OSError:
            # A person without rights in the runtime directory may still fetch; only the status lacks it.
            if session_lost and self._hint is not None:
                session_hint.touch(self._hint)
        return now
