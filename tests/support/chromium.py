"""A plain headless Chromium for proofs that must not lean on the product's own login code."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.support.simulation import wait_until

__all__ = ["chromium", "count_answered", "page_text", "sign_in"]

FLAGS = [
    "--headless=new",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--ignore-certificate-errors",
]


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """Run a browser for the length of the block, sandbox on; started by root it runs as the user nobody."""
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
    assert driver is not None, "Debian's chromium-driver is needed"
    assert browser is not None, "Debian's chromium is needed"
    home = Path(tempfile.mkdtemp(prefix="ibkr-tools-browser-"))
    popen: dict[str, object] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        popen = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={home / 'profile'}"):
        options.add_argument(flag)
    environment = {"HOME": str(home), "TMPDIR": str(home), "PATH": os.environ["PATH"]}
    service = Service(driver, popen_kw=popen, env=environment)
    try:
        session = webdriver.Chrome(options=options, service=service)
        try:
            yield session
        finally:
            session.quit()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def page_text(browser: webdriver.Chrome) -> str:
    """Return what a person can read on the page."""
    text: str = browser.execute_script("return document.body ? document.body.innerText.trim() : ''")
    return text


def sign_in(
    browser: webdriver.Chrome, url: str, username: str, password: str = "demo-password", *, paper: bool = False
) -> None:
    """Open the login page, wait until its script is ready, fill it in and press the button."""
    browser.get(url + "/")
    wait_until(lambda: bool(browser.find_elements(By.ID, "xyz-field-username")))
    if paper:
        wait_until(lambda: _is_ready(browser))
        browser.find_element(By.CSS_SELECTOR, "label[for=toggle1]").click()
    wait_until(lambda: _is_ready(browser))
    browser.find_element(By.ID, "xyz-field-username").send_keys(username)
    browser.find_element(By.ID, "xyz-field-password").send_keys(password)
    browser.find_element(By.CSS_SELECTOR, ".xyzform-username .xyz-button-login").click()


def count_answered(browser: webdriver.Chrome, path: str) -> int:
    """Returns how many requests of the page and its frames to this path have been answered to the end."""
    count: int = browser.execute_script(
        "const entries = [window, ...Array.from(window.frames)]"
        "  .flatMap((place) => place.performance.getEntriesByType('resource'));"
        "return entries.filter((entry) => entry.name.endsWith(arguments[0]) && entry.responseEnd > 0).length;",
        path,
    )
    return count


def _is_ready(browser: webdriver.Chrome) -> bool:
    """Whether the servers have answered an INIT for each mode that was chosen so far."""
    chosen: int = browser.execute_script("return document.querySelector('#toggle1')?.checked ? 2 : 1")
    return count_answered(browser, "/sso/Authenticator") >= chosen
