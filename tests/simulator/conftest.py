"""The simulator that the tests of a module share, and who calls it.

A module says what its simulator is like: `pytestmark = pytest.mark.simulator(positions=120)`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.fetch import snapshot_fetcher
from ibkr_tools.simulator import Simulator
from tests.support.caller import Caller
from tests.support.installation import Installation
from tests.support.simulation import gateway_options, simulator_options

MARKER = (
    "simulator(gateway=False, user=None, **options): what the module's simulator is like; "
    "whether it is the gateway itself, who is signed in when a test begins, and its options"
)


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marker."""
    config.addinivalue_line("markers", MARKER)


def _wanted(request: pytest.FixtureRequest) -> dict[str, Any]:
    marker = request.node.get_closest_marker("simulator")
    return dict(marker.kwargs) if marker else {}


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """The module's simulator, for as long as the module runs; a test asks for `simulator`."""
    changes = {key: value for key, value in _wanted(request).items() if key not in {"gateway", "user"}}
    if _wanted(request).get("gateway"):
        options = gateway_options(tmp_path_factory.mktemp("gateway"), **changes)
    else:
        options = simulator_options(**changes)
    with Simulator(options) as simulator:
        yield simulator


@pytest.fixture
def simulator(request: pytest.FixtureRequest, shared: Simulator) -> Iterator[Simulator]:
    """The module's simulator; troubles and sessions end with the test."""
    user = _wanted(request).get("user")
    if user is not None:
        shared.control.login(user)
    yield shared
    shared.control.clear()
    shared.control.drop()


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str], simulator: Simulator) -> Installation:
    """A configured user of the simulator."""
    installation = Installation(tmp_path, environment)
    installation.configure(simulator.port, simulator.options.certificate)
    return installation


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a fetch read one page after the other: where a busy machine answers slowly, it asks for later ones early."""
    monkeypatch.setattr(snapshot_fetcher, "MIN_REQUEST_INTERVAL_S", 3600.0)


@pytest.fixture
def caller(simulator: Simulator) -> Caller:
    """Somebody who is not signed in."""
    return Caller(simulator.port, tls=simulator.options.is_gateway)


@pytest.fixture
def reader(simulator: Simulator) -> Caller:
    """Somebody who may only read reports."""
    return Caller(simulator.port, token=simulator.control.login("demo-reader"))


@pytest.fixture
def trader(simulator: Simulator) -> Caller:
    """Somebody with the brokerage tier, who has asked for nothing yet."""
    return _with_brokerage(simulator, "demo-trader")


@pytest.fixture
def advisor(simulator: Simulator) -> Caller:
    """The same, with clients."""
    return _with_brokerage(simulator, "demo-advisor")


def _with_brokerage(simulator: Simulator, username: str) -> Caller:
    caller = Caller(simulator.port, token=simulator.control.login(username))
    caller.post("/v1/api/iserver/auth/ssodh/init", {"publish": True, "compete": True})
    return caller
