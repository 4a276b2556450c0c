"""What the texts of IBKR's login page mean, and how a login ends that got stuck."""

from datetime import timedelta

import pytest

from ibkr_tools.errors import LoginFailed
from ibkr_tools.login.error_messages import MAX_STATED_WAIT, classify_error, parse_stated_wait
from ibkr_tools.login.login_page_object import LoginPageObject
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_handlers import end_for_stall
from ibkr_tools.login.page_snapshot import PageSnapshot
from ibkr_tools.login.page_states import PageState, classify

REFUSED = "Invalid username password combination"
LIVE = "You have selected the Live Account Mode, but the specified user is a Paper Trading user."


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (REFUSED, Outcome.REFUSED),
        ("failed", Outcome.REFUSED),
        ("ERROR", Outcome.REFUSED),
        ("Login failed", Outcome.REFUSED),
        ("Authentication failed", Outcome.REFUSED),
        ("Unrecognized username or password", Outcome.REFUSED),
        (LIVE, Outcome.WRONG_MODE),
        (
            "You have selected the Paper Account Mode, but the specified user is a Live Account user.",
            Outcome.WRONG_MODE,
        ),
        ("Too many failed login attempts. Please wait 15 minutes", Outcome.TOLD_TO_WAIT),
        ("Please try again in 30 seconds.", Outcome.TOLD_TO_WAIT),
        ("Too many requests", Outcome.TOLD_TO_WAIT),
        ("Too many failed login attempts", Outcome.LOCKED),
        ("Too many failed login attempts. Your user has been locked for 24 hours.", Outcome.LOCKED),
        ("Your account is blocked", Outcome.LOCKED),
        ("You have been locked out", Outcome.LOCKED),
        ("You exceeded the maximum number of attempts", Outcome.LOCKED),
        ("Incorrect security code", Outcome.CODE_REFUSED),
        ("Invalid security code", Outcome.CODE_REFUSED),
        ("Invalid response code", Outcome.CODE_REFUSED),
        ("An error occurred while communicating with the server.", Outcome.SERVER_ERROR),
        ("Internal Server Error", Outcome.SERVER_ERROR),
        ("The system is currently unavailable", Outcome.MAINTENANCE),
        ("Our systems are down for scheduled maintenance.", Outcome.MAINTENANCE),
        ("Service is temporarily unavailable, please try again later", Outcome.MAINTENANCE),
        # A text that nobody has seen on this page stops everything, whatever TWS would mean by it.
        ("Your password has expired", Outcome.UNKNOWN_ERROR),
        ("You must change your password", Outcome.UNKNOWN_ERROR),
        ("Password Notice", Outcome.UNKNOWN_ERROR),
        ("This is not a brokerage account", Outcome.UNKNOWN_ERROR),
        ("Existing Session Detected", Outcome.UNKNOWN_ERROR),
        ("", Outcome.UNKNOWN_ERROR),
    ],
)
def test_error_texts(text: str, outcome: Outcome) -> None:
    """Known texts have their meaning; an unknown one stops everything."""
    assert classify_error(text) is outcome
    assert classify_error(text.upper()) is outcome


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("Login failed", Outcome.CODE_REFUSED),
        ("Authentication failed", Outcome.CODE_REFUSED),
        ("Invalid security code", Outcome.CODE_REFUSED),
        ("Something went wrong, try again", Outcome.CODE_REFUSED),
        ("Too many failed login attempts. Please wait 15 minutes", Outcome.TOLD_TO_WAIT),
        ("Your user has been locked", Outcome.LOCKED),
        (LIVE, Outcome.WRONG_MODE),
        ("An error occurred while communicating with the server.", Outcome.SERVER_ERROR),
        ("Verify your phone number", Outcome.UNKNOWN_ERROR),
    ],
)
def test_error_texts_after_a_code(text: str, outcome: Outcome) -> None:
    """After a second factor's code, short refusals are about the code, not the password."""
    assert classify_error(text, after_code=True) is outcome


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please wait 15 minutes", 900),
        ("please wait 1 hour and 30 minutes.", 5400),
        ("Try again in 45 seconds", 45),
        ("Try again after an hour", 3600),
        ("10 tries within 24 hours. Please wait 20 minutes. Help: 1 day", 1200),
        ("Locked for 24 hours", 86_400),
        ("Please wait a moment", None),
        ("Please wait 0 minutes", None),
        ("Please wait", None),
        ("It took 15 minutes", None),
        ("Wait 999999 days", MAX_STATED_WAIT.total_seconds()),
    ],
)
def test_stated_waits(text: str, seconds: float | None) -> None:
    """What IBKR says to wait is read, and bounded."""
    assert parse_stated_wait(text) == (None if seconds is None else timedelta(seconds=seconds))


class SilentBrowser:
    """A browser that has recorded nothing."""

    def waits_after_429_s(self) -> list[float]:
        return []

    def last_answer(self, _suffix: str) -> str | None:
        raise LoginFailed("gone")


def seen(**changes: object) -> PageSnapshot:
    return PageSnapshot(url="https://127.0.0.1:5000/sso/Login", **{"text": "x", "inputs": 1, **changes})  # type: ignore[arg-type]


def failed(error: str) -> PageSnapshot:
    return PageSnapshot(url="chrome-error://chromewebdata/", text="This site", net_error=error)


FORM = {"username": "", "password": ""}


@pytest.mark.parametrize(
    ("snapshot", "outcome", "word"),
    [
        (failed("ERR_CONNECTION_REFUSED"), Outcome.UNREACHABLE, "nothing listens"),
        (failed("ERR_TIMED_OUT"), Outcome.UNREACHABLE, "could not open"),
        (failed("ERR_CONNECTION_CLOSED"), Outcome.NOT_THE_GATEWAY, "not the gateway"),
        (failed("ERR_CONNECTION_RESET"), Outcome.NOT_THE_GATEWAY, "not the gateway"),
        (failed("ERR_EMPTY_RESPONSE"), Outcome.UNREACHABLE, "hangs up"),
        (failed("ERR_SSL_PROTOCOL_ERROR"), Outcome.NOT_THE_GATEWAY, "not the gateway"),
        (failed("ERR_CERT_AUTHORITY_INVALID"), Outcome.NOT_THE_GATEWAY, "not the gateway"),
        (PageSnapshot(url="about:blank"), Outcome.UNREACHABLE, "no answer"),
        (seen(status=429), Outcome.TOLD_TO_WAIT, "429"),
        (seen(status=502), Outcome.SERVER_ERROR, "502"),
        (seen(status=403, text="Access Denied Reference #1"), Outcome.BLOCKED, "Reference #1"),
        (seen(text="Down for maintenance"), Outcome.MAINTENANCE, "Down for maintenance"),
        (seen(visible={"bulletin": "Back at 6"}), Outcome.MAINTENANCE, "Back at 6"),
        (seen(text="", inputs=0), Outcome.BLANK_PAGE, "blank"),
        (seen(missing=3), Outcome.BLANK_PAGE, "3 of its parts"),
        (seen(visible={"loading": ""}), Outcome.STILL_LOADING, "busy"),
        (seen(visible={"loading": ""}, exchange=429), Outcome.TOLD_TO_WAIT, "429"),
        (seen(visible={"loading": ""}, exchange=500), Outcome.SERVER_ERROR, "500"),
        (seen(visible=FORM, exchange=-1), Outcome.SERVER_ERROR, "breaks off"),
        (seen(visible=FORM), Outcome.UNREACHABLE, "does not answer"),
        (seen(visible=FORM, is_complete=False), Outcome.STILL_LOADING, "busy"),
        (seen(visible={**FORM, "error": REFUSED}), Outcome.REFUSED, REFUSED),
        (seen(visible={"finished": ""}), Outcome.UNKNOWN_PAGE, "a finished login"),
        (seen(), Outcome.UNKNOWN_PAGE, "an unknown page"),
    ],
)
def test_dead_ends(snapshot: PageSnapshot, outcome: Outcome, word: str) -> None:
    """Each thing that a login can get stuck at has an outcome and a sentence."""
    page = LoginPageObject(SilentBrowser(), None)  # type: ignore[arg-type]
    ended = end_for_stall(page, snapshot, classify(snapshot))
    assert ended.outcome is outcome
    assert word in ended.why
    assert outcome.policy.error is not None


@pytest.mark.parametrize("state", list(PageState))
def test_a_login_that_is_stuck_ends_as_the_row_of_its_state_says(state: PageState) -> None:
    """If the page says nothing of itself but its state."""
    page = LoginPageObject(SilentBrowser(), None)  # type: ignore[arg-type]
    ended = end_for_stall(page, seen(), state)
    assert ended.outcome is state.policy.outcome
    assert ended.why


@pytest.mark.parametrize(
    ("stated_s", "wait"),
    [
        ([], timedelta(minutes=15)),
        ([0.0], timedelta(minutes=15)),
        ([120.0], timedelta(minutes=15)),
        ([0.0, 1200.0, 60.0], timedelta(minutes=20)),
        ([7200.0], timedelta(hours=2)),
        ([999_999_999.0], MAX_STATED_WAIT),
    ],
)
def test_login_stays_away_after_a_429_as_long_as_every_process(stated_s: list[float], wait: timedelta) -> None:
    """And as long as the longest Retry-After says, of which a week is believed at most."""

    class TellingBrowser(SilentBrowser):
        def waits_after_429_s(self) -> list[float]:
            return stated_s

    page = LoginPageObject(TellingBrowser(), None)  # type: ignore[arg-type]
    ended = end_for_stall(page, seen(status=429), classify(seen(status=429)))
    assert ended.wait == wait
