"""One headless Chromium, driven; the only importer of selenium. It knows nothing about IBKR's page.

Every text of the page, of an answer or of the driver leaves it redacted, and on one line: see `redaction`. Chromium's
own sandbox is always on. It trusts exactly one certificate, resolves no name, reaches one port, is driven through a
pipe (it opens no debugging port), and every process of it has ended when `open_browser` is left, however it is left.
"""

import contextlib
import json
import logging
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.common import exceptions as selenium_errors
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chromium.remote_connection import ChromiumRemoteConnection
from selenium.webdriver.chromium.service import ChromiumService
from selenium.webdriver.common.proxy import Proxy, ProxyType
from selenium.webdriver.remote.client_config import ClientConfig
from selenium.webdriver.remote.webdriver import WebDriver
from urllib3.exceptions import HTTPError

from ibkr_tools import process_control
from ibkr_tools.errors import BrowserUnavailable, LoginFailed
from ibkr_tools.login import browser_processes, event_handlers
from ibkr_tools.login.browser_processes import BrowserPrograms
from ibkr_tools.login.browser_protocol import BrowserLost, PageChanging
from ibkr_tools.login.chromium_flags import CHROMIUM_FLAGS, CHROMIUM_PREFERENCES, host_rules
from ibkr_tools.login.disk_space import require_disk_space
from ibkr_tools.login.network_record import NetworkRecord, NetworkRequest
from ibkr_tools.login.redaction import MAX_TEXT_LENGTH, Redactor, one_line, truncated
from ibkr_tools.polling import poll_until

START_TIMEOUT_S = 15
"""The longest that Chromium may take to start, in seconds."""

COMMAND_TIMEOUT_S = 10
"""The longest that one command to the driver may take, in seconds; loading a page is not waited for."""

SCRIPT_TIMEOUT_MS = 3000
"""The longest that one script may take, in milliseconds: Chromium holds scripts back while a form is on its way."""

_TRANSIENT = (
    selenium_errors.JavascriptException,
    selenium_errors.StaleElementReferenceException,
    selenium_errors.NoSuchFrameException,
    selenium_errors.NoSuchElementException,
    selenium_errors.DetachedShadowRootException,
    selenium_errors.UnexpectedAlertPresentException,
    selenium_errors.NoAlertPresentException,
    selenium_errors.ScreenshotException,
    selenium_errors.TimeoutException,
)
_START_ERRORS = (selenium_errors.SessionNotCreatedException, selenium_errors.NoSuchDriverException)
_LOADING_TEXTS = (
    "navigat",
    "execution context",
    "document unloaded",
    "node with given id",
    "target frame detached",
    "no frame for given id",
    "context with specified id",
)


def translate_error(
    error: selenium_errors.WebDriverException | HTTPError | OSError, redactor: Redactor | None = None
) -> LoginFailed | BrowserUnavailable:
    """Returns our error for the driver's. Its texts can quote the page: they are redacted, then cut to a line."""
    text = getattr(error, "msg", None) or str(error) or type(error).__name__
    redacted = (redactor or Redactor())(text[:MAX_TEXT_LENGTH], is_cut=len(text) > MAX_TEXT_LENGTH)
    line = truncated(one_line((redacted.splitlines() or [""])[0]), 200)
    if isinstance(error, _START_ERRORS):
        return BrowserUnavailable(f"Chromium did not start: {line}", hint=browser_processes.INSTALL_COMMAND)
    if isinstance(error, _TRANSIENT) or (
        isinstance(error, selenium_errors.WebDriverException) and any(text in line.lower() for text in _LOADING_TEXTS)
    ):
        return PageChanging(f"the page changed under our eyes: {line}")
    if isinstance(error, HTTPError | OSError):
        return BrowserLost(f"the browser's driver does not answer any more ({type(error).__name__})")
    return BrowserLost(f"the browser is gone: {line}")


_DRIVER_ERRORS = (selenium_errors.WebDriverException, HTTPError, OSError)


@dataclass(frozen=True, kw_only=True)
class BrowserSettings:
    """How to start.

    `profile` is kept between logins; `spki` is the Base64 SHA-256 of the gateway's public key. `port` of 127.0.0.1 is
    all that a page can reach; None: every port of it.
    """

    profile: Path
    spki: str
    port: int | None = None
    program: str | None = None
    driver: str | None = None


_WORLD = "ibkr-tools"
"""The name of what the page's own scripts cannot see."""


_DRIVER_START_S, _DRIVER_POLL_S = 0.5, 0.005


class _Service(ChromiumService):
    def _start_process(self, path: str) -> None:
        """Starts the driver and waits for it: selenium would look after 10, 70 and 180 ms, and it needs about 30."""
        super()._start_process(path)
        poll_until(lambda: self.is_connectable() or self.process.poll() is not None, _DRIVER_START_S, _DRIVER_POLL_S)

    def send_remote_shutdown_command(self) -> None:
        """Leaves the driver to SIGTERM: the request would poll with sleeps of a second."""


class Browser:
    """A running Chromium with one page. Every method raises BrowserLost or PageChanging and nothing else.

    `is_lost`: it died or hangs, and need not be asked anything more. `redactor` redacts what comes out.
    """

    def __init__(self, driver: WebDriver, redactor: Redactor | None = None) -> None:
        self._driver = driver
        self.redactor = redactor or Redactor()
        self.is_lost = False
        self._network = NetworkRecord()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _DRIVER_ERRORS as error:
            # Not as its cause: a traceback would show what the driver quotes.
            raise self._translate(error) from None

    def _translate(
        self, error: selenium_errors.WebDriverException | HTTPError | OSError
    ) -> LoginFailed | BrowserUnavailable:
        translated = translate_error(error, self.redactor)
        self.is_lost = self.is_lost or isinstance(translated, BrowserLost)
        return translated

    def _command(self, name: str, **parameters: object) -> dict[str, Any]:
        """Gives Chromium a command of its own protocol."""
        answer: dict[str, Any] = self._driver.execute("executeCdpCommand", {"cmd": name, "params": parameters})
        return answer

    def open(self, url: str) -> None:
        """Begins to load `url`; returns before the page is there."""
        with self._translated():
            self._driver.get(url)

    def run(self, script: str, *arguments: object) -> Any:
        """Evaluates JavaScript in the page; `arguments` and the result are JSON, every text of it redacted."""
        return self.redactor.redact_json(self._run(script, *arguments), MAX_TEXT_LENGTH)

    def read_document(self, script: str, *arguments: object, most: int) -> tuple[str, int]:
        """Evaluates JavaScript that returns a text of at most `most` characters, and a number.

        The text is redacted, and its lines are left as they are. The script sees the document and nothing of the page's
        scripts, which in turn see neither it nor its arguments.
        """
        expression = f"(function () {{{script}}})(...{json.dumps(arguments)})"
        with self._translated():
            frame = self._command("Page.getFrameTree")["value"]["frameTree"]["frame"]["id"]
            world = self._command("Page.createIsolatedWorld", frameId=frame, worldName=_WORLD)["value"]
            answer = self._command(
                "Runtime.evaluate",
                expression=expression,
                contextId=world["executionContextId"],
                returnByValue=True,
                timeout=SCRIPT_TIMEOUT_MS,
            )["value"]
        value = answer["result"].get("value")
        if not isinstance(value, list):
            raise PageChanging("the page went away")
        document, number = str(value[0]), int(value[1])
        return self.redactor(document, is_cut=len(document) >= most), number

    def _run(self, script: str, *arguments: object) -> Any:
        with self._translated():
            try:
                return self._driver.execute_script(script, *arguments)
            except selenium_errors.TimeoutException:
                # Either the page is being left, or Chromium hangs: then it does not answer this either, in which no
                # page has a part.
                self._command("Browser.getVersion")
                raise

    def stop(self) -> None:
        """Stays on the page that is there: what was being loaded is not."""
        with self._translated():
            self._command("Page.stopLoading")

    def screenshot(self) -> bytes:
        """Returns a PNG of what the page shows."""
        with self._translated():
            return bytes(self._driver.get_screenshot_as_png())

    def is_waiting_for(self, suffix: str) -> bool:
        """Says whether the page has asked an address that ends in `suffix` and has no answer yet.

        Read from Chromium's own network record, like `last_answer`: nothing in the page is touched.
        """
        return any(not request.is_finished for request in self._requests_to(suffix))

    def idle_s(self) -> float:
        """Returns for how many seconds the page has neither asked for anything that it can need nor waited for it."""
        self._read_network_events()
        return self._network.idle_s(time.monotonic())

    def last_document(self) -> str | None:
        """Returns the address of the last document that was asked for, without its query; None before the first."""
        self._read_network_events()
        address = self._network.last_document()
        return None if address is None else self.redactor.redact_line(address)

    def has_handler(self, script: str, *arguments: object) -> bool:
        """Says whether a script file of the page handles clicks, keys or the submission of what `script` returns.

        `script` returns a list of nodes. A handler that stands in the document itself does not count: loaders put one
        there for the time before the page's own script is ready. Nothing in the page is touched.
        """
        expression = f"(function () {{{script}}})(...{json.dumps(arguments)})"
        with self._translated():
            return event_handlers.is_handled_by_file(self._command, expression)

    def last_answer(self, suffix: str) -> str | None:
        """Returns the body of the last answer from an address that ends in `suffix`, redacted; None if it is gone."""
        answered = [request.id for request in self._requests_to(suffix) if request.is_finished]
        if not answered:
            return None
        try:
            answer = self._command("Network.getResponseBody", requestId=answered[-1])
        except selenium_errors.WebDriverException:
            return None
        except (HTTPError, OSError) as error:
            raise self._translate(error) from None
        return self.redactor.redact_line(str(answer["value"].get("body", "")))

    def waits_after_429_s(self) -> list[float]:
        """Returns of each 429 that the page was answered the seconds that its Retry-After states, 0 without one."""
        self._read_network_events()
        return self._network.waits_after_429_s()

    def clock_offset(self, suffix: str) -> float | None:
        """Returns how many seconds the clock of whoever answered last at such an address is ahead of ours.

        Good to a second, and read from the answers that the page got anyway; None if none said what time it is.
        """
        known = [request.clock_offset_s for request in self._requests_to(suffix) if request.clock_offset_s is not None]
        return known[-1] if known else None

    def quit(self) -> None:
        """Lets Chromium write its profile, if it can; whatever goes wrong here, its processes are ended afterwards."""
        if not self.is_lost:
            with contextlib.suppress(*_DRIVER_ERRORS):
                self._driver.quit()

    def _read_network_events(self) -> None:
        with self._translated():
            lines = self._driver.execute("getLog", {"type": "performance"})["value"]
        self._network.add((json.loads(line["message"])["message"] for line in lines), time.monotonic())

    def _requests_to(self, suffix: str) -> list[NetworkRequest]:
        """Returns the requests to such addresses, in order."""
        self._read_network_events()
        return self._network.requests_to(suffix)


def _options(programs: BrowserPrograms, profile: Path, settings: BrowserSettings) -> Options:
    options = Options()
    options.binary_location = os.fspath(programs.browser)
    options.page_load_strategy = "none"
    options.timeouts = {"script": SCRIPT_TIMEOUT_MS, "pageLoad": COMMAND_TIMEOUT_S * 1000}
    options.unhandled_prompt_behavior = "dismiss"
    for flag in (
        *CHROMIUM_FLAGS,
        f"--host-resolver-rules={host_rules(settings.port)}",
        f"--user-data-dir={profile}",
        f"--ignore-certificate-errors-spki-list={settings.spki}",
    ):
        options.add_argument(flag)
    options.add_experimental_option("prefs", CHROMIUM_PREFERENCES)
    options.add_experimental_option("perfLoggingPrefs", {"enableNetwork": True, "enablePage": False})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "OFF", "driver": "OFF"})
    return options


def _connect(service: _Service, options: Options) -> WebDriver:
    address = f"http://127.0.0.1:{service.port}"
    direct = Proxy(raw={"proxyType": ProxyType.DIRECT})
    settings = ClientConfig(
        remote_server_addr=address,
        keep_alive=True,
        timeout=START_TIMEOUT_S,
        proxy=direct,
        # urllib3 would ask a driver that hangs four times.
        init_args_for_pool_manager={"init_args_for_pool_manager": {"retries": False}},
    )
    connection = ChromiumRemoteConnection(
        remote_server_addr=address, vendor_prefix="goog", browser_name="chrome", client_config=settings
    )
    driver = WebDriver(command_executor=connection, options=options)
    settings.timeout = COMMAND_TIMEOUT_S
    return driver


def _start(
    service: _Service, options: Options, programs: BrowserPrograms, redactor: Redactor | None, profile: Path
) -> Browser:
    try:
        service.start()
        return Browser(_connect(service, options), redactor)
    except _DRIVER_ERRORS as error:
        require_disk_space(profile, Path(tempfile.gettempdir()))
        raise _with_versions(translate_error(error, redactor), programs) from None


def _with_versions(
    error: BrowserUnavailable | LoginFailed, programs: BrowserPrograms
) -> BrowserUnavailable | BrowserLost:
    """Adds both versions to why the browser did not start; two that differ are the reason."""
    versions = [browser_processes.read_version(program) for program in (programs.browser, programs.driver)]
    majors = {match.group(1) for text in versions if (match := re.search(r"(\d+)\.\d+\.\d+", text))}
    message = f"{error.message} ({'; '.join(versions)})"
    if len(majors) > 1:
        message = f"Chromium and its driver are of different versions: {message}"
    if len(majors) > 1 or isinstance(error, BrowserUnavailable):
        return BrowserUnavailable(message, hint=browser_processes.INSTALL_COMMAND)
    return BrowserLost(f"Chromium did not start: {message}")


def _terminate(browser: Browser | None, service: _Service, excluded_pids: set[int]) -> None:
    process = getattr(service, "process", None)
    if browser is not None and process is not None and process.poll() is None:
        browser.quit()
    browser_processes.kill_all(excluded_pids, group=getattr(process, "pid", None))
    if process is not None:
        process.poll()
        process.stdin.close()


@contextlib.contextmanager
def open_browser(settings: BrowserSettings, redactor: Redactor | None = None) -> Iterator[Browser]:
    """Starts Chromium; on leaving, every process of it has ended and been reaped. `redactor` redacts what comes out.

    Raises:
        BrowserUnavailable: missing, of a version that its driver does not know, or it does not start.
        BrowserLost: it died while starting.
        OutputError: there is no room for its profile.
    """
    # Typed text stands in selenium's debug records.
    logging.getLogger("selenium").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    programs = browser_processes.find_browser_programs(settings.program, settings.driver)
    run_as = browser_processes.choose_browser_user()
    process_control.become_subreaper()
    excluded_pids = browser_processes.find_browser_processes()
    with browser_processes.browser_profile(settings.profile, run_as) as profile:
        service = _Service(
            executable_path=os.fspath(programs.driver),
            log_output=subprocess.DEVNULL,
            env=browser_processes.browser_environment(profile),
            popen_kw=run_as.popen,
        )
        browser: Browser | None = None
        try:
            browser = _start(service, _options(programs, profile, settings), programs, redactor, profile)
            yield browser
        finally:
            with browser_processes.signals_blocked():
                _terminate(browser, service, excluded_pids)
