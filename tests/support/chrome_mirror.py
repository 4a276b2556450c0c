"""A mirror of Chrome for Testing, as Selenium Manager asks it: lists of versions, and archives of browser and driver.

What is in the archives are scripts that start this machine's Chromium, or whatever a test says.
Source of the forms: https://github.com/GoogleChromeLabs/chrome-for-testing, and observed on Selenium Manager 0.4.51.
"""

import io
import json
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

PROGRAMS = ("/usr/lib/chromium/chromium", "/usr/bin/chromedriver")
"""Debian's browser and its driver."""


@dataclass(frozen=True)
class Entry:
    """A file in an archive: its content, and its mode with the type of the file."""

    content: bytes
    mode: int = 0o100644


def script(program: str, says: str, version: str) -> Entry:
    """Returns a script that says `version` of itself, and is `program` otherwise."""
    text = f'#!/bin/sh\n[ "$1" = --version ] && {{ echo "{says} {version} "; exit; }}\nexec {program} "$@"\n'
    return Entry(text.encode(), 0o100755)


@dataclass
class ChromeMirror:
    """The mirror; serves while its context is entered.

    Attributes:
        version: the newest stable one, as the lists say.
        inside: the version that the programs in the archives say; None: that one.
        driver: the version of the newest driver; None: that one.
        programs: what the browser and the driver in the archives start.
        more: further files of the browser's archive, by their names in it.
        cut: whether the browser's archive ends in the middle.
        requests: the paths that were asked for; of who takes this for a proxy, addresses and hosts.
    """

    version: str
    inside: str | None = None
    driver: str | None = None
    programs: tuple[str, str] = PROGRAMS
    more: dict[str, Entry] = field(default_factory=dict)
    cut: bool = False
    requests: list[str] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it is, with a slash at the end."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead Selenium Manager here."""
        return {"SE_BROWSER_MIRROR_URL": self.url, "SE_DRIVER_MIRROR_URL": self.url}

    def bind(self) -> Self:
        """Opens its port, in the network of the thread that calls this."""
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the library's name
                mirror.requests.append(self.path)
                body = mirror.answer(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                half = len(body or b"") // 2
                is_cut = mirror.cut and self.path.endswith("/chrome-linux64.zip")
                self.wfile.write((body or b"")[: half if is_cut else None])

            def do_CONNECT(self) -> None:  # a proxy is asked for the way to another host
                mirror.requests.append(self.path)
                self.send_error(502)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        return self

    def __enter__(self) -> Self:
        if self._server is None:
            self.bind()
        assert self._server is not None
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> bytes | None:
        """Returns what a path leads to; None: nothing."""
        name = path.rpartition("/")[2]
        inside = self.inside or self.version
        if name == "last-known-good-versions-with-downloads.json":
            stable = {"channel": "Stable", **self._described(self.version)}
            others = {channel: {**stable, "channel": channel} for channel in ("Beta", "Dev", "Canary")}
            return json.dumps({"timestamp": "", "channels": {"Stable": stable, **others}}).encode()
        if name == "known-good-versions-with-downloads.json":
            return json.dumps({"timestamp": "", "versions": [self._described(self.driver or self.version)]}).encode()
        if name == "chrome-linux64.zip":
            chrome = script(self.programs[0], "Google Chrome for Testing", inside)
            # As in Google's archive; it is not to become one with the bit set-user-ID.
            sandbox = Entry(b"sandbox", 0o104755)
            return archive({"chrome-linux64/chrome": chrome, "chrome-linux64/chrome_sandbox": sandbox, **self.more})
        if name == "chromedriver-linux64.zip":
            driver = script(self.programs[1], "ChromeDriver", inside)
            return archive({"chromedriver-linux64/chromedriver": driver})
        return None

    def _described(self, version: str) -> dict[str, object]:
        downloads = {
            name: [{"platform": "linux64", "url": f"{self.url}{version}/linux64/{name}-linux64.zip"}]
            for name in ("chrome", "chromedriver")
        }
        return {"version": version, "revision": "1", "downloads": downloads}


def archive(files: dict[str, Entry]) -> bytes:
    """Returns an archive with these files, as Google's tools make it: with modes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for name, entry in files.items():
            info = zipfile.ZipInfo(name)
            # The upper half is what Unix keeps there.
            info.create_system, info.external_attr = 3, entry.mode << 16
            out.writestr(info, entry.content)
    return target.getvalue()
