"""Clients of one installation: they trust its gateway, and draw on the budget that all of its processes share."""

from collections.abc import Callable
from functools import cached_property

from ibkr_tools.config import Config
from ibkr_tools.directories import Directories
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.pacing import SharedPacing
from ibkr_tools.portal.recall import Recall


class Clients:
    """Makes them; each belongs to one thread."""

    def __init__(self, config: Config, directories: Directories) -> None:
        self._config = config
        self._directories = directories

    @cached_property
    def _pacing(self) -> SharedPacing:
        # One for all, for where its file cannot be written.
        return SharedPacing(self._directories.pacing_file, self._directories.penalty_file)

    def make(self, on_wait: Callable[[str, float], None] | None = None) -> PortalClient:
        """Returns a new one; see `PortalClient` on `on_wait`."""
        return PortalClient(
            self._config.gateway.port,
            self._directories.certificate,
            self._pacing,
            Recall(self._directories.runtime, self._config.username, paper=self._config.session.paper),
            on_wait=on_wait,
        )
