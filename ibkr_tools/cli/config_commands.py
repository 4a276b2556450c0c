"""`ibkr-tools config …`: check the configuration, print its schema, move the secrets out of it."""

import os
from typing import TYPE_CHECKING

import typer

from ibkr_tools.cli.app_context import app_context_of
from ibkr_tools.cli.help_command import HelpCommand, HelpGroup
from ibkr_tools.cli.streams import write_out, write_report

if TYPE_CHECKING:
    from pathlib import Path

    from ibkr_tools.cli.app_context import AppContext
    from ibkr_tools.config.password_adoption import AdoptedSecret
    from ibkr_tools.config.schema import Config

app = typer.Typer(cls=HelpGroup, no_args_is_help=True, help="Check the configuration and print the published schemas.")


@app.command(cls=HelpCommand)
def check(context: typer.Context) -> None:
    """Check the configuration and the secrets that can be read; every problem is named at once (exit code 78)."""
    from ibkr_tools.config.check import machine_warnings, unit_warnings
    from ibkr_tools.directories import SYSTEM_CONFIGURATION
    from ibkr_tools.entrypoint import print_stderr
    from ibkr_tools.instance import current_instance, directory_of
    from ibkr_tools.privileges import service_user, user_id

    app_context = app_context_of(context)
    config = app_context.load()
    notes, secret_warnings = _require_usable_values(app_context.config_file, config)
    warnings = [*secret_warnings, *machine_warnings(config)]
    if app_context.config_file.absolute().parent == directory_of(SYSTEM_CONFIGURATION, current_instance()):
        warnings += unit_warnings(config, user_id(service_user()))
    warnings += _shared_port(app_context)
    for warning in warnings:
        print_stderr(f"warning: {warning}", 30)
    more = "".join(f"; {note}" for note in notes)
    write_report(f"{app_context.config_file}: fine; user {config.username}, account {config.account}{more}\n")


def _shared_port(app_context: "AppContext") -> list[str]:
    """Returns that another instance has the port of the gateway, as far as this user may see it."""
    from ibkr_tools.errors import ConfigError
    from ibkr_tools.gateway.instance_ports import require_own_port

    runtime = app_context.unchecked_directories.runtime
    try:
        require_own_port(app_context.instance, app_context.config_file.absolute(), runtime)
    except ConfigError as error:
        return [f"{error.message}; {error.hint}"]
    return []


def _require_usable_values(file: "Path", config: "Config") -> tuple[list[str], list[str]]:
    """Returns notes about the secrets, and warnings.

    Raises:
        ConfigError: something would be refused when it is used; the message names all of it.
    """
    from ibkr_tools.config.check import unusable_values
    from ibkr_tools.config.secrets import check_passwords, check_token
    from ibkr_tools.errors import ConfigError
    from ibkr_tools.fetch.plan import plan_snapshot
    from ibkr_tools.login.selector_syntax import find_selector_error

    errors, warnings = check_passwords(file, config)
    errors += check_token(file, config)
    try:
        plan_snapshot(config.fetch.resources, {}, config.session.tier)
    except ConfigError as error:
        errors.append(error)
    errors += [ConfigError(line) for line in unusable_values(config)]
    for name, selectors in config.login.selectors.items():
        checked = ((selector, find_selector_error(selector)) for selector in selectors)
        errors += [
            ConfigError(f"login.selectors.{name}: {selector!r}: {problem}") for selector, problem in checked if problem
        ]
    notes = []
    password_file = file.with_name("password")
    if os.path.exists(password_file) and not os.access(password_file, os.R_OK):  # noqa: PTH110  # a closed folder is no error
        notes.append(f"only root can check the password in {password_file}")
    if config.login.second_factor.method != "none":
        from ibkr_tools.login.otp import check_second_factor

        try:
            notes += [problem] if (problem := check_second_factor(config, file)) else []
        except ConfigError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        lines = "\n".join(f"  {error.message}" for error in errors)
        raise ConfigError(
            f"{file}: {len(errors)} problems:\n{lines}", hint=next((error.hint for error in errors), None)
        )
    return notes, warnings


@app.command(cls=HelpCommand)
def schema(
    status: bool = typer.Option(False, "--status", help="The schema of status.json instead of config.json."),
) -> None:
    """Print the JSON Schema of config.json, for editors."""
    import msgspec

    from ibkr_tools import status as status_module
    from ibkr_tools.config.schema import json_schema as config_schema

    document = status_module.json_schema() if status else config_schema()
    write_out(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


@app.command(cls=HelpCommand)
def adopt_password(context: typer.Context) -> None:
    """Move "password" to the file `password` beside the configuration, as bin/install does; name what else has one."""
    from ibkr_tools.config.password_adoption import PASSWORD

    _adopt(PASSWORD, _own_config_file(context), "password", "totp", "database-password")


@app.command(cls=HelpCommand)
def adopt_token(context: typer.Context) -> None:
    """Move "token" of "flex" to the file `flex-token` beside the configuration; name what else has one."""
    from ibkr_tools.config.password_adoption import TOKEN

    _adopt(TOKEN, _own_config_file(context), "flex-token")


def _own_config_file(context: typer.Context) -> "Path":
    """Returns the configuration, beside which this user may write."""
    app_context = app_context_of(context)
    app_context.require_rights(app_context.config_file.parent)
    return app_context.config_file


def _adopt(secret: "AdoptedSecret", config: "Path", file_name: str, *others: str) -> None:
    """Moves a secret to its file beside the configuration, and warns of copies of that or of the `others`."""
    from ibkr_tools.config import password_adoption

    file = config.with_name(file_name)
    try:
        if summary := password_adoption.adopt(secret, config, file):
            write_report(f"{summary}\n")
    finally:
        sources = (file, *(config.with_name(name) for name in others))
        for path in password_adoption.find_copies(config.parent, *sources, secret=secret):
            name = path if str(path).isprintable() else ascii(str(path))
            typer.echo(f"warning: {name} has a {secret.what} in it; delete it, or take the {secret.what} out", err=True)
