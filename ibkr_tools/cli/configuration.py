"""`ibkr-tools config …`: check the configuration, print its schema, move the password out of it."""

import os
from typing import TYPE_CHECKING

import typer

from ibkr_tools.cli.common import setting_of, write_out

if TYPE_CHECKING:
    from pathlib import Path

    from ibkr_tools.config import Config

app = typer.Typer(no_args_is_help=True, help="Check the configuration and print the published schemas.")


@app.command()
def check(context: typer.Context) -> None:
    """Check the configuration and the secrets that can be read; every problem is named at once (exit code 78)."""
    from ibkr_tools.config_check import machine_remarks, unit_remarks
    from ibkr_tools.directories import SYSTEM_CONFIGURATION
    from ibkr_tools.guard import tell
    from ibkr_tools.privileges import SERVICE_USER, user_id

    setting = setting_of(context)
    config = setting.load()
    told, odd = _require_parts(setting.config_file, config)
    remarks = [*odd, *machine_remarks(config)]
    if setting.config_file.absolute().parent == SYSTEM_CONFIGURATION:
        remarks += unit_remarks(config, user_id(SERVICE_USER))
    for remark in remarks:
        tell(f"warning: {remark}", 30)
    more = "".join(f"; {one}" for one in told)
    write_out(f"{setting.config_file}: fine; user {config.username}, account {config.account}{more}\n")


def _require_parts(file: "Path", config: "Config") -> tuple[list[str], list[str]]:
    """Returns what is to be told of the secrets, and what is odd about them.

    Raises:
        ConfigError: something would be refused when it is used; the message names all of it.
    """
    from ibkr_tools.config_check import refusals
    from ibkr_tools.config_secrets import check_passwords
    from ibkr_tools.errors import ConfigError
    from ibkr_tools.fetch.calls import plan
    from ibkr_tools.login.selector_syntax import find_selector_error

    wrong, odd = check_passwords(file, config)
    try:
        plan(config.fetch.resources, {}, config.session.tier)
    except ConfigError as error:
        wrong.append(error)
    wrong += [ConfigError(line) for line in refusals(config)]
    for name, selectors in config.login.selectors.items():
        found = ((selector, find_selector_error(selector)) for selector in selectors)
        wrong += [ConfigError(f"login.selectors.{name}: {one!r}: {said}") for one, said in found if said]
    told = []
    kept = file.with_name("password")
    if os.path.exists(kept) and not os.access(kept, os.R_OK):  # noqa: PTH110  # a closed folder is no error
        told.append(f"only root can check the password in {kept}")
    if config.login.second_factor.method != "none":
        from ibkr_tools.login.otp import check_second_factor

        try:
            told += [said] if (said := check_second_factor(config, file)) else []
        except ConfigError as error:
            wrong.append(error)
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        lines = "\n".join(f"  {one.message}" for one in wrong)
        raise ConfigError(f"{file}: {len(wrong)} problems:\n{lines}", hint=next((one.hint for one in wrong), None))
    return told, odd


@app.command()
def schema(
    status: bool = typer.Option(False, "--status", help="The schema of status.json instead of config.json."),
) -> None:
    """Print the JSON Schema of config.json, for editors."""
    import msgspec

    from ibkr_tools import config
    from ibkr_tools import status as status_module

    document = status_module.schema() if status else config.schema()
    write_out(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


@app.command()
def adopt_password(context: typer.Context) -> None:
    """Move "password" to the file `password` beside the configuration, as bin/install does; name what else has one."""
    from ibkr_tools import config_password

    config = setting_of(context).config_file
    kept = config.with_name("password")
    try:
        if told := config_password.adopt_password(config, kept):
            write_out(f"{told}\n")
    finally:
        for path in config_password.copies(config.parent, kept, config.with_name("totp")):
            name = path if str(path).isprintable() else ascii(str(path))
            typer.echo(f"warning: {name} has a password in it; delete it, or take the password out", err=True)
