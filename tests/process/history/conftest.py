"""A server of PostgreSQL, one for the tests of a module."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import server


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a database; see `server`."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with server(folder) as found:
            yield found
    finally:
        shutil.rmtree(folder)
