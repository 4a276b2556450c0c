"""`ibkr-tools watchdog`: keeps the session alive."""

import typer

from ibkr_tools.cli.app_context import app_context_of


def watchdog(context: typer.Context) -> None:
    """Keep the session alive, notice its loss, have it renewed (what ibkr-watchdog.service runs)."""
    app_context = app_context_of(context)
    app_context.require_rights(app_context.directories.runtime)
    app_context.exec_module("ibkr_tools.watchdog")
