"""The commands about logging in: do it now, see and clear the budget, have nothing log in for a while."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from ibkr_tools.cli import completers
from ibkr_tools.cli.app_context import AppContext, app_context_of, log_to_stderr
from ibkr_tools.cli.streams import write_out, write_report
from ibkr_tools.errors import ConfigError, LoginFailed, OutputError, UsageError
from ibkr_tools.status import LoginSection, utc_now

if TYPE_CHECKING:
    from ibkr_tools.config.schema import Config
    from ibkr_tools.directories import Directories


def login(
    context: typer.Context,
    unattended: Annotated[
        bool, typer.Option("--unattended", help="Obey the login budget and its waits, as ibkr-login.service does.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Submit a password once more that IBKR has refused; says what is left.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what would be taken for what on IBKR's page; submit nothing.")
    ] = False,
) -> None:
    """Log in once with the browser, unless the session is alive."""
    from ibkr_tools.config.secrets import SecretSource
    from ibkr_tools.login.login_runner import run_login
    from ibkr_tools.login.memory_protection import forbid_core_files, hide_memory
    from ibkr_tools.login.network_isolation import isolated_network
    from ibkr_tools.sd_notify import SystemdNotifier

    if again and unattended:
        raise UsageError("--again is a person's decision: not with --unattended")
    if explain and (again or unattended):
        raise UsageError("--explain submits nothing: not with --again or --unattended")
    forbid_core_files()
    hide_memory()
    app_context = app_context_of(context)
    log_to_stderr(app_context)
    directories = app_context.directories
    app_context.require_rights(directories.login)
    config = app_context.load()
    secrets = SecretSource(app_context.config_file, config)
    if os.geteuid() == 0:
        secrets.read_now()
        app_context.drop_root()
    with isolated_network(config.gateway.port, os.environ) as spawn:
        hide_memory()
        if explain:
            _explain(config, directories)
            return
        run_login(
            config,
            directories,
            app_context.config_file,
            secrets=secrets,
            unattended=unattended,
            again=again,
            notifier=SystemdNotifier(),
            spawn=spawn,
        )


def _explain(config: "Config", directories: "Directories") -> None:
    from ibkr_tools.login.login_runner import make_client
    from ibkr_tools.login.page_explanation import explain_page, render_explanation

    try:
        explanation = explain_page(config, directories, make_client(config, directories), now=utc_now())
    except OSError as error:
        raise OutputError(f"{error.filename or directories.login}: {error.strerror}") from error
    write_out(render_explanation(explanation))
    if explanation.problem is not None:
        raise LoginFailed(f"no form to log in with: {explanation.problem}")


def _logins_a_day(app_context: AppContext) -> int:
    """Returns what is configured; a configuration that is not there or wrong keeps nobody from unlocking."""
    from ibkr_tools.config.schema import LoginConfig

    try:
        return app_context.load().login.logins_a_day
    except ConfigError:
        return LoginConfig().logins_a_day


def unlock(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--show", help="Only show the login log and its budget.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print login log and budget as JSON.")] = False,
) -> None:
    """Show the login log, clear the budget after a lock-out, and let the watchdog try again."""
    from ibkr_tools.cli import login_log_view
    from ibkr_tools.login.login_log import LoginLog

    app_context = app_context_of(context)
    now = utc_now()
    app_context.require_rights(app_context.directories.login)
    login_log = LoginLog(app_context.directories.login, _logins_a_day(app_context), directories=app_context.directories)
    attempts, before = login_log.attempts(now), login_log.budget(now)
    if show:
        if json:
            write_out(login_log_view.as_json(attempts, before))
        else:
            write_report(login_log_view.as_text(attempts, before))
        return
    if not json:
        write_report(login_log_view.as_text(attempts, before) + "\n")
    after = login_log.unlock(now)
    section = LoginSection(
        updated_at=now,
        state="unlocked",
        why="a person cleared the login budget",
        retry_at=after.wait_until,
        failures_24h=after.failures_24h,
        logins_24h=after.logins_24h,
        logins_limited_until=after.logins_limited_until,
    )
    try:
        app_context.status_file.write(section)
    except OSError as error:
        raise OutputError(f"{app_context.status_file.path}: {error.strerror}") from error
    if json:
        write_out(login_log_view.as_json(login_log.attempts(now), after))
    if after.closed_until:
        raise LoginFailed(f"cleared, but that does not help yet: {after.why}")
    if json:
        return
    if not after.allowed:
        write_report(f"unlocked; {after.why}\n")
    else:
        write_out("unlocked; nothing was locked\n" if before.allowed else "unlocked; logins are allowed again\n")


def pause(
    context: typer.Context,
    duration: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="How long: 45min, 2h, 1h30min, 1d; without it until `resume`.",
            metavar="DURATION",
            autocompletion=completers.choices("45min", "2h", "1d"),
        ),
    ] = None,
) -> None:
    """Have nothing log in, such as while you use the user elsewhere; a session that is there is kept alive."""
    from ibkr_tools import pause_file as pauses
    from ibkr_tools.cli import member_pause, member_rights
    from ibkr_tools.cli.durations import parse_duration

    app_context, now = app_context_of(context), utc_now()
    path = app_context.directories.pause_file
    wanted = pauses.Pause(since=now, until=now + parse_duration(duration, "--for") if duration is not None else None)
    if member_rights.may_ask_watchdog(app_context):
        member_pause.ask_watchdog(app_context, paused=True, until=wanted.until)
    else:
        app_context.require_rights(path)
        try:
            pauses.begin(path, wanted)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from error
    write_report(
        f"{wanted.why}\n"
        "Meanwhile nothing logs in, across restarts and reboots.\n"
        "A session that is there is kept alive; if it is lost, it stays lost.\n"
    )


def resume(context: typer.Context) -> None:
    """End a pause: logins happen again, and the watchdog asks for one if there is no session."""
    from ibkr_tools import pause_file as pauses
    from ibkr_tools.cli import member_pause, member_rights

    app_context = app_context_of(context)
    path = app_context.directories.pause_file
    if member_rights.may_ask_watchdog(app_context):
        was_paused = member_pause.ask_watchdog(app_context, paused=False)
    else:
        app_context.require_rights(path)
        try:
            was_paused = pauses.end(path)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from error
    write_out("resumed; logins happen again\n" if was_paused else "nothing was paused\n")
