"""Where the history is: in the database that the configuration names, else in a file."""

from collections.abc import Callable
from pathlib import Path

from ibkr_tools.config.schema import Config
from ibkr_tools.config.secrets import Secret
from ibkr_tools.history.database import HistoryDatabase
from ibkr_tools.history.postgres import PostgresHistory
from ibkr_tools.history.queries import HistoryQueries


def open_history(file: Path, config: Config | None, read_password: Callable[[], Secret | None]) -> HistoryQueries:
    """Returns the history, to be read; nothing is read yet but the password.

    Args:
        file: that of SQLite.
        config: the configuration, if there is one.
        read_password: returns that of the database, None where libpq looks for it.

    Raises:
        ConfigError: the password cannot be read.
    """
    return postgres_of(config, read_password) or HistoryDatabase(file)


def postgres_of(config: Config | None, read_password: Callable[[], Secret | None]) -> PostgresHistory | None:
    """Returns the database that the configuration names; None: it names none, or is not there. See `open_history`."""
    if config is None or config.history.database is None:
        return None
    password = read_password()
    return PostgresHistory(config.history.database, None if password is None else password.reveal())
