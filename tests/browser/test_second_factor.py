"""A login with real Chromium that IBKR asks for a second factor, in the shapes that its page gives that question."""

import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from loguru import logger

from ibkr_tools import alert_outbox
from ibkr_tools.config.schema import Config
from ibkr_tools.errors import ActionRequired, ConfigError, LoginFailed, LoginRefused
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.sd_notify import SystemdNotifier
from ibkr_tools.simulator.second_factor_authentication import totp
from tests.browser.conftest import Home
from tests.browser.test_login import meanwhile
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
RENAMED = {
    "xyzblock-silver": "xyzblock-platinum",
    "silver-response": "platinum-response",
    "show(other, other === kind)": "show(other.replace('silver', 'platinum'), other === kind)",
}


class Told(SystemdNotifier):
    """Remembers what systemd would have been told."""

    def __init__(self) -> None:
        super().__init__({})
        self.statuses: list[str] = []

    def status(self, text: str) -> None:
        self.statuses.append(text)


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Every line that is logged, at every level."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="TRACE")
    yield lines
    logger.remove(sink)


def use(home: Home, method: str, **more: object) -> None:
    home.settings["login"] = {"second_factor": {"method": method, **more}}


def use_totp(home: Home, secret: str = SECRET) -> None:
    file = home.root / "totp"
    file.touch(mode=0o600)
    file.write_text(secret + "\n")
    use(home, "totp", totp_file=str(file))


def use_command(home: Home, body: str) -> None:
    script = home.root / "code"
    script.write_text(f"#!{sys.executable}\nimport os, sys\n{body}\n")
    script.chmod(0o755)
    use(home, "command", command=[str(script)])


def use_push(home: Home, wait_s: int) -> None:
    """Waits less long than the configuration would allow."""

    def hurried(config: Config) -> Config:
        second = msgspec.structs.replace(config.login.second_factor, push_wait_s=wait_s)
        return msgspec.structs.replace(config, login=msgspec.structs.replace(config.login, second_factor=second))

    use(home, "push")
    home.adjust = hurried


def counters(home: Home) -> dict[str, Any]:
    found: dict[str, Any] = home.control.state()["counters"]
    return found


def outbox(home: Home) -> list[alert_outbox.AlertMessage]:
    found = [alert_outbox.read(path) for path in alert_outbox.pending(home.directories.outbox)]
    return [message for message in found if message is not None]


@pytest.mark.parametrize(
    "page",
    [
        {"second_factor": "silver"},
        {"second_factor": "multiplesf"},
        {"second_factor": "multiplesf", "picker": "list"},
        {
            "second_factor": "multiplesf",
            "picker": "list",
            "picker_options": {"5.2a": "IB Key", "9": "mobile authenticator APP"},
        },
        {"second_factor": "multiplesf", "picker_options": {"5.2a": "IB Key", "4": "Anwendung"}},
        # A page whose names are others, but still says which field is for such a code.
        {"second_factor": "silver", "rename": RENAMED},
    ],
    ids=str,
)
def test_code_of_an_authenticator_app(home: Home, page: dict[str, Any], log: list[str]) -> None:
    """One code, made for IBKR's clock, is enough, however the page asks; nothing shows the secret or the code."""
    use_totp(home)
    home.control.page(second_factor_secret=SECRET, **page)
    seen_from = time.time()
    assert home.login().outcome is Outcome.SUCCEEDED
    assert (counters(home)["codes"], counters(home)["pushes"]) == (1, 0)
    assert home.results == ["succeeded"]
    possible = {totp(SECRET, seen_from + 30 * step) for step in range(4)}
    shown = "".join(log) + home.directories.status_file.read_text()
    shown += "".join(path.read_text(errors="replace") for path in home.directories.login.rglob("*") if path.is_file())
    assert SECRET not in shown
    assert not [code for code in possible if code in shown]


def test_clock_that_is_wrong_is_told_and_does_not_matter(home: Home, log: list[str]) -> None:
    """IBKR's clock is 45 s ahead of ours: the code is the one of IBKR's time."""
    use_totp(home)
    # Read to the second, and later on a busy machine: 40 s would be said as 39.
    home.control.behaviour(clock_skew_s=45)
    home.control.page(second_factor="silver", second_factor_secret=SECRET)
    assert home.login().outcome is Outcome.SUCCEEDED
    assert counters(home)["codes"] == 1
    assert any("clock is 4" in line and "s behind IBKR's" in line for line in log)


def test_clock_that_is_far_off_sends_no_code(home: Home) -> None:
    use_totp(home)
    home.control.behaviour(clock_skew_s=-3600)
    home.control.page(second_factor="silver", second_factor_secret=SECRET)
    with pytest.raises(ActionRequired, match=r"clock is 3.* s ahead of IBKR's; no code is sent"):
        home.login()
    assert counters(home)["codes"] == 0
    assert home.results == ["person"]


def test_refused_code_is_followed_by_a_fresh_one(home: Home) -> None:
    """The second code is of a later window, and no third one follows."""
    use_totp(home)
    home.control.page(second_factor="silver", second_factor_secret=SECRET, second_factor_refusals=1)
    assert home.login().outcome is Outcome.SUCCEEDED
    assert counters(home)["codes"] == 2
    first, second = json.loads((home.directories.login / "totp.json").read_bytes())["steps"]
    assert second > first


@pytest.mark.parametrize("text", ["Invalid security code", "Login failed", "Authentication failed. Please try again"])
def test_two_refused_codes_are_for_a_person(home: Home, text: str) -> None:
    """No machine logs in again, whatever restarts; a person may."""
    use_command(home, "print(100000 + int(os.environ['IBKR_TOOLS_ATTEMPT']))")
    home.control.page(second_factor="silver", second_factor_code="333333", second_factor_error=text)
    with pytest.raises(ActionRequired, match=f"IBKR says '{text}'") as caught:
        home.login(unattended=True)
    assert caught.value.exit_code == 77
    assert counters(home)["codes"] == 2
    assert home.results == ["person"]
    assert home.section.state == "refused"
    assert not isinstance(caught.value, LoginRefused)
    with pytest.raises(ActionRequired, match="no machine"):
        home.login(unattended=True)
    assert (counters(home)["codes"], home.control.submitted()) == (2, 1)
    home.control.page(second_factor_code="100001")
    assert home.login().outcome is Outcome.SUCCEEDED
    for path in (home.directories.status_file, *home.diagnostics):
        assert b"100001" not in path.read_bytes()


def test_error_that_is_not_about_the_code_is_not_answered_with_another(home: Home) -> None:
    use_command(home, "print(100000 + int(os.environ['IBKR_TOOLS_ATTEMPT']))")
    home.control.page(second_factor="silver", second_factor_refusals=9, second_factor_error="The moon is full")
    with pytest.raises(ActionRequired, match="The moon is full"):
        home.login()
    assert counters(home)["codes"] == 1
    assert home.results == ["stop"]


@pytest.mark.parametrize("block", ["silver", "otpselector", "temp", "bronze", "gold"])
def test_code_of_a_command(home: Home, block: str) -> None:
    """The command is told what is asked, and its code goes into the field that is visible."""
    told = home.root / "told"
    body = f"open({str(told)!r}, 'w').write(repr({{k: v for k, v in os.environ.items() if k.startswith('IBKR')}}))"
    use_command(home, body + "\nprint('just a moment')\nprint('12345678')")
    home.control.page(second_factor=block, second_factor_code="12345678")
    begun_s = int(time.time())
    assert home.login().outcome is Outcome.SUCCEEDED
    said = told.read_text()
    assert f"'IBKR_TOOLS_FACTOR': '{'silver' if block == 'otpselector' else block}'" in said
    assert ("271 828" in said) is (block == "gold")
    assert ("17 42" in said) is (block == "bronze")
    asked_at = re.search(r"'IBKR_TOOLS_ASKED_AT': '(\d+)", said)
    assert asked_at is not None
    assert begun_s <= int(asked_at[1]) <= time.time()


def test_field_of_the_users_own(home: Home) -> None:
    """IBKR has renamed everything; a selector in the configuration is enough."""
    use_command(home, "print('123456')")
    home.settings["login"]["selectors"] = {"code": ["#xyz-field-platinum-response"]}
    home.control.page(second_factor="silver", rename={**RENAMED, 'autocomplete="one-time-code"': ""})
    assert home.login().outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("page", "outcome", "why"),
    [
        (
            {"second_factor": "silver", "rename": {"return window.xyzError(answer.message);": "return 0;"}},
            Outcome.TIMED_OUT,
            "did not say what it made of the code",
        ),
        (
            {"second_factor": "multiplesf", "rename": {"() => chosen(select.value)": "() => 0"}},
            Outcome.SECOND_FACTOR,
            "'Mobile Authenticator App' was chosen, and nothing came of it",
        ),
        (
            {"second_factor": "otpselector", "rename": {'() => chosen("4.2")': "() => 0"}},
            Outcome.SECOND_FACTOR,
            "how to send the code, and takes no answer",
        ),
    ],
    ids=str,
)
def test_page_that_does_not_react(home: Home, page: dict[str, Any], outcome: Outcome, why: str) -> None:
    """Nothing is waited for in vain, and no second code goes out."""
    use_command(home, "print('000000')")
    home.control.page(**page)
    with pytest.raises((ActionRequired, LoginFailed), match=why):
        home.login()
    assert counters(home)["codes"] == (1 if outcome is Outcome.TIMED_OUT else 0)
    assert outcome.value in home.diagnostics[0].name


def test_command_without_a_code(home: Home) -> None:
    """Nothing is typed, and the sentence says what the command said last."""
    use_command(home, "sys.exit('the mailbox is closed')")
    home.control.page(second_factor="silver")
    with pytest.raises(ActionRequired, match="ended with exit code 1: the mailbox is closed"):
        home.login()
    assert counters(home)["codes"] == 0
    assert home.results == ["person"]
    assert "no-code" in home.diagnostics[0].name


@pytest.mark.parametrize(
    ("method", "page", "why"),
    [
        ("totp", {"second_factor": "notification"}, "asks for approval on the phone"),
        ("totp", {"second_factor": "gold"}, "asks for a challenge and response"),
        ("push", {"second_factor": "silver"}, "asks for a six-digit code"),
        ("push", {"second_factor": "multiplesf", "picker_options": {"4": "Authenticator", "3": "Card"}}, "Card"),
        ("totp", {"second_factor": "multiplesf", "picker": "list", "picker_options": {"5.2a": "IB Key"}}, "IB Key"),
    ],
    ids=str,
)
def test_question_that_the_method_cannot_answer(home: Home, method: str, page: dict[str, Any], why: str) -> None:
    """Nothing is typed or chosen; the sentence says what IBKR wants and what is configured."""
    if method == "totp":
        use_totp(home)
    else:
        use_push(home, 5)
    home.control.page(**page)
    with pytest.raises(ActionRequired, match=why) as caught:
        home.login()
    assert f"login.second_factor.method '{method}'" in str(caught.value)
    assert counters(home)["codes"] == 0
    assert home.results == ["person"]


@pytest.mark.parametrize("is_configured", [False, True])
def test_passkey_needs_a_person_who_hears_what_can_be_done(home: Home, is_configured: bool) -> None:
    """Whatever is configured: no program can give one, and some users can enrol nothing else."""
    if is_configured:
        use_totp(home)
    home.control.page(second_factor="fido")
    with pytest.raises(ActionRequired, match="asks for a passkey, which no program can give") as caught:
        home.login()
    assert "ask IBKR's support to spare" in str(caught.value.hint)
    assert home.section.state == "action-required"
    assert home.results == ["person"]


def test_method_that_lacks_what_it_needs_submits_nothing(home: Home) -> None:
    use(home, "totp")
    with pytest.raises(ConfigError, match="no authenticator's secret"):
        home.login()
    use_totp(home, "123456")
    with pytest.raises(ConfigError, match="not base32"):
        home.login()
    assert home.control.submitted() == 0


@pytest.mark.parametrize(
    "page",
    [
        {"second_factor": "notification"},
        {"second_factor": "multiplesf"},
        {"second_factor": "multiplesf", "picker": "list"},
    ],
    ids=str,
)
def test_approval_that_comes_late(home: Home, page: dict[str, Any]) -> None:
    """The person is told before the push and after it; systemd shows how long it may take."""
    use(home, "push")
    home.control.page(push_approved_after_ms=3000, **page)
    told = Told()
    assert home.login(notifier=told).outcome is Outcome.SUCCEEDED
    assert counters(home)["pushes"] == 1
    assert any("waiting up to 180 s for the approval on the phone" in text for text in told.statuses)
    asked, over = outbox(home)
    assert (asked.topic, asked.over, over.topic, over.over) == ("approval", False, "approval", True)
    assert asked.todo
    assert asked.user == "demo-reader"
    assert home.results == ["succeeded"]


def test_status_says_what_a_push_waits_for(home: Home) -> None:
    """While the phone rings, whoever reads the status file knows why nothing happens, and believes it long enough."""
    use(home, "push")
    home.control.page(second_factor="notification")
    seen: list[tuple[str, str, float]] = []

    def approve() -> None:
        wait_until(lambda: home.directories.status_file.exists() and "approval" in home.section.why, 20)
        section = home.section
        seen.append((section.state, section.why, section.fresh_for_s or 0))
        home.control.page(push_approved=True)

    with meanwhile(approve):
        home.login()
    ((state, why, fresh_for_s),) = seen
    assert (state, why) == ("running", "waiting up to 180 s for the approval on the phone (IB Key)")
    assert fresh_for_s >= 180 + 90


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ({"second_factor": "notification"}, "nobody approved the login on the phone within 3 s"),
        ({"second_factor": "multiplesf"}, "nobody approved the login on the phone within 3 s"),
        ({"second_factor": "notification", "push_flips_after_ms": 1500}, "nobody approved in time: the page asks for"),
    ],
    ids=str,
)
def test_missed_push_rings_once(home: Home, page: dict[str, Any], why: str) -> None:
    """However often machines ask for a login, no second request goes to the phone until a person logs in."""
    # Where the page gives up by itself, a busy machine sees it later than that.
    use_push(home, 60 if "push_flips_after_ms" in page else 3)
    home.control.page(**page)
    with pytest.raises(ActionRequired, match=why):
        home.login(unattended=True)
    assert home.section.state == "action-required"
    assert home.results == ["person"]
    for _ in range(3):
        with pytest.raises(ActionRequired, match="no machine"):
            home.login(unattended=True)
    assert (counters(home)["pushes"], home.control.submitted()) == (1, 1)
    assert [message.over for message in outbox(home)] == [False, True]
    use_push(home, 60)
    home.control.page(push_approved_after_ms=0, push_flips_after_ms=None)
    assert home.login().outcome is Outcome.SUCCEEDED
    assert counters(home)["pushes"] == 2
    assert home.results == ["person", "succeeded"]


def test_push_whose_login_came_to_nothing_is_not_repeated(home: Home) -> None:
    """Approved, but there is no session: a machine would ring the phone again, so none tries."""
    use_push(home, 60)
    home.control.page(second_factor="notification", push_approved=True, dispatcher="200-form")
    with pytest.raises(LoginFailed):
        home.login(unattended=True)
    assert home.results == ["person"]
    assert home.section.retry_at is None
    with pytest.raises(ActionRequired, match="no machine"):
        home.login(unattended=True)
    assert counters(home)["pushes"] == 1
