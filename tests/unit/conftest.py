"""What unit tests of several files share."""

from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.simulation import make_certificate


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificate and key of the one gateway to trust."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder)
    return folder


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    """A configured user; no gateway runs."""
    installation = Installation(tmp_path, environment)
    installation.configure(1025)
    return installation
