"""What becomes of a push: by what the page shows after it."""

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from ibkr_tools.login import page_states
from ibkr_tools.login.login_page import LoginPage, LoginStopped
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_states import PageSnapshot, SecondFactor
from ibkr_tools.login.second_factor_flow import SecondFactorFlow

PUSHED = PageSnapshot(
    url="https://127.0.0.1:5000/sso/Login", visible={page_states.second_factor_element(SecondFactor.NOTIFICATION): ""}
)


def page_of(snapshots: Iterator[PageSnapshot]) -> LoginPage:
    """Returns a page that shows these things, one a snapshot, through a gateway without a session."""
    return cast(
        "LoginPage",
        SimpleNamespace(
            inspect=lambda: next(snapshots),
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
    factors = SecondFactorFlow("push", push_wait=timedelta(seconds=60))
    with pytest.raises(LoginStopped, match="nobody approved in time") as caught:
        factors.answer(PUSHED, page_of(iter([form_at("/sso/Login")])))
    assert caught.value.outcome is Outcome.PUSH_MISSED
    assert factors.push_sent


def test_a_form_elsewhere_means_that_somebody_approved() -> None:
    """The page went on to the gateway's Dispatcher: what came of it is asked of the API."""
    factors = SecondFactorFlow("push", push_wait=timedelta(seconds=60))
    assert factors.answer(PUSHED, page_of(iter([form_at("/sso/Dispatcher")]))) is False
    assert factors.push_sent
