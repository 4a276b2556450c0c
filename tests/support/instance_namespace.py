"""Instances of one machine for tests that boot none: their directories in a mount namespace."""

import json
from dataclasses import dataclass
from pathlib import Path

from ibkr_tools.directories import SYSTEM_CONFIGURATION, SYSTEM_RUNTIME, SYSTEM_STATE, Directories
from ibkr_tools.instance import directory_of

_MOUNT = (
    'for place in etc run var/lib; do mkdir -p "$1/$place"; mount -t overlay none -o "lowerdir=$1/$place:/$place"'
    ' "/$place" || exit; done; shift; exec "$@"'
)


@dataclass(frozen=True)
class InstanceNamespace:
    """The directories of instances below `root`; a process that `command` starts sees them where they belong."""

    root: Path

    def directories(self, name: str | None) -> Directories:
        """Returns where the files of an instance are to be written by a test."""
        places = (directory_of(plain, name) for plain in (SYSTEM_CONFIGURATION, SYSTEM_RUNTIME, SYSTEM_STATE))
        configuration, runtime, state = (self.root / place.relative_to("/") for place in places)
        return Directories(configuration=configuration, runtime=runtime, state=state)

    def add(self, name: str | None, account: str) -> Directories:
        """Makes an instance with a configuration; returns its directories."""
        directories = self.directories(name)
        for directory in (directories.configuration, directories.runtime, directories.state):
            directory.mkdir(parents=True)
        directories.config_file.write_text(json.dumps({"username": "demo-reader", "account": account}))
        directories.config_file.chmod(0o640)
        return directories

    def command(self, *words: str) -> list[str]:
        """Says how a command is started among them."""
        return ["unshare", "--mount", "sh", "-c", _MOUNT, "sh", str(self.root), *words]
