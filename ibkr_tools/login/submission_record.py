"""What the login log learns of one login: the submission before the password goes out, and its result afterwards."""

from collections.abc import Callable
from datetime import datetime

from loguru import logger

from ibkr_tools import pause_file
from ibkr_tools.config.schema import Config
from ibkr_tools.config.secrets import Secret
from ibkr_tools.directories import Directories
from ibkr_tools.errors import LockedOut, OutputError
from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.outcomes import AttemptResult, Outcome
from ibkr_tools.login.push_notice import PushNotice

__all__ = ["SubmissionRecord"]


class SubmissionRecord:
    """The entries of one login in the login log; `clock` gives the time now, aware."""

    def __init__(
        self,
        login_log: LoginLog,
        config: Config,
        directories: Directories,
        push_notice: PushNotice,
        clock: Callable[[], datetime],
    ) -> None:
        self._login_log = login_log
        self._username = config.username
        self._pause_file = directories.pause_file
        self._push_notice = push_notice
        self._clock = clock
        self._attempt_id: str | None = None

    def begin(self, password: Secret) -> LoginEnd | None:
        """Records that a password goes out now; returns how the login ends instead, if a person asked for a pause.

        Raises:
            OutputError: the log cannot be written.
            LockedOut: the budget is spent meanwhile.
        """
        if end := self._end_for_pause():
            return end
        if self._push_notice.is_needed:
            self._push_notice.send()
            if end := self._end_for_pause():
                return end
        # A push leaves a result that no machine goes past: whatever happens, one push is sent.
        result = AttemptResult.PERSON if self._push_notice.is_needed else AttemptResult.SUBMITTED
        self._attempt_id = self._login_log.record_submission(self._clock(), self._username, password, result=result)
        return None

    def _end_for_pause(self) -> LoginEnd | None:
        paused = pause_file.read(self._pause_file, self._clock())
        return LoginEnd(outcome=Outcome.PAUSED, why=paused.why) if paused else None

    def withdraw(self) -> None:
        """Records that the page did not take the password after all."""
        if self._attempt_id is not None:
            self._login_log.record_result(self._attempt_id, AttemptResult.UNSUBMITTED, self._clock())
            self._attempt_id = None

    def end(self, end: LoginEnd, *, requires_person: bool) -> None:
        """Records how the login ended; `requires_person`: no machine may follow a failure, whatever its outcome.

        Raises:
            OutputError, LockedOut: the log cannot be written, and there is no session.
        """
        now, outcome = self._clock(), end.outcome
        if self._attempt_id is None:
            if not end.submitted and outcome is not Outcome.PAUSED:
                self._login_log.record_unsubmitted(now, self._username, wait=end.wait)
            return
        result = outcome.policy.result
        if result is AttemptResult.FAILED and requires_person:
            result = AttemptResult.PERSON
        try:
            self._login_log.record_result(self._attempt_id, result, now, wait=end.wait, outcome=outcome)
        except (OutputError, LockedOut) as error:
            if outcome is not Outcome.SUCCEEDED:
                raise
            # There is a session all the same; that its attempt counts as a failure is the safe side.
            logger.error("{}", error.message)
        self._attempt_id = None
