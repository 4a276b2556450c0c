"""IBKR's distribution is downloaded."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ibkr_tools.errors import DistributionError
from ibkr_tools.gateway import distribution_download
from tests.support.made_distribution import install, parts, zipped


@contextmanager
def serving(status: int, body: bytes, announced: int | None = None) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if announced is None else announced))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/clientportal.gw.zip"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_downloads(tmp_path: Path, accepted: Path) -> None:
    """Whole or not at all, and one line says why not."""
    target = tmp_path / "clientportal.gw.zip"
    body = zipped(tmp_path / "x.zip", parts()).read_bytes()
    with serving(200, body) as url:
        distribution_download.download(url, target)
        assert target.read_bytes() == body
        assert install(target, tmp_path / "into", accepted).build == "2031-05-06"
        target.unlink()
        with pytest.raises(DistributionError, match="more than"):
            distribution_download.download(url, target, max_bytes=len(body) - 1)
        with pytest.raises(DistributionError, match="not complete"):
            distribution_download.download(url, target, deadline_s=0)
        with pytest.raises(DistributionError, match="No such file"):
            distribution_download.download(url, tmp_path / "none/x.zip")
    with serving(404, b"") as url, pytest.raises(DistributionError, match="HTTP 404"):
        distribution_download.download(url, target)
    with serving(200, body, announced=len(body) + 5) as url, pytest.raises(DistributionError) as caught:
        distribution_download.download(url, target)
    assert "cut off" in str(caught.value) or "not reachable" in str(caught.value)
    with pytest.raises(DistributionError, match="not reachable"):
        distribution_download.download(url, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".into.lock", "into", "state", "x.zip"]
