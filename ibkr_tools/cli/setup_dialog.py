"""The questions of `ibkr-tools setup`: what was not given by an option is asked for, or stays as it is."""

from collections.abc import Callable, Mapping
from typing import Any

from ibkr_tools.cli.prompts import ask
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.errors import IbkrError, UsageError
from ibkr_tools.setup import answers as rules
from ibkr_tools.setup.setup_plan import SystemdState

READ_ONLY_USER = """\
ibkr-tools signs in as a second IBKR user that can only read. You make it on IBKR's website, with your own user:
Settings → Users & Access Rights → add a user with the rights "Statements" and "PortfolioAnalyst" and no others.
Log in there once as the new user, and confirm what IBKR asks. Then answer here; Ctrl-C leaves everything as it is.
"""

KEEP = "keep"
"""The answer that something stays as it is."""


class SetupDialog:
    """The answers of one run.

    Args:
        present: the configuration that is there.
        given: what was given by options, by their names.
        state: what systemd says.
        normalised: makes systemd's expression of a time; raises UsageError.
        is_asked: somebody is there to be asked.
    """

    def __init__(
        self,
        present: Mapping[str, Any],
        given: Mapping[str, str],
        state: SystemdState,
        normalised: Callable[[str], str],
        *,
        is_asked: bool,
    ) -> None:
        self._present = present
        self._given = given
        self._state = state
        self._normalised = normalised
        self._is_asked = is_asked

    def require_options(self, *, has_password: bool) -> None:
        """Returns if nobody has to be asked, or somebody can be.

        Raises:
            UsageError: answers are missing, and there is no terminal.
        """
        missing = [
            f"--{key}"
            for key in ("username", "account")
            if f"--{key}" not in self._given and rules.present_value(self._present, key) is None
        ]
        if not has_password:
            missing.append("--password-stdin")
        if missing and not self._is_asked:
            raise UsageError(f"no terminal to ask on, and missing: {', '.join(missing)}")

    def answers(self) -> rules.Answers:
        """Returns the answers.

        Raises:
            UsageError: one that was given by an option is none.
            typer.Abort: Ctrl-C, or the end of the input.
        """
        present_name = rules.present_value(self._present, "username")
        if self._is_asked and present_name is None and "--username" not in self._given:
            print_stderr(READ_ONLY_USER, 20)
        name = (
            self._answer("--username", "Name of the read-only IBKR user", rules.username_problem, present_name)
            or present_name
            or ""
        )
        present_account = rules.present_value(self._present, "account")
        account = self._answer(
            "--account", "Account number", lambda text: rules.account_problem(text, name), present_account
        )
        schedule = self._answer(
            "--schedule",
            "When is a snapshot saved: none, or such as 07:00 or Mon..Fri 18:00",
            lambda text: _problem(self._schedule, text),
            self._offered_schedule(present_name),
        )
        alerts = self._answer(
            "--alerts",
            "How are you told: none, https://ntfy.sh/TOPIC, a mail address, a command as a JSON list",
            lambda text: _problem(self._alert_command, text),
            KEEP if rules.present_alert_command(self._present) else rules.NONE,
        )
        return rules.Answers(
            username=name,
            account=account or present_account or "",
            schedule=None if schedule is None else self._schedule(schedule),
            alert_command=None if alerts is None else self._alert_command(alerts),
        )

    def _answer(self, option: str, question: str, problem_of: Callable[[str], str], default: str | None) -> str | None:
        """Returns what was given or answered; None where nobody is asked."""
        if option not in self._given:
            return ask(question, problem_of, default) if self._is_asked else None
        if problem := problem_of(self._given[option]):
            raise UsageError(f"{option}: {problem}")
        return self._given[option]

    def _schedule(self, text: str) -> str | None:
        """Returns systemd's expression, `none`, or None where it stays as it is."""
        if text.casefold() == KEEP:
            return None
        return rules.NONE if text.casefold() == rules.NONE else self._normalised(text)

    def _offered_schedule(self, present_name: str | None) -> str:
        """Returns what is so; in a first run, when the timer elapses by itself."""
        if not self._state.timer_enabled and present_name is not None:
            return rules.NONE
        return self._state.calendar or KEEP

    def _alert_command(self, text: str) -> tuple[str, ...] | None:
        return None if text.casefold() == KEEP else rules.parse_alerts(text)


def _problem(parse: Callable[[str], object], text: str) -> str:
    try:
        parse(text)
    except IbkrError as error:
        return error.message
    return ""
