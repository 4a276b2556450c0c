"""A simulator that is the gateway, with a session, and a client that trusts it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ibkr_tools.fetch.account_list import SnapshotSelection
from ibkr_tools.fetch.plan import SnapshotPart
from ibkr_tools.fetch.snapshot_document import SnapshotDocument
from ibkr_tools.fetch.snapshot_fetcher import SnapshotFetcher
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.simulator import Simulator
from ibkr_tools.status import utc_now
from tests.support.no_rate_limit import NoRateLimit
from tests.support.simulation import gateway_options

__all__ = ["asked", "client_of", "fetched_document", "signed_in"]


@contextmanager
def signed_in(folder: Path, *, user: str | None = "demo-reader", **options: object) -> Iterator[Simulator]:
    """Runs a simulator as the gateway; `user` is logged in, None: nobody. Its certificate is in `folder`."""
    with Simulator(gateway_options(folder, **options)) as simulator:
        if user is not None:
            simulator.control.login(user)
        yield simulator


def client_of(simulator: Simulator, *, read_timeout_s: float = 5.0, owns_session: bool = False) -> PortalClient:
    """Returns a client of the simulator, without a budget."""
    certificate = simulator.options.certificate
    assert certificate is not None
    return PortalClient(
        simulator.port, certificate, NoRateLimit(), read_timeout_s=read_timeout_s, owns_session=owns_session
    )


def fetched_document(
    simulator: Simulator, parts: Sequence[SnapshotPart], selection: SnapshotSelection
) -> SnapshotDocument:
    """Fetches a snapshot without waiting between repeats."""
    with SnapshotFetcher(lambda: client_of(simulator), now=utc_now, sleep=lambda _: None) as fetcher:
        return fetcher.fetch(parts, fetcher.accounts.select(parts, selection))


def asked(simulator: Simulator, path: str) -> int:
    """Says how many requests came whose path contains `path`."""
    requests: dict[str, int] = simulator.control.state()["requests"]
    return sum(count for name, count in requests.items() if path in name)
