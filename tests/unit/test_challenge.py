"""What becomes of a push: by what the page shows after it."""

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from ibkr_tools.login import page
from ibkr_tools.login.challenge import SecondFactors
from ibkr_tools.login.outcome import Outcome
from ibkr_tools.login.page import Facts, SecondFactor
from ibkr_tools.login.view import Ended, View

PUSHED = Facts(url="https://127.0.0.1:5000/sso/Login", visible={page.factor_name(SecondFactor.NOTIFICATION): ""})


def view_of(looks: Iterator[Facts]) -> View:
    """Returns a page that shows these things, one a look, through a gateway without a session."""
    return cast(
        "View",
        SimpleNamespace(
            look=lambda: next(looks),
            allow=lambda _span: None,
            on_step=lambda _text: None,
            on_wait=lambda _text, _seconds: None,
            portal=SimpleNamespace(tickle=lambda: SimpleNamespace(has_session=False)),
        ),
    )


def form_at(path: str) -> Facts:
    return Facts(url=f"https://127.0.0.1:5000{path}", visible={"username": "", "password": "", "submit": "Login"})


def test_a_form_in_the_place_of_the_push_means_that_nobody_approved() -> None:
    factors = SecondFactors("push", push_wait=timedelta(seconds=60))
    with pytest.raises(Ended, match="nobody approved in time") as caught:
        factors.answer(PUSHED, view_of(iter([form_at("/sso/Login")])))
    assert caught.value.outcome is Outcome.PUSH_MISSED
    assert factors.rang


def test_a_form_elsewhere_means_that_somebody_approved() -> None:
    """The page went on to the gateway's Dispatcher: what came of it is asked of the API."""
    factors = SecondFactors("push", push_wait=timedelta(seconds=60))
    assert factors.answer(PUSHED, view_of(iter([form_at("/sso/Dispatcher")]))) is False
    assert factors.rang
