"""Where the history is: in the database that the configuration names, else in a file."""

import os
from collections.abc import Callable
from pathlib import Path

from ibkr_tools.config.schema import Config
from ibkr_tools.config.secrets import read_database_password
from ibkr_tools.history.database import HistoryDatabase
from ibkr_tools.history.postgres import PostgresHistory
from ibkr_tools.history.queries import HistoryQueries


def open_history(file: Path, config_file: Path, load: Callable[[], Config]) -> HistoryQueries:
    """Returns the history, to be read; nothing is read yet but the configuration.

    Args:
        file: that of SQLite.
        config_file: the configuration's; it need not be there.
        load: reads it.

    Raises:
        ConfigError: the configuration is wrong or cannot be read.
    """
    return postgres_of(config_file, load) or HistoryDatabase(file)


def postgres_of(config_file: Path, load: Callable[[], Config]) -> PostgresHistory | None:
    """Returns the database that the configuration names; None: it names none, or is not there. See `open_history`."""
    if not os.access(config_file, os.F_OK):
        return None
    config = load()
    if config.history.database is None:
        return None
    password = read_database_password(config_file, config)
    return PostgresHistory(config.history.database, None if password is None else password.reveal())
