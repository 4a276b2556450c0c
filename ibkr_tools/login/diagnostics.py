"""What a failed login leaves behind: a screenshot and the document, with every field emptied; the last ten of each.

They are for the owner's eyes only and still hold nothing of what the browser redacts: user name, password, codes.
"""

import contextlib
from datetime import datetime
from pathlib import Path

from loguru import logger

from ibkr_tools import files
from ibkr_tools.errors import LoginFailed
from ibkr_tools.login import redaction_script
from ibkr_tools.login.browser_protocol import LoginBrowser, PageChanging

MAX_DIAGNOSTICS = 10

MAX_CAPTURES = 3
"""How often a page that is changing is captured."""


def save_diagnostics(browser: LoginBrowser, directory: Path, *, name: str, now: datetime) -> Path | None:
    """Saves `TIME-NAME.png` and `.html` in `directory`; returns the picture's path, None if there is none.

    The page is emptied and redacted before the picture is taken, and once more after that: if something was there
    again, because the page draws itself anew, the picture is thrown away.
    """
    capture = _capture(browser)
    if capture is None:
        return None
    document, picture, is_clean = capture
    stem = f"{now:%Y%m%dT%H%M%SZ}-{name}"
    target = directory / f"{stem}.png"
    try:
        files.make_directory(directory, mode=0o700)
        if is_clean:
            files.write_atomically(target, picture, mode=0o600)
        files.write_atomically(directory / f"{stem}.html", document.encode(errors="replace"), mode=0o600)
        _remove_old(directory)
    except OSError as error:
        logger.warning("The diagnostics of the login could not be saved: {}", error.strerror)
        return None
    return target if is_clean else None


def _capture(browser: LoginBrowser) -> tuple[str, bytes, bool] | None:
    """Returns the redacted document, the picture, and whether nothing drew itself anew; None if the browser cannot."""
    for _ in range(MAX_CAPTURES):
        try:
            browser.stop()
            document, _drawn = _redact_document(browser)
            return document, browser.screenshot(), not _redact_document(browser)[1]
        except PageChanging:
            # On a busy machine a page that was being loaded takes its time to stop.
            continue
        except LoginFailed:
            return None
    return None


def _redact_document(browser: LoginBrowser) -> tuple[str, int]:
    patterns = browser.redactor.patterns_for_scripts()
    return browser.read_document(redaction_script.REDACT_DOCUMENT, patterns, most=redaction_script.MAX_DOCUMENT_LENGTH)


def _remove_old(directory: Path) -> None:
    stems = sorted({path.stem for path in directory.glob("*.png")} | {path.stem for path in directory.glob("*.html")})
    for stem in stems[:-MAX_DIAGNOSTICS]:
        for suffix in (".png", ".html"):
            with contextlib.suppress(FileNotFoundError):
                (directory / f"{stem}{suffix}").unlink()
