"""`ibkr-tools password`: puts another password where only root and the login can read it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.streams import write_out
from ibkr_tools.entrypoint import print_stderr
from ibkr_tools.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ibkr_tools.config.secrets import Secret


def password(
    context: typer.Context,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read it from standard input instead of asking.")
    ] = False,
    login: Annotated[
        bool | None, typer.Option("--login/--no-login", help="Log in once with it, or leave that to the next login.")
    ] = None,
) -> None:
    """Change the password, which goes to a file that only root can read; what IBKR refused is cleared (as root)."""
    from ibkr_tools.cli import prompts
    from ibkr_tools.config.config_writer import read_editable, write_document
    from ibkr_tools.config.secret_writer import read_stored_secret, write_secret
    from ibkr_tools.installation import INSTALL_SERVICES
    from ibkr_tools.login.memory_protection import forbid_core_files, hide_memory
    from ibkr_tools.privileges import group_id, service_user
    from ibkr_tools.setup.own_commands import OwnCommands
    from ibkr_tools.setup.setup_plan import next_step

    prompts.require_root("password")
    forbid_core_files()
    hide_memory()
    app_context = app_context_of(context)
    file = app_context.config_file
    place = file.with_name("password")
    if not file.parent.is_dir():
        raise ConfigError(f"{file.parent}: not there", hint=f"{INSTALL_SERVICES} makes it.")
    document = read_editable(file)
    former = document.get("password") or read_stored_secret(place, "password")
    is_asked = not password_stdin and prompts.is_interactive()
    if not (password_stdin or is_asked):
        raise UsageError("no terminal to ask on: --password-stdin reads the password from standard input")
    new = _new_password(is_asked=is_asked)
    write_secret("password", place, new.reveal())
    if "password" in document:
        del document["password"]
        write_document(file, document, group_id(service_user()))
    write_out(f"{place}: written; only root can read it\n")
    _warn_of_other_places(document, place)
    commands = OwnCommands(app_context.options())
    if new.reveal() == former:
        write_out("it is the one that was there\n")
    elif commands.is_refused():
        commands.run("unlock")
    if commands.succeeds("status"):
        write_out("the session that is there goes on; the next login takes this password\n")
        return
    if login is None:
        login = is_asked and prompts.confirm("Log in once now with it")
    if login and (code := commands.run("login")):
        print_stderr(f"next: {next_step(code)}", 20)
        raise typer.Exit(code)


def _new_password(*, is_asked: bool) -> "Secret":
    from ibkr_tools.cli import prompts

    try:
        typed = prompts.ask_password("New password", may_be_kept=False) if is_asked else None
    except typer.Abort:
        print_stderr("\nnothing was changed")
        raise typer.Exit(130) from None
    return typed or prompts.read_password()


def _warn_of_other_places(document: "Mapping[str, Any]", place: Path) -> None:
    """Says where else a password may come from, before this one."""
    from ibkr_tools.setup.systemd_units import SystemdUnits

    section = document.get("login") or {}
    if other := section.get("password_file"):
        print_stderr(f"warning: a login by hand takes the one in login.password_file before it: {other}", 30)
    try:
        is_encrypted = SystemdUnits().has_encrypted_password()
    except ConfigError:
        return
    if is_encrypted:
        print_stderr(f"warning: ibkr-login.service takes an encrypted credential, and not {place}", 30)
