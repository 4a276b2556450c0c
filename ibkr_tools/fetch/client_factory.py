"""Creates the clients of one installation: they trust its gateway, and share one request budget."""

from collections.abc import Callable

from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories, user_cache
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.portal.rate_limiter import SharedRateLimiter
from ibkr_tools.portal.response_cache import ResponseCache


class ClientFactory:
    """Creates clients; each belongs to the thread that uses it."""

    def __init__(self, config: Config, directories: Directories) -> None:
        self._config = config
        self._directories = directories
        # One for all, for where its file cannot be written.
        self._rate_limiter = SharedRateLimiter(
            directories.pacing_file, directories.penalty_file, shared=directories.shared_pacing_file
        )

    def create(self, on_wait: Callable[[str, float], None] | None = None) -> PortalClient:
        """Returns a new client; see `PortalClient` on `on_wait`."""
        return PortalClient(
            self._config.gateway.port,
            self._directories.certificate,
            self._rate_limiter,
            ResponseCache(
                self._directories.cache,
                self._config.username,
                fallback=user_cache(),
                paper=self._config.session.paper,
            ),
            on_wait=on_wait,
        )
