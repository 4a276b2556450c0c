"""How this program was installed: where it and its units are, and the commands that install or repair it."""

import re
import sys
from pathlib import Path

import msgspec


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where the services' program is; the names are those of `use_layout` in bin/_installed.sh.

    Attributes:
        home: the program.
        link: the command.
        library: below it are units, user and directories.
        manifest: the list of the files outside of `home`, a path a line.
        stamp: is there when an installation is whole; its time is that of the installation.
        install: the command that installs, and sets up what a first configuration needs.
        reinstall: the command that puts the same program in place again.
        with_postgres: the command that adds what a history in PostgreSQL needs.
        docs: the folder of the documentation; that of a checkout is relative, as the commands are.
    """

    home: Path
    link: Path
    library: Path
    manifest: Path
    stamp: Path
    install: str
    reinstall: str
    with_postgres: str
    docs: Path

    @property
    def units(self) -> Path:
        """Where the units are."""
        return self.library / "systemd/system"

    def adapted(self, text: bytes) -> bytes:
        """Returns a file of `systemd/`, which names the program where bin/install has it, as it is installed."""
        return text.replace(bytes(LOCAL.home), bytes(self.home))

    def with_pages(self, text: str) -> str:
        """Returns a text for people that names pages of the documentation with the paths that they have here."""
        return re.sub(_PAGE, f"{self.docs}/", text)


_PAGE = r"(?<![\w/])docs/(?=[a-z0-9/-]+\.md\b)"


LOCAL = Layout(
    home=Path("/opt/ibkr-tools"),
    link=Path("/usr/local/bin/ibkr-tools"),
    library=Path("/usr/local/lib"),
    manifest=Path("/opt/ibkr-tools/manifest"),
    stamp=Path("/opt/ibkr-tools/installed"),
    install="sudo ./bin/install",
    reinstall="sudo rm -f /opt/ibkr-tools/installed && sudo ./bin/install",
    with_postgres="sudo ./bin/install --with-postgres",
    docs=Path("docs"),
)
"""Of bin/install; its commands are for the folder with the checkout."""

_DPKG_LIST = Path("/var/lib/dpkg/info/ibkr-tools.list")

PACKAGE = Layout(
    home=Path("/usr/lib/ibkr-tools"),
    link=Path("/usr/bin/ibkr-tools"),
    library=Path("/usr/lib"),
    manifest=_DPKG_LIST,
    stamp=_DPKG_LIST,
    install="sudo ibkr-tools-install",
    reinstall="sudo apt install --reinstall ./ibkr-tools_*.deb",
    with_postgres="install the package that ./bin/package --with-postgres makes",
    docs=Path("/usr/share/doc/ibkr-tools/docs"),
)
"""Of the package of Debian; dpkg has the list."""


def find_layout(prefix: str) -> Layout:
    """Returns the package's layout if the package's program runs, else that of bin/install.

    Args:
        prefix: the environment that runs, `sys.prefix`.
    """
    return PACKAGE if Path(prefix).is_relative_to(PACKAGE.home) else LOCAL


def find_install_command(prefix: str, module: Path) -> str:
    """Returns the command that installs the services, as a person types it.

    Args:
        prefix: the environment that runs, `sys.prefix`.
        module: a file of this package.
    """
    layout = find_layout(prefix)
    if Path(prefix).is_relative_to(layout.home) or (module.parents[1] / "bin/install").exists():
        return layout.install
    return _PROGRAM_ALONE


_PROGRAM_ALONE = "sudo ./bin/install in a checkout of ibkr-tools"
"""pip and pipx bring no services."""

LAYOUT = find_layout(sys.prefix)
"""Of the program that runs."""

INSTALL_SERVICES = find_install_command(sys.prefix, Path(__file__))
"""Of this installation."""

START_HINT = "systemctl start ibkr-gateway"
"""What to do where no gateway answers."""

RELOAD_FILTER = "sudo systemctl try-reload-or-restart ibkr-firewall"
"""What has the packet filter know a new member of the group."""

HAS_SERVICES = INSTALL_SERVICES != _PROGRAM_ALONE
"""Whether this program can be that of services; pip and pipx bring none."""

if not HAS_SERVICES:
    START_HINT = f"ibkr-tools up starts everything under this terminal; services come with {INSTALL_SERVICES}"
