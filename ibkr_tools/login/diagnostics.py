"""What a failed login leaves behind: a screenshot and the document, with every field emptied; the last ten of each.

They are for the owner's eyes only and still hold neither user name nor password.
"""

import contextlib
import html
import re
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from loguru import logger

from ibkr_tools import files
from ibkr_tools.config import Secret
from ibkr_tools.errors import LoginFailed
from ibkr_tools.login import scripts
from ibkr_tools.login.browser import Browser

KEPT = 10
COVER = "…"


def _spellings(username: str, password: Secret | None) -> list[str]:
    """Returns user name and password as text, as HTML and as in an address, the longest first."""
    secrets = [username, password.reveal() if password else ""]
    found = {
        form
        for one in secrets
        if one
        for form in (one, html.escape(one), html.escape(one, quote=False), quote(one, safe=""))
    }
    return sorted(found, key=len, reverse=True)


def cover(text: str, username: str, password: Secret | None) -> str:
    """Replaces user name and password in `text`, also as HTML or an address would write them, in any case."""
    for form in _spellings(username, password):
        text = re.sub(re.escape(form), COVER, text, flags=re.IGNORECASE)
    return text


def save_diagnostics(
    browser: Browser, directory: Path, *, name: str, now: datetime, username: str, password: Secret | None
) -> Path | None:
    """Saves `TIME-NAME.png` and `.html` in `directory`; returns the picture's path, None if the browser cannot.

    The fields are emptied in the page before the picture is taken; if that fails there is no picture.
    """
    try:
        browser.stop()
        document = cover(str(browser.run(scripts.BLANK, _spellings(username, password))), username, password)
        picture = browser.screenshot()
    except LoginFailed:
        return None
    stem = f"{now:%Y%m%dT%H%M%SZ}-{name}"
    target = directory / f"{stem}.png"
    try:
        files.make_directory(directory, mode=0o700)
        files.write_atomically(target, picture, mode=0o600)
        files.write_atomically(directory / f"{stem}.html", document.encode(), mode=0o600)
        _keep_last(directory)
    except OSError as error:
        logger.warning("The diagnostics of the login could not be saved: {}", error.strerror)
        return None
    return target


def _keep_last(directory: Path) -> None:
    stems = sorted({path.stem for path in directory.glob("*.png")} | {path.stem for path in directory.glob("*.html")})
    for stem in stems[:-KEPT]:
        for suffix in (".png", ".html"):
            with contextlib.suppress(FileNotFoundError):
                (directory / f"{stem}{suffix}").unlink()
