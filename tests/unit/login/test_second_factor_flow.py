"""What becomes of a push: by what the page shows after it."""

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

from ibkr_tools.login.login_end import LoginEnd
from ibkr_tools.login.login_page_object import LoginPageObject, NextStep
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_snapshot import PageSnapshot, second_factor_element
from ibkr_tools.login.second_factor_flow import SecondFactorFlow
from ibkr_tools.page_elements import SecondFactor

PUSHED = PageSnapshot(
    url="https://127.0.0.1:5000/sso/Login", visible={second_factor_element(SecondFactor.NOTIFICATION): ""}
)


def page_of(snapshots: Iterator[PageSnapshot]) -> LoginPageObject:
    """Returns a page that shows these things, one a snapshot, through a gateway without a session."""
    return cast(
        "LoginPageObject",
        SimpleNamespace(
            inspect=lambda: next(snapshots),
            poll_or_end=lambda look, _step: look(),
            extend_time=lambda _span: None,
            on_step=lambda _text: None,
            on_wait=lambda _text, _seconds: None,
            portal=SimpleNamespace(tickle=lambda: SimpleNamespace(has_session=False)),
        ),
    )


def form_at(path: str) -> PageSnapshot:
    return PageSnapshot(
        url=f"https://127.0.0.1:5000{path}", visible={"username": "", "password": "", "submit": "Login"}
    )


def test_a_form_in_the_place_of_the_push_means_that_nobody_approved() -> None:
    """The page gave up waiting and shows its form again."""
    factors = SecondFactorFlow("push", push_wait=timedelta(seconds=60))
    ended = factors.answer(PUSHED, page_of(iter([form_at("/sso/Login")])))
    assert isinstance(ended, LoginEnd)
    assert ended.outcome is Outcome.PUSH_MISSED
    assert "nobody approved in time" in ended.why
    assert factors.push_sent


def test_a_form_elsewhere_means_that_somebody_approved() -> None:
    """The page went on to the gateway's Dispatcher: what came of it is asked of the API."""
    factors = SecondFactorFlow("push", push_wait=timedelta(seconds=60))
    assert factors.answer(PUSHED, page_of(iter([form_at("/sso/Dispatcher")]))) is NextStep.LOOK_AGAIN
    assert factors.push_sent
