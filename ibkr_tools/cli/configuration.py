"""`ibkr-tools config …`: check the configuration, print its schema, move the password out of it."""

import typer

from ibkr_tools.cli.common import setting_of, write_out

app = typer.Typer(no_args_is_help=True, help="Check the configuration and print the published schemas.")


@app.command()
def check(context: typer.Context) -> None:
    """Check the configuration; every problem is named at once (exit code 78)."""
    from ibkr_tools.fetch.calls import plan

    setting = setting_of(context)
    config = setting.load()
    plan(config.fetch.resources, {}, config.session.tier)
    told = None
    if config.login.second_factor.method != "none":
        from ibkr_tools.login.factor import check_second_factor

        told = check_second_factor(config, setting.config_file)
    more = f"; {told}" if told else ""
    write_out(f"{setting.config_file}: fine; user {config.username}, account {config.account}{more}\n")


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
