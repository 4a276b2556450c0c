"""A simulator that is the gateway, the directories of one user, and a login with real Chromium."""

import base64
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ibkr_tools.config.loader import load_config
from ibkr_tools.config.schema import Config
from ibkr_tools.directories import Directories
from ibkr_tools.login.browser_login import open_chromium
from ibkr_tools.login.browser_protocol import OpenBrowser
from ibkr_tools.login.login_end import LoginResult
from ibkr_tools.login.login_runner import run_login
from ibkr_tools.login.login_timers import Patience
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.simulator import ControlClient, Simulator
from ibkr_tools.status import LoginSection, StatusFile
from tests.browser.shared_chromium import SharedChromium
from tests.support.no_rate_limit import NoRateLimit
from tests.support.simulation import make_certificate, simulator_options

PASSWORD = "demo-password"

HURRIED = Patience(
    total=timedelta(seconds=30),
    form=timedelta(seconds=6),
    silent_form=timedelta(seconds=2),
    loading=timedelta(seconds=4),
    unchanged_form=timedelta(seconds=2),
    unexpected=timedelta(seconds=1),
    session=timedelta(seconds=3),
)


def spki_of(certificate: Path) -> str:
    """Return what Chromium wants to know of a certificate."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


@dataclass
class Home:
    """One user's directories, beside a simulator that plays the gateway.

    Logins have the Chromium that the tests share: `chromium`; None: each starts one, as the program does. `settings`
    are more sections of the configuration file; `adjust` may change what was read from it.
    """

    root: Path
    port: int
    control: ControlClient
    certificate: Path
    chromium: SharedChromium | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    adjust: Callable[[Config], Config] = lambda config: config

    @property
    def directories(self) -> Directories:
        return Directories(configuration=self.root / "conf", runtime=self.root / "run", state=self.root / "state")

    def configure(self, username: str = "demo-reader", password: str = PASSWORD, *, paper: bool = False) -> Path:
        file = self.root / "conf" / "config.json"
        file.parent.mkdir(exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(
            json.dumps(
                {
                    "username": username,
                    "account": "U1234567",
                    "password": password,
                    "gateway": {"port": self.port},
                    "session": {"paper": paper},
                    **self.settings,
                }
            )
        )
        return file

    def login(
        self,
        username: str = "demo-reader",
        password: str = PASSWORD,
        *,
        paper: bool = False,
        unattended: bool = False,
        again: bool = False,
        patience: Patience = HURRIED,
        notifier: SystemdNotifier | None = None,
    ) -> LoginResult:
        file = self.configure(username, password, paper=paper)
        with PortalClient(self.port, self.certificate, NoRateLimit(), read_timeout_s=5) as client:
            return run_login(
                self.adjust(load_config(file)),
                self.directories,
                file,
                unattended=unattended,
                again=again,
                client=client,
                notifier=notifier,
                patience=patience,
                open_browser=self.open_browser,
            )

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def open_browser(self) -> OpenBrowser:
        return self.chromium.open if self.chromium else open_chromium

    @property
    def section(self) -> LoginSection:
        found = StatusFile(self.directories.status_file).read_section(LoginSection)
        assert found is not None
        return found

    @property
    def results(self) -> list[str]:
        file = self.directories.login / "login_log.json"
        return [attempt["result"] for attempt in json.loads(file.read_bytes())["attempts"]] if file.exists() else []

    @property
    def diagnostics(self) -> list[Path]:
        return sorted((self.directories.login / "diagnostics").glob("*"))


def _require_chromium() -> None:
    if shutil.which("chromedriver") is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium and its driver are needed")
        pytest.skip("needs Chromium and chromedriver: apt-get install chromium chromium-driver")


@pytest.fixture(scope="session")
def certificate() -> Iterator[Path]:
    """The gateway's certificate, beside its key: the same one for all tests, as one Chromium trusts one."""
    with open_directory() as root:
        yield make_certificate(root)[0]


@pytest.fixture(scope="session")
def shared_chromium(certificate: Path) -> Iterator[SharedChromium]:
    """The Chromium that the tests share; it runs when one of them has opened it."""
    _require_chromium()
    with open_directory() as root, closing(SharedChromium(root / "profile", spki_of(certificate))) as chromium:
        yield chromium


@pytest.fixture
def home(certificate: Path, shared_chromium: SharedChromium) -> Iterator[Home]:
    """A home that an unprivileged user may enter, as /var/lib/ibkr-tools is."""
    with open_directory() as root:
        tls = root / "state" / "gateway" / "tls"
        tls.mkdir(parents=True)
        shutil.copy(certificate, tls / "gateway.pem")
        (tls / "gateway.spki").write_text(spki_of(certificate) + "\n")
        with Simulator(simulator_options(certificate=certificate, key=certificate.with_name("key.pem"))) as simulator:
            yield Home(root, simulator.port, simulator.control, certificate, shared_chromium)


@pytest.fixture
def own_chromium(home: Home, shared_chromium: SharedChromium) -> None:
    """Has each login of the test start and end a Chromium, and no other one run."""
    shared_chromium.close()
    home.chromium = None


@contextmanager
def open_directory() -> Iterator[Path]:
    """Gives a directory that any user may enter, and removes it."""
    root = Path(tempfile.mkdtemp(prefix="ibkr-tools-test-"))
    root.chmod(0o755)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)
