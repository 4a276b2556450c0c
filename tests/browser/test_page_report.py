"""The report of a page that IBKR has changed: one for each shape, named in the status, and nobody's words in it."""

import re
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.errors import IbkrError
from ibkr_tools.login import page_scripts
from ibkr_tools.login.login_timers import Patience
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_report import DESCRIBE_PAGE, save_page_report
from ibkr_tools.login.page_snapshot import merge_selectors
from ibkr_tools.login.redaction import Redactor
from tests.browser.conftest import HURRIED, PASSWORD, Home
from tests.browser.shared_chromium import SharedChromium
from tests.browser.test_redesigned_pages import seed_with
from tests.support.page_questions import LOADED, wait_for_answer

pytestmark = pytest.mark.browser


def reports(home: Home) -> list[Path]:
    return sorted(home.directories.page_reports.glob("*"))


def test_login_on_a_changed_page_leaves_one_report(home: Home) -> None:
    """For the owner's eyes, in one file; the next login on that page leaves none, one on another page does."""
    home.control.page(redesign=seed_with("shadow", labelling="label", language="de", two_steps=False))
    assert home.login().outcome is Outcome.SUCCEEDED
    (report,) = reports(home)
    assert home.section.page_reports == (str(report),)
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert stat.S_IMODE(report.parent.stat().st_mode) == 0o700
    text = report.read_text()
    assert re.search(r"username: <input( text)?> \".+\" \(by (role|structure)\)", text)
    assert "#shadow" in text
    assert "password" in text
    written_at = report.stat().st_mtime_ns
    home.control.drop()
    assert home.login().outcome is Outcome.SUCCEEDED
    assert reports(home) == [report]
    assert report.stat().st_mtime_ns == written_at
    assert home.section.page_reports == (str(report),)
    home.control.drop()
    home.control.page(redesign=seed_with("document", labelling="placeholder", two_steps=True))
    assert home.login().outcome is Outcome.SUCCEEDED
    assert len(reports(home)) > 1
    home.control.drop()
    home.control.page(redesign=None)
    assert home.login().outcome is Outcome.SUCCEEDED
    assert not home.section.page_reports


def test_code_on_a_changed_page_leaves_a_report_without_it(home: Home) -> None:
    kept = home.root / "totp"
    kept.touch(mode=0o600)
    kept.write_text("JBSWY3DPEHPK3PXP\n")
    home.settings["login"] = {"second_factor": {"method": "totp", "totp_file": str(kept)}}
    page = {"second_factor": "silver", "second_factor_secret": "JBSWY3DPEHPK3PXP"}
    home.control.page(redesign=seed_with("document", code_autocomplete=False), **page)
    assert home.login(patience=Patience()).outcome is Outcome.SUCCEEDED
    assert len(home.section.page_reports) == 2
    assert any("code: <input" in Path(path).read_text() for path in home.section.page_reports)


def test_number_of_reports_is_bounded(home: Home) -> None:
    home.login()
    home.control.drop()
    home.directories.page_reports.mkdir(mode=0o700)
    for number in range(12):
        (home.directories.page_reports / f"{number:012}.txt").write_text("old")
    home.control.page(redesign=seed_with("document", two_steps=False))
    assert home.login().outcome is Outcome.SUCCEEDED
    assert len(reports(home)) == 10
    assert Path(home.section.page_reports[0]) in reports(home)


def test_report_that_cannot_be_written_hinders_no_login(home: Home) -> None:
    home.login()
    home.control.drop()
    home.directories.page_reports.write_text("in the way")
    home.control.page(redesign=seed_with("document", two_steps=False))
    assert home.login().outcome is Outcome.SUCCEEDED
    assert home.section.page_reports == ()


USER, ACCOUNT, CODE = "jane.doe-7788", "U7654321", "482913"
COOKIE, TOKEN, QUERY = "kQ9vTz3LmP0xRw", "sealedtokenofletters", "forward-to-the-moon"
WORDS = (USER, ACCOUNT, CODE, COOKIE, TOKEN, QUERY, PASSWORD, "Jane", "JaneDoe")

HOSTILE = """<!DOCTYPE html><title>@ALL@</title><!-- @ALL@ --><meta name="csrf" content="@TOKEN@">
<style>#a::before { content: "@ALL@" } .@USERCLASS@ { color: red }</style>
<script>
  document.cookie = "session=@COOKIE@; path=/"; document.cookie = "id=@TOKEN@";
  localStorage.token = "@TOKEN@"; sessionStorage.account = "@ACCOUNT@";
  window.state = "@ALL@";
</script>
<h1>Welcome back, Jane Doe @ALL@</h1>
<p title="@ALL@" data-user="@USER@" class="@USER@ x-@ACCOUNT@ c@CODE@ @COOKIE@ @TOKEN@" id="@ACCOUNT@">@ALL@</p>
<img src="data:text/plain,@ALL@" alt="@ALL@"><a href="/x/@TOKEN@?user=@USER@&next=@QUERY@#@CODE@">Account @ACCOUNT@</a>
<form action="/sso/Login?token=@TOKEN@&next=@QUERY@" id="form-@QUERY@">
  <label for="one">Username @ACCOUNT@ @CODE@ @COOKIE@ @TOKEN@</label>
  <input id="one" name="@TOKEN@" value="@USER@" placeholder="@ALL@" aria-label="User ID @USER@ @QUERY@">
  <label>Password @USER@<input type="password" value="@TOKEN@" name="@COOKIE@" data-x="@ALL@"></label>
  <input type="hidden" name="csrf" value="@TOKEN@"><input hidden type="@ACCOUNT@" role="@USER@" autocomplete="@TOKEN@">
  <select hidden><option value="@ACCOUNT@">@ACCOUNT@</option></select>
  <button class="@TOKEN@" onclick="'@ALL@'">Log in</button>
</form>
<x-@TOKENTAG@></x-@TOKENTAG@>
<template>@ALL@</template><textarea hidden>@ALL@</textarea><svg><text>@ALL@</text></svg>
<iframe srcdoc="<p id='@ACCOUNT@' class='@TOKEN@'>@ALL@</p>" width="300" height="200"></iframe>
<div id="host"></div>
<script>
  const root = document.getElementById("host").attachShadow({mode: "open"});
  root.innerHTML = "<!-- @ALL@ --><p class='@COOKIE@ @ACCOUNT@' title='@ALL@'>@ALL@</p><slot name='@CODE@'></slot>";
</script>"""


def hostile() -> str:
    everything = f"{USER} {ACCOUNT} {CODE} {COOKIE} {TOKEN} {QUERY} {USER.upper()} JaneDoe"
    values = {"ALL": everything, "USERCLASS": USER.replace(".", "\\\\."), "TOKENTAG": TOKEN}
    values |= {"USER": USER, "ACCOUNT": ACCOUNT, "CODE": CODE, "COOKIE": COOKIE, "TOKEN": TOKEN, "QUERY": QUERY}
    return re.sub("@([A-Z]+)@", lambda match: values[match[1]], HOSTILE)


def test_report_of_a_page_that_knows_too_much(home: Home, shared_chromium: SharedChromium) -> None:
    """Not in a name, a label, a shadow tree or a frame: user name, account, code, cookie, token, query."""
    home.control.page(document=hostile())
    with shared_chromium.lend(Redactor([USER, PASSWORD])) as browser:
        browser.open(f"https://127.0.0.1:{home.port}/sso/Login?next={QUERY}")
        wait_for_answer(browser, LOADED)
        now = datetime(2026, 11, 29, tzinfo=UTC)
        report = save_page_report(browser, merge_selectors(), home.directories.page_reports, now=now)
    assert report is not None
    text = report.read_text()
    assert [word for word in WORDS if word.casefold() in text.casefold()] == []
    assert not re.search(r"\d{4}", text.split("\n", 1)[1])
    assert "username: <input" in text
    assert "#shadow" in text
    assert "#document" in text


def test_script_returns_nothing_that_is_typed(home: Home, shared_chromium: SharedChromium) -> None:
    """The report is made before that; and if not, what is typed stays in the page."""
    table = merge_selectors()
    fields = [(table["username"], "typed-username", False), (table["password"], "typed-password", True)]
    with shared_chromium.lend() as browser:
        browser.open(f"https://127.0.0.1:{home.port}/sso/Login")
        wait_for_answer(browser, page_scripts.FILL, fields, f"https://127.0.0.1:{home.port}")
        told, _ = browser.read_document(DESCRIBE_PAGE, table, most=1_000_000)
    assert "xyz-field-password" in told
    assert "typed-" not in told


def test_login_on_a_page_that_knows_too_much(home: Home) -> None:
    """What a whole login leaves of such a page, whatever its end, has none of it either."""
    home.control.page(document=hostile().replace(USER, "demo-reader"))
    with pytest.raises(IbkrError):
        home.login(patience=HURRIED)
    texts: list[Any] = [path.read_text() for path in reports(home)]
    assert texts
    for word in ("demo-reader", ACCOUNT, CODE, COOKIE, TOKEN, QUERY, PASSWORD):
        assert not [text for text in texts if word.casefold() in text.casefold()]
