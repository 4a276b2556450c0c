"""What holds for every test: nothing leaves this machine, and nothing of the machine's own set-up gets in."""

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.examples import load_profile
from tests.support.installation import Installation

load_profile()

# What Python looks through for garbage grows with every test that was collected, and hardly any of it ever is.
gc.set_threshold(20_000, 20, 50)

# A job in the background of a script ignores Ctrl-C, and so does what it starts; the programs under test must not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

FOREIGN = (
    *("CONFIGURATION_DIRECTORY", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"),
    *("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM", "INVOCATION_ID"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("XDG_RUNTIME_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
"""Variables that systemd, a login or a proxy's administrator may have set where the tests run."""

_BIG = frozenset({"gateway", "system", "browser"})
"""Layers that bring an environment of their own: npm's configuration, a container, a browser."""

_guarded: list[bool] = []


def pytest_collection_finish() -> None:
    """Takes what was collected out of what Python looks through."""
    gc.collect()
    gc.freeze()


def is_local(address: object) -> bool:
    """Says whether a socket address stays on this machine."""
    if not isinstance(address, tuple):
        # AF_UNIX, AF_ALG: never on a wire.
        return True
    return str(address[0]).startswith("127.") or address[0] in {"localhost", "::1"}


def _forbid_foreign_connections(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and _guarded and not is_local(arguments[1]):
        raise PermissionError(f"a test may not connect to {arguments[1]!r}")


# Audit hooks cannot be taken back; this one acts only while a test runs.
sys.addaudithook(_forbid_foreign_connections)


def _is_big(request: pytest.FixtureRequest) -> bool:
    return bool(_BIG & {mark.name for mark in request.node.iter_markers()})


@pytest.fixture(autouse=True)
def _stay_on_this_machine(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that would talk to another machine, but for the big layers."""
    if not _is_big(request):
        _guarded.append(True)
    yield
    _guarded.clear()


@pytest.fixture(autouse=True)
def _own_environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Takes the machine's variables away and gives the test a home of its own."""
    if _is_big(request):
        return
    for name in FOREIGN:
        # Most are not there, thousands of times.
        if name in os.environ:
            monkeypatch.delenv(name)
    # Downloads that tests share stay where they are.
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"))
    monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp() / "home"))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment for a program of ours: this checkout, a home of its own, nothing of ours set."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return kept | {"PYTHONPATH": str(Path(__file__).parents[1]), "HOME": str(tmp_path)}


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """The test's own folder, which any user may enter: pytest makes it, and those above, for the user of the tests."""
    ours = Path(os.environ.get("PYTEST_DEBUG_TEMPROOT") or tempfile.gettempdir())
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.is_relative_to(ours) or folder == ours:
            break
        folder.chmod(0o755)
    return tmp_path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """Where a distribution of IBKR's gateway is installed."""
    return tmp_path / "state/gateway/clientportal.gw"


@pytest.fixture
def accepted(tmp_path: Path) -> Path:
    """The list of builds that a person has accepted."""
    return tmp_path / "state/gateway/accepted.json"


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificate and key of the one gateway to trust."""
    # The simulator, whose libraries the process that only hands out the tests need not load.
    from tests.support.simulation import make_certificate

    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder)
    return folder


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    """A configured user; no gateway runs."""
    installation = Installation(tmp_path, environment)
    installation.configure(1025)
    return installation
