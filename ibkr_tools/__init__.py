"""Keeps one read-only Interactive Brokers user signed in, and turns the account into files and tables.

For scripts and notebooks: `Connection()` asks IBKR, `latest()` reads what was saved, `History()` the account over time;
docs/python.md shows how.
"""

__version__ = "0.2.0"

# What typing.TYPE_CHECKING means to type checkers, without loading typing: small programs start with this package.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ibkr_tools.errors import (
        ActionRequired,
        BrokerageUnavailable,
        ConfigError,
        DataError,
        GatewayUnavailable,
        IbkrError,
        OutputError,
        RateLimited,
        SessionUnavailable,
        SnapshotMissing,
        UpstreamUnavailable,
        UsageError,
    )
    from ibkr_tools.fetch.holdings import Holding, Holdings
    from ibkr_tools.fetch.snapshot import Snapshot
    from ibkr_tools.fetch.snapshot_document import SnapshotMetadata
    from ibkr_tools.history_api import History
    from ibkr_tools.python_api import Connection, latest

__all__ = [
    "ActionRequired",
    "BrokerageUnavailable",
    "ConfigError",
    "Connection",
    "DataError",
    "GatewayUnavailable",
    "History",
    "Holding",
    "Holdings",
    "IbkrError",
    "OutputError",
    "RateLimited",
    "SessionUnavailable",
    "Snapshot",
    "SnapshotMetadata",
    "SnapshotMissing",
    "UpstreamUnavailable",
    "UsageError",
    "latest",
]


if not TYPE_CHECKING:
    # Hidden from type checkers: they would believe that every name is there.
    def __getattr__(name: str) -> object:
        """Loads what is asked for by name; `import ibkr_tools` alone loads nothing."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ibkr_tools import errors, python_api
        from ibkr_tools.fetch import holdings, snapshot_document

        if name == "History":
            # Alone: the database's library takes a quarter of a second to load.
            from ibkr_tools.history_api import History

            return History
        modules = (errors, python_api, holdings, snapshot_document)
        return next(getattr(module, name) for module in modules if hasattr(module, name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
