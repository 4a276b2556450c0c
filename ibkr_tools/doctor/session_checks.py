"""The session: what the status file says, whether it may be believed, the login budget, and the Flex token."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta

from ibkr_tools.alert_outbox import pending
from ibkr_tools.config.schema import LoginConfig
from ibkr_tools.doctor.finding import Finding, Findings, Private
from ibkr_tools.doctor.subject import Extent, Subject
from ibkr_tools.duration_format import format_wait
from ibkr_tools.errors import AccessDenied, DataError
from ibkr_tools.flex import token_expiry
from ibkr_tools.login.budget import Budget
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.privileges import service_user
from ibkr_tools.status import FlexSection, Section, SessionState, Status, StatusFile

_STATUS, _SESSION, _LOGIN = Findings("status"), Findings("session"), Findings("login budget")
_FETCH, _TOKEN, _FLEX, _ALERTS = Findings("fetch"), Findings("Flex token"), Findings("statements"), Findings("alerts")

_RESTART = "sudo systemctl restart ibkr-gateway"

_PASSES = frozenset(
    {
        *(SessionState.STARTING, SessionState.LOGGING_IN, SessionState.LOST, SessionState.BACKING_OFF),
        *(SessionState.UNREACHABLE, SessionState.MAINTENANCE, SessionState.COMPETING, SessionState.DEGRADED),
    }
)
"""Nobody has to do anything about these: they are tried again, or are IBKR's."""


def check_status(subject: Subject) -> Iterator[Finding]:
    """Judges the status file, and what it says of the session and the last fetch."""
    file = StatusFile(subject.directories.status_file)
    try:
        status = file.read()
    except AccessDenied:
        yield _STATUS.unseen("this user may not read the status file")
        return
    except DataError as error:
        remove = f"sudo runuser -u {service_user()} -- rm -f" if subject.is_installed else "rm -f"
        restart = f" && {_RESTART}" if subject.is_installed else ""
        yield _STATUS.fault(
            ("the status file cannot be used: ", Private(error.message)),
            Private(f"{remove} {file.path}{restart}"),
        )
        return
    has_statements = subject.config is None or subject.config.flex.query is not None
    yield from judge_status(status, subject.now, extent=subject.extent, has_statements=has_statements)


def judge_status(status: Status, now: datetime, *, extent: Extent, has_statements: bool) -> Iterator[Finding]:
    """Yields what a person should know of what the processes say about themselves.

    Args:
        status: what they say.
        now: the time, with its zone.
        extent: how much is installed.
        has_statements: statements are configured; what was said of them before they were switched off is past.
    """
    sections: tuple[tuple[str, str, Section | None], ...] = (
        ("the gateway's parent", "ibkr-gateway", status.gateway),
        ("the watchdog", "ibkr-watchdog", status.session),
    )
    silent = [
        # Zero is what a process leaves that was stopped: that is no silence.
        (name, unit, section.age_s(now))
        for name, unit, section in sections
        if section is not None and section.fresh_for_s and section.is_stale(now)
    ]
    for name, unit, age_s in silent:
        yield _STATUS.fault(
            f"{name} has said nothing for {format_wait(age_s)}",
            f"sudo systemctl restart {unit}" if extent is Extent.FULL else "ibkr-tools up",
        )
    if not silent:
        yield _STATUS.ok("as fresh as it should be" if status.session else "nothing has written one yet")
        yield from _judge_session(status, now, extent=extent)
    if status.login is not None and status.login.state == "broken":
        tool = "sudo ibkr-tools" if extent is Extent.FULL else "ibkr-tools"
        yield _SESSION.fault(("no login is possible: ", Private(status.login.why)), f"{tool} login")
    if status.flex is not None and has_statements:
        yield _judge_flex(status.flex, extent=extent)
    if status.fetch is not None:
        if status.fetch.state == "failed":
            again = "sudo systemctl start ibkr-fetch" if extent is Extent.FULL else "ibkr-tools fetch --save"
            yield _FETCH.notice(("the last fetch has failed: ", Private(status.fetch.why)), again)
        else:
            yield _FETCH.ok(f"{status.fetch.state} {format_wait(status.fetch.age_s(now))} ago")


def _judge_flex(section: FlexSection, *, extent: Extent) -> Finding:
    tool = "ibkr-tools" if extent is Extent.NONE else "sudo ibkr-tools"
    if section.state == "action-required":
        return _FLEX.fault(
            ("no statement comes until a person has acted: ", Private(section.why)), f"{tool} flex check"
        )
    if section.state == "failed":
        return _FLEX.notice(("the last fetch of statements has failed: ", Private(section.why)), f"{tool} flex fetch")
    if section.problems:
        return _FLEX.notice(
            ("the statements are not as they should be: ", Private(section.problems[0])), f"{tool} status"
        )
    return _FLEX.ok(f"statements until {section.covered_to or 'no day'}")


MAX_WAIT = timedelta(hours=1)
"""How long a message for a person may wait before that is worth a line; it is tried again meanwhile."""


def check_outbox(subject: Subject) -> Iterator[Finding]:
    """Looks whether messages for a person wait that could not be told."""
    if not os.access(subject.directories.outbox, os.R_OK | os.X_OK):
        yield _ALERTS.unseen("this user may not look at the messages for a person")
        return
    # A time of a file may be one that no calendar has.
    moments_s = [path.lstat().st_mtime for path in pending(subject.directories.outbox)]
    tool = "sudo ibkr-tools" if subject.is_installed else "ibkr-tools"
    if moments_s and min(moments_s) < (subject.now - MAX_WAIT).timestamp():
        yield _ALERTS.notice(f"{len(moments_s)} messages for a person could not be told yet", f"{tool} alert --test")
    else:
        yield _ALERTS.ok(f"{len(moments_s)} messages wait")


def _judge_session(status: Status, now: datetime, *, extent: Extent) -> Iterator[Finding]:
    session, gateway = status.session, status.gateway
    if gateway is not None and gateway.filtered is False and gateway.state != "stopped":
        yield _SESSION.fault(
            "EXPOSED: no packet filter guards the gateway's port", "sudo systemctl reload-or-restart ibkr-firewall"
        )
    if session is None or session.is_stale(now):
        yield _SESSION.ok("no watchdog runs")
        return
    tool = "sudo ibkr-tools" if extent is Extent.FULL else "ibkr-tools"
    why = Private(session.why)
    if session.paused:
        yield _SESSION.notice(f"{session.state.value}; somebody wants that nothing logs in", f"{tool} resume")
    elif session.state is SessionState.LOCKED_OUT:
        yield _SESSION.fault(("nothing logs in until a person has acted: ", why), f"{tool} unlock")
    elif session.state is SessionState.GATEWAY_DOWN:
        yield _SESSION.fault(
            ("the gateway does not answer: ", why), _RESTART if extent is Extent.FULL else "ibkr-tools up"
        )
    elif session.state in _PASSES:
        yield _SESSION.notice((f"{session.state.value}: ", why), "ibkr-tools status")
    else:
        yield _SESSION.ok((f"{session.state.value}: ", why))
    if session.limited_until is not None and session.limited_until > now:
        yield _SESSION.notice(
            f"IBKR has shut this address out until {session.limited_until:%H:%M} UTC: too many requests"
        )


def check_budget(subject: Subject) -> Iterator[Finding]:
    """Judges the login log, as who owns it."""
    if not subject.has_gateway:
        return
    logins = subject.config.login if subject.config is not None else LoginConfig()
    log = LoginLog(subject.directories.login, logins.logins_a_day, directories=subject.directories)
    try:
        log.attempts(subject.now)
    except DataError:
        yield _LOGIN.unseen("this user may not read the login log")
        return
    yield from judge_budget(log.budget(subject.now), is_installed=subject.is_installed)


def judge_budget(budget: Budget, *, is_installed: bool) -> Iterator[Finding]:
    """Yields whether a login is allowed."""
    counts = f"in 24 h {budget.logins_24h} succeeded, {budget.failures_24h} failed"
    tool = "sudo ibkr-tools" if is_installed else "ibkr-tools"
    if budget.locked or budget.person:
        yield _LOGIN.fault(("nothing logs in until a person has acted: ", Private(budget.why)), f"{tool} unlock")
    elif budget.failures_24h > 0 and not budget.allowed:
        yield _LOGIN.notice((f"{counts}; the next one has to wait: ", Private(budget.why)), f"{tool} unlock --show")
    else:
        yield _LOGIN.ok(counts)


def check_token(subject: Subject) -> Iterator[Finding]:
    """Judges how long the token of the Flex Web Service is still good."""
    config = subject.config
    if config is None or config.flex.query is None:
        yield _TOKEN.ok("no statements are fetched")
        return
    expires = config.flex.token_expires
    renew = (
        f"sudoedit {subject.config_file}"
        if subject.is_installed
        else f"ibkr-tools --config {subject.config_file} flex check"
    )
    if expires is None:
        yield _TOKEN.notice("flex.token_expires is not set, so nobody warns of the token's end", Private(renew))
        return
    stage = token_expiry.warning_stage(expires, subject.now.date())
    if stage is None:
        yield _TOKEN.ok(f"good until {expires}")
    elif stage == 0:
        yield _TOKEN.fault(f"{token_expiry.describe_expiry(expires, stage)}: make a new one at IBKR", Private(renew))
    else:
        yield _TOKEN.notice(token_expiry.describe_expiry(expires, stage), Private(renew))
