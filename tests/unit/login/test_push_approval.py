"""Whether a push was approved: by IBKR's answer to the page, or by what the page has come to say."""

from types import SimpleNamespace
from typing import cast

import pytest

from ibkr_tools.login.browser_protocol import LoginBrowser
from ibkr_tools.login.page_snapshot import PageSnapshot, second_factor_element
from ibkr_tools.login.push_approval import PushApproval
from ibkr_tools.page_elements import SecondFactor

ASKS = "A notification was sent to your phone. You are signed in once it is approved. Resend"


def browser_with(answer: str | None) -> LoginBrowser:
    return cast("LoginBrowser", SimpleNamespace(last_answer=lambda _suffix: answer))


def snapshot_of(text: str) -> PageSnapshot:
    shown = second_factor_element(SecondFactor.NOTIFICATION)
    return PageSnapshot(url="https://127.0.0.1:5000/sso/Login", text=f"Log in {text} Help", visible={shown: text})


@pytest.mark.parametrize(
    ("answer", "is_given"),
    [
        ('{"auth_res": true}', True),
        ('{"auth_res": "true", "push": "approved"}', True),
        ('{"auth_res": false, "push": "waiting"}', False),
        # The password was right; now the phone is asked.
        ('{"auth_res": true, "sftypes": "5.2a"}', False),
        ("[true]", False),
        ("<html>", False),
        (None, False),
    ],
)
def test_answer_of_ibkr_says_whether_it_lets_the_user_in(answer: str | None, is_given: bool) -> None:
    approval = PushApproval()
    assert approval.look(snapshot_of(ASKS), browser_with(answer)) is is_given
    assert approval.is_given is is_given


@pytest.mark.parametrize(
    ("text", "is_given"),
    [
        ("Success. Communicating with the server…", True),
        ("A notification was sent to your phone. Approved! Resend", True),
        ("Erfolgreich. Kommunikation mit dem Server", True),
        ("Approuvé", True),
        ("承認されました", True),
        ("A notification was sent to your phone. It was not approved. Resend", False),
        ("Your request was declined", False),
        ("A second notification was sent to your phone. You are signed in once it is approved. Resend", False),
        (ASKS, False),
    ],
)
def test_page_says_what_it_did_not_say_before(text: str, is_given: bool) -> None:
    """What it says while it asks, such as "once it is approved", is no news."""
    approval = PushApproval()
    assert not approval.look(snapshot_of(ASKS), browser_with(None))
    assert approval.look(snapshot_of(text), browser_with(None)) is is_given


def test_approval_is_noticed_once_and_stays() -> None:
    approval = PushApproval()
    approval.look(snapshot_of(ASKS), browser_with('{"auth_res": true}'))
    assert not approval.look(snapshot_of(ASKS), browser_with(None))
    assert approval.is_given
