"""What IBKR asks once in a while instead of letting a user in: to review data, to make a passkey."""

import pytest

from ibkr_tools.errors import ActionRequired
from ibkr_tools.login.outcomes import Outcome
from tests.browser.conftest import Home
from tests.browser.test_login import meanwhile
from tests.browser.test_redesigned_pages import ONE_SUBMISSION, counted, seed_with
from tests.support.simulation import wait_until

pytestmark = pytest.mark.browser

REVIEWS = {
    "en": ("Annual Account Review", "Please review your account information.", "Remind me later"),
    "de": ("Ihre Angaben", "Bitte überprüfen Sie Ihre persönlichen Daten.", "Später erinnern"),
    "ja": ("お客様情報のご確認", "変更がないかご覧ください", "後で"),
}
"""The words of the other languages are in tests/unit/login/test_page_vocabulary.py."""


def page_of(title: str, text: str, *controls: str) -> str:
    buttons = "".join(f"<button onclick=\"fetch('/sso/skipped')\">{control}</button>" for control in controls)
    return f"<!DOCTYPE html><title>Interactive Brokers</title><h1>{title}</h1><p>{text}</p>{buttons}"


@pytest.mark.parametrize("language", REVIEWS)
def test_yearly_review_needs_a_person(home: Home, language: str) -> None:
    """Nothing is confirmed or put off: these are a person's data; one visit to the website is enough."""
    title, text, later = REVIEWS[language]
    home.control.page(document_after=page_of(title, text, "Continue", later))
    with pytest.raises(ActionRequired, match="review or confirm data") as caught:
        home.login()
    assert "Sign in on IBKR's website once" in str(caught.value.hint)
    assert "GET /sso/skipped" not in home.control.state()["requests"]
    assert home.results == ["person"]


def test_yearly_review_after_a_redesigned_form(home: Home) -> None:
    """What comes after the form is told by its words as well."""
    home.control.page(redesign=seed_with("shadow"), document_after=page_of(*REVIEWS["de"]))
    with pytest.raises(ActionRequired, match="review or confirm data"):
        home.login()


def test_review_that_does_not_stand_in_the_way(home: Home) -> None:
    """If there is a session behind it, the login has succeeded."""
    home.control.page(dispatcher="200-tasks")
    assert home.login().outcome is Outcome.SUCCEEDED


PASSKEYS = {
    "en": ("Sign in faster", "Create a passkey to continue."),
    "zh": ("登录", "创建通行密钥"),
    "key": ("Sign in", "Insert your security key and touch it."),
}


@pytest.mark.parametrize("after", [False, True], ids=["before the password", "after it"])
@pytest.mark.parametrize("language", PASSKEYS)
def test_passkey_is_known_in_other_languages(home: Home, language: str, after: bool) -> None:
    document = page_of(*PASSKEYS[language])
    home.control.page(**{"document_after" if after else "document": document})
    with pytest.raises(ActionRequired, match="asks for a passkey") as caught:
        home.login()
    assert "ask IBKR's support to spare" in str(caught.value.hint)
    assert counted(home)["submitted"] == int(after)


def test_passkey_is_known_by_the_title_alone(home: Home) -> None:
    home.control.page(document_after="<!DOCTYPE html><title>Use your passkey</title><svg width=90 height=90></svg>")
    with pytest.raises(ActionRequired, match="asks for a passkey"):
        home.login()


SKIPS = ["Not now", "Skip for now", "Remind me later", "Nicht jetzt", "Plus tard", "Ahora no", "稍后提醒我", "後で"]


HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize("skip", SKIPS)
def test_offer_of_a_passkey_is_declined(home: Home, skip: str) -> None:
    """It is an advert like that for IB Key: the login goes on."""
    offer = page_of("Sign in faster next time", "Create a passkey.", "Create")
    home.control.page(document_after=f'{offer}<a href="/sso/after">{skip}</a>')
    home.control.fault("/sso/after", "status", status=200, body="Client login succeeds")

    def let_in() -> None:
        wait_until(lambda: "GET /sso/after" in home.control.state()["requests"], 30)
        home.control.login()

    with meanwhile(let_in):
        assert home.login().outcome is Outcome.SUCCEEDED
    assert home.section.recognised == {}


@pytest.mark.parametrize("other", ["Use password instead", "Mit Passwort anmelden", "他の方法でログイン"])
def test_offer_of_a_passkey_before_the_form_leads_to_the_form(home: Home, other: str) -> None:
    """Where a page begins with the passkey, its way to the password is taken."""
    offer = f"{page_of('Use your passkey', 'Touch the sensor.')}<a href='/sso/Login?x'>{other}</a>"
    home.control.fault("/sso/Login", "status", status=200, body=offer, headers=HTML, count=1)
    assert home.login().outcome is Outcome.SUCCEEDED
    assert counted(home) == ONE_SUBMISSION


def test_passkey_that_cannot_be_declined_is_compulsory(home: Home) -> None:
    """A button that leads nowhere is pressed three times, not for ever."""
    home.control.page(document_after=page_of("Create your passkey", "It is required.", "Create", "Skip"))
    with pytest.raises(ActionRequired, match="asks for a passkey"):
        home.login()
    assert home.control.state()["requests"]["GET /sso/skipped"] == 3
