"""One headless Chromium, driven; the only importer of selenium. It knows nothing about IBKR's page.

Every text of the page, of an answer or of the driver leaves it redacted, and on one line: see `redaction`. Chromium's
own sandbox is always on. It trusts exactly one certificate, resolves no name, reaches one port, is driven through a
pipe (it opens no debugging port), and every process of it has ended when `open_browser` is left, however it is left.
"""

import contextlib
import json
import logging
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger
from selenium.common import exceptions as selenium_errors
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chromium.remote_connection import ChromiumRemoteConnection
from selenium.webdriver.chromium.service import ChromiumService
from selenium.webdriver.common.proxy import Proxy, ProxyType
from selenium.webdriver.remote.client_config import ClientConfig
from selenium.webdriver.remote.webdriver import WebDriver
from urllib3.exceptions import HTTPError

from ibkr_tools import process_control
from ibkr_tools.control_group import Shortages, describe_shortage, read_shortages
from ibkr_tools.errors import BrowserUnavailable, LoginFailed
from ibkr_tools.login import browser_processes, event_handlers
from ibkr_tools.login.browser_processes import BrowserPrograms, RunAs
from ibkr_tools.login.browser_profile import BrowserProfile, browser_profile
from ibkr_tools.login.browser_protocol import BrowserLost, PageChanging
from ibkr_tools.login.chromium_flags import CHROMIUM_FLAGS, CHROMIUM_PREFERENCES, host_rules
from ibkr_tools.login.driver_errors import DRIVER_ERRORS, translate_error
from ibkr_tools.login.network_record import NetworkRecord, NetworkRequest
from ibkr_tools.login.redaction import MAX_TEXT_LENGTH, Redactor
from ibkr_tools.login.start_failure import driver_failure, require_startable, require_startable_alone
from ibkr_tools.polling import poll_until

START_TIMEOUT_S = 15
"""The longest that Chromium may take to start, in seconds."""

COMMAND_TIMEOUT_S = 10
"""The longest that one command to the driver may take, in seconds; loading a page is not waited for."""

SCRIPT_TIMEOUT_MS = 3000
"""The longest that one script may take, in milliseconds: Chromium holds scripts back while a form is on its way."""


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

    def __init__(self, driver: WebDriver, redactor: Redactor | None = None, shortages: Shortages | None = None) -> None:
        self._driver = driver
        self._shortages = shortages or read_shortages()
        self.redactor = redactor or Redactor()
        self.is_lost = False
        self._network = NetworkRecord()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DRIVER_ERRORS as error:
            # Not as its cause: a traceback would show what the driver quotes.
            raise self._translate(error) from None

    def _translate(
        self, error: selenium_errors.WebDriverException | HTTPError | OSError
    ) -> LoginFailed | BrowserUnavailable:
        translated = translate_error(error, self.redactor)
        if isinstance(translated, BrowserLost):
            self.is_lost = True
            if shortage := describe_shortage(self._shortages, read_shortages()):
                translated.add(shortage)
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
            with contextlib.suppress(*DRIVER_ERRORS):
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


@dataclass
class _Running:
    """The driver and the browser that run now, if any."""

    service: _Service | None = None
    browser: Browser | None = None

    def terminate(self, excluded_pids: set[int]) -> None:
        """Ends both; Chromium writes its profile before, if it can."""
        process = getattr(self.service, "process", None)
        with browser_processes.signals_blocked():
            if self.browser is not None and process is not None and process.poll() is None:
                self.browser.quit()
            browser_processes.kill_all(excluded_pids, group=getattr(process, "pid", None))
            if process is not None:
                process.poll()
                process.stdin.close()
        self.service = self.browser = None


@dataclass(frozen=True, kw_only=True)
class _Starter:
    """Starts the browser, with another profile where it does not start with the one that is there."""

    programs: BrowserPrograms
    run_as: RunAs
    settings: BrowserSettings
    redactor: Redactor | None
    excluded_pids: set[int]

    def start(self, profile: BrowserProfile, running: _Running) -> Browser:
        """Starts what is then in `running`.

        Raises:
            BrowserUnavailable, BrowserLost, OutputError: see `open_browser`.
        """
        kept, shortages, reasons = profile.path, read_shortages(), list[str]()
        while True:
            temporary = profile.temporary()
            environment = browser_processes.browser_environment(profile.path, temporary)
            try:
                browser = self._start_once(profile.path, environment, running, shortages)
            except DRIVER_ERRORS as error:
                failure = translate_error(error, self.redactor)
                running.terminate(self.excluded_pids)
                try:
                    require_startable(self.programs, shortages, (profile.path, temporary), failure.message)
                    if not reasons:
                        require_startable_alone(failure.message, self.programs, self.run_as, environment)
                    # That the driver was killed, or the machine was slow, is no matter of the profile.
                    if reasons or not isinstance(failure, BrowserLost):
                        self._renew(profile, failure.message)
                except BaseException:
                    profile.restore()
                    raise
                reasons.append(failure.message)
                continue
            if reasons:
                what = profile.change or "once more, it did"
                logger.warning("Chromium did not start with its profile {} ({}): {}", kept, reasons[0], what)
            return browser

    def _renew(self, profile: BrowserProfile, reason: str) -> None:
        """Returns if there is another profile to try with; the errors are those of `start`."""
        if not profile.renew():
            raise driver_failure(reason, self.programs)

    def _start_once(
        self, profile: Path, environment: dict[str, str], running: _Running, shortages: Shortages
    ) -> Browser:
        running.service = service = _Service(
            executable_path=os.fspath(self.programs.driver),
            log_output=subprocess.DEVNULL,
            env=environment,
            popen_kw=self.run_as.popen,
        )
        service.start()
        driver = _connect(service, _options(self.programs, profile, self.settings))
        running.browser = Browser(driver, self.redactor, shortages)
        return running.browser


@contextlib.contextmanager
def open_browser(settings: BrowserSettings, redactor: Redactor | None = None) -> Iterator[Browser]:
    """Starts Chromium; on leaving, every process of it has ended and been reaped. `redactor` redacts what comes out.

    Raises:
        BrowserUnavailable: missing, of a version that its driver does not know, or the machine does not let it start.
        BrowserLost: it died while starting, for want of memory or for another reason that may pass.
        OutputError: there is no room for its profile.
    """
    # Typed text stands in selenium's debug records.
    logging.getLogger("selenium").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    programs = browser_processes.find_browser_programs(settings.program, settings.driver)
    run_as = browser_processes.choose_browser_user()
    process_control.become_subreaper()
    excluded_pids = browser_processes.find_browser_processes()
    starter = _Starter(
        programs=programs, run_as=run_as, settings=settings, redactor=redactor, excluded_pids=excluded_pids
    )
    with browser_profile(settings.profile, run_as) as profile:
        running = _Running()
        try:
            yield starter.start(profile, running)
        finally:
            running.terminate(excluded_pids)
