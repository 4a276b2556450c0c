"""One fetch from beginning to end: waits for the session if told to, fetches, says in the status how it went."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ibkr_tools.config import Config, Resource
from ibkr_tools.errors import GatewayUnavailable, IbkrError, OutputError, SessionUnavailable
from ibkr_tools.fetch import output
from ibkr_tools.fetch.snapshot import Fetcher, Progress, encode
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.status import FetchSection, SessionSection, SessionState, StatusFile, utc_now

_SERVES = frozenset({SessionState.UP, SessionState.DEGRADED, SessionState.COMPETING})


def session_serves(status: StatusFile, now: datetime) -> SessionSection | None:
    """Returns the session's section if the watchdog says, freshly, that the portfolio tier answers."""
    session = status.read_section(SessionSection)
    return session if session and session.state in _SERVES and not session.is_stale(now) else None


def wait_for_session(status: StatusFile, seconds: float) -> None:
    """Returns as soon as the watchdog says that the portfolio tier answers.

    Raises:
        SessionUnavailable: it does not within `seconds`; the message says what the watchdog knows.
        OutputError: there is no runtime directory and none can be made.
    """
    try:
        serves = status.wait(lambda: session_serves(status, utc_now()) is not None, seconds)
    except OSError as error:
        raise OutputError(f"{status.path.parent}: cannot be watched ({error.strerror})") from error
    if not serves:
        session = status.read_section(SessionSection)
        known = f"{session.state.value}: {session.why}" if session else "the watchdog has said nothing"
        raise SessionUnavailable(f"no session within {seconds:g} s ({known})", hint="`ibkr-tools status` says more.")


class Fetch:
    """One fetch with everything it needs; `run` may be called once."""

    def __init__(
        self,
        config: Config,
        client: PortalClient,
        status: StatusFile,
        *,
        progress: Progress = lambda _: None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._config = config
        self._client = client
        self._status = status
        self._progress = progress
        self._now = now

    def run(
        self,
        resources: Sequence[Resource] = (),
        accounts: Sequence[str] = (),
        *,
        save_in: Path | None = None,
    ) -> tuple[dict[str, Any], bytes]:
        """Returns one complete snapshot and its JSON; saved first if `save_in` names a directory.

        Raises:
            IbkrError: the snapshot could not be completed or saved; the status says so too.
        """
        session = session_serves(self._status, self._now())
        try:
            snapshot = Fetcher(self._client, self._progress).snapshot(
                self._config.account,
                resources=resources or self._config.fetch.resources,
                accounts=accounts or self._config.fetch.accounts,
                known_accounts=session.accounts if session else (),
                now=self._now,
            )
            document = encode(snapshot)
            saved = output.save(save_in, document) if save_in else None
        except IbkrError as error:
            lost = type(error) is SessionUnavailable or isinstance(error, GatewayUnavailable)
            self._say("failed", error.message, session_lost=lost, saved=None)
            raise
        covers = snapshot["covers"]
        self._say("succeeded", f"{', '.join(covers['resources'])} of {', '.join(covers['accounts'])}", saved=saved)
        return snapshot, document

    def _say(self, state: str, why: str, *, saved: Path | None, session_lost: bool = False) -> None:
        before = self._status.read_section(FetchSection)
        now = self._now()
        section = FetchSection(
            updated_at=now,
            state="succeeded" if state == "succeeded" else "failed",
            why=why,
            session_lost=session_lost,
            saved=str(saved) if saved else before.saved if before else None,
            saved_at=now if saved else before.saved_at if before else None,
        )
        try:
            self._status.write(section)
        except OSError:
            # A person without rights in the runtime directory may still fetch; only the status lacks it.
            return
