"""One user's directories and configuration, and our programs started in them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibkr_tools.config.secrets import Secret
from ibkr_tools.directories import Directories
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.outcomes import AttemptResult
from ibkr_tools.status import StatusFile, utc_now

__all__ = ["Installation", "printed"]


@dataclass(frozen=True)
class Installation:
    """Directories under `root`; the certificate of whoever plays the gateway is in its place."""

    root: Path
    environment: dict[str, str]

    @property
    def directories(self) -> Directories:
        """Where its files are."""
        return Directories(configuration=self.root / "config", runtime=self.root / "run", state=self.root / "state")

    @property
    def status(self) -> StatusFile:
        """Its status file."""
        return StatusFile(self.directories.status_file)

    @property
    def options(self) -> list[str]:
        """The global options that name its directories."""
        return [
            *("--config", str(self.directories.config_file)),
            *("--runtime-dir", str(self.directories.runtime)),
            *("--state-dir", str(self.directories.state)),
        ]

    def configure(self, port: int, certificate: Path | None = None, **changes: Any) -> None:
        """Writes the configuration, and puts the certificate to trust where it belongs."""
        document = {"username": "demo-reader", "account": "U1234567", "gateway": {"port": port}, **changes}
        self.directories.configuration.mkdir(parents=True, exist_ok=True)
        self.directories.config_file.write_text(json.dumps(document))
        self.directories.config_file.chmod(0o640)
        if certificate is not None:
            self.directories.certificate.parent.mkdir(parents=True, exist_ok=True)
            self.directories.certificate.write_bytes(certificate.read_bytes())

    def record_logins(self, *results: AttemptResult) -> LoginLog:
        """Enters logins with these endings, one password each; returns the login log."""
        login_log = LoginLog(self.directories.login)
        for number, result in enumerate(results):
            login_log.record_result(
                login_log.record_submission(utc_now(), "demo-reader", Secret(f"secret-{number}")), result, utc_now()
            )
        return login_log

    def rest(self) -> None:
        """Forgets what was sent so far, as time would."""
        self.directories.pacing_file.unlink(missing_ok=True)

    def command(self, *arguments: str) -> list[str]:
        """Says how `ibkr-tools` is started with these arguments."""
        return [sys.executable, "-m", "ibkr_tools", *self.options, *arguments]

    def run(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Runs `ibkr-tools` with these arguments; `more` is added to its environment."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def printed(place: Installation, *arguments: str) -> str:
    """Returns what a command prints; it must succeed, and say nothing else."""
    place.rest()
    done = place.run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
