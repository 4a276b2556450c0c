"""Chrome for Testing, where `--browser chrome-for-testing` has put it: which version, and is it whole.

The names are those of bin/_browser.sh: a directory for each version, with the browser, its driver and the hashes of all
files; the link `current` leads to the version in use.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ibkr_tools.installation import LAYOUT

FOLDER = LAYOUT.home / "chrome-for-testing"
PROFILE = Path("/etc/apparmor.d/ibkr-tools-chrome")
"""What permits user namespaces to it, where AppArmor restricts them."""

_SUMS = "SHA256SUMS"
_PARTS = ("chrome", "chromedriver")


@dataclass(frozen=True, kw_only=True)
class ChromeForTesting:
    """One installed version. `folder` is its own directory, not the link: the next version does not change it."""

    folder: Path

    @property
    def browser(self) -> Path:
        """Chrome's program."""
        return self.folder / "chrome/chrome"

    @property
    def driver(self) -> Path:
        """Its chromedriver, of the same version."""
        return self.folder / "chromedriver"

    def installed_at(self) -> datetime:
        """Returns when its hashes were noted.

        Raises:
            OSError: there are none.
        """
        return datetime.fromtimestamp((self.folder / _SUMS).stat().st_mtime, UTC)

    def changed_files(self) -> Iterator[str]:
        """Yields each file that is not as it was noted when it was installed: changed, missing, or added.

        Raises:
            OSError: a file cannot be read.
        """
        noted = dict[str, str]()
        try:
            for line in (self.folder / _SUMS).read_text().splitlines():
                digest, _, name = line.partition("  ")
                noted[name] = digest
        except (FileNotFoundError, UnicodeDecodeError):
            yield _SUMS
            return
        found = set[str]()
        for part in _PARTS:
            path = self.folder / part
            files = path.rglob("*") if path.is_dir() else (path,)
            found |= {str(file.relative_to(self.folder)) for file in files if file.is_symlink() or file.is_file()}
        for name in sorted(found | noted.keys()):
            if name not in found or self._digest(name) != noted.get(name):
                yield name

    def _digest(self, name: str) -> str:
        with (self.folder / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find_chrome(home: Path = FOLDER) -> ChromeForTesting | None:
    """Returns the version in use; None if none is installed."""
    link = home / "current"
    try:
        return ChromeForTesting(folder=home / link.readlink())
    except OSError:
        return None
