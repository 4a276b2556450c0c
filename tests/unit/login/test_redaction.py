"""No text of the page or the driver shows a password, a code or a user name, however it is written there."""

import html
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from selenium.common import exceptions as selenium_errors

from ibkr_tools.login.browser import Browser
from ibkr_tools.login.login_page_object import LoginPageObject
from ibkr_tools.login.outcomes import Outcome
from ibkr_tools.login.page_handlers import end_for_error
from ibkr_tools.login.page_snapshot import MAX_SHOWN_CHARACTERS, parse_page_snapshot
from ibkr_tools.login.page_states import SUCCESS_TEXT, PageState, classify
from ibkr_tools.login.redaction import MAX_TEXT_LENGTH, RedactedText, Redactor, one_line, truncated, unredacted
from tests.support.examples import examples
from tests.support.spellings import SPELLINGS

WINDOW = 4
ODD = "p'w\\x  d\"<&%ü+Ä"
PASSWORDS = st.one_of(
    st.text(st.sampled_from("aAbB09 '\\\"<>&;%+#{}ü~ßЖ密🔑x"), min_size=WINDOW, max_size=16),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf"]), min_size=WINDOW, max_size=40),
).filter(lambda text: len(one_line(text)) >= WINDOW)
AROUND = st.text(st.sampled_from("Invalid user: (,)=?\n\t\x1b"), max_size=30)


def left_of(shown: str, password: str, spelled: str, around: str) -> list[str]:
    """Returns what of a password can still be read in `shown`, as it stands or undone."""
    readable = [one.casefold() for one in (shown, html.unescape(shown), unquote(shown), repr(shown))]
    windows = {
        whole[at : at + WINDOW].casefold()
        for whole in (one_line(password), one_line(spelled))
        for at in range(len(whole) - WINDOW + 1)
    }
    own = one_line(around).casefold()
    return [one for one in windows if one not in own and any(one in text for text in readable)]


def answer_of(text: str) -> dict[str, Any]:
    """Returns what the script returns of a page with that error."""
    return {
        "url": "https://127.0.0.1:5000/sso/Login",
        "parsed": True,
        "complete": True,
        "recognised": {},
        "text": text,
        "visible": {"error": text, "username": ""},
        "inputs": 2,
        "paper": None,
        "exchanges": 2,
        "exchange": 200,
        "document": 1.0,
        "status": 200,
        "missing": 0,
        "error": "",
    }


class Driver:
    """Answers each script with one value, or fails with one error."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def execute_script(self, _script: str, *_arguments: object) -> object:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def execute(self, _command: str, _parameters: object) -> dict[str, object]:
        return {"value": []}


def browser_of(answer: object, *secrets: str) -> Browser:
    return Browser(Driver(answer), Redactor(secrets))  # type: ignore[arg-type]


@given(PASSWORDS, AROUND, AROUND, st.sampled_from(sorted(SPELLINGS)))
@example(ODD, "", "", "json in json")
def test_nothing_of_a_password_is_shown(password: str, before: str, after: str, way: str) -> None:
    """Not in what a login says, which is cut and quoted, nor in an error of the driver."""
    spelled = SPELLINGS[way](password)
    text = f"{before}{spelled}{after}"
    browser = browser_of(answer_of(text), password)
    snapshot = parse_page_snapshot(browser.run("look"))
    page = LoginPageObject(browser, None)  # type: ignore[arg-type]
    for shown in (snapshot.error, str(snapshot), end_for_error(page, snapshot).why):
        assert not left_of(
            shown, password, spelled, before + after + str(answer_of("")) + "IBKR says PageSnapshot visible"
        )
    error = selenium_errors.UnexpectedAlertPresentException(f"unexpected alert open: {{Alert text : {text}}}")
    with pytest.raises(Exception, match="changed") as caught:
        browser_of(error, password).run("look")
    known = before + after + "the page changed under our eyes: unexpected alert open: {Alert text : }"
    assert not left_of(str(caught.value), password, spelled, known)
    assert caught.value.__suppress_context__


@given(PASSWORDS, AROUND, st.sampled_from(sorted(SPELLINGS)), st.integers(0, 60))
@examples(0.5)
def test_cut_leaves_no_beginning_of_a_password(password: str, before: str, way: str, left: int) -> None:
    """A text that the page is too long for ends before a secret may have begun, wherever it was cut."""
    spelled, longest, redactor = SPELLINGS[way](password), 3000, Redactor([password])
    text = (before + "." * longest)[: longest - left] + spelled * 3
    shown = redactor.redact_json([text[:longest]], longest)[0]
    assert not left_of(shown, password, spelled, before + "." * WINDOW)
    # And where much of it is covered, the end comes into view.
    many = (spelled + " ") * (longest // len(spelled) + 1)
    assert not left_of(redactor.redact_json(many[:longest], longest), password, spelled, "")


@pytest.mark.parametrize("way", sorted(SPELLINGS))
def test_spelling(way: str) -> None:
    """A secret is covered however a text spells it."""
    spelled = SPELLINGS[way](ODD)
    assert Redactor([ODD]).redact_line(f"Invalid: {spelled}.") == "Invalid: …."


def test_secrets_that_overlap_leave_no_rest() -> None:
    """Neither the end of one nor the beginning of the next stays readable."""
    redactor = Redactor(["reader-one", "one-secret", "abcabc"])
    assert redactor("x reader-one-secret y") == "x … y"
    assert redactor("x abcabcabc y") == "x … y"


def test_secrets_can_be_added_later() -> None:
    """From then on they are covered; the empty text and repetitions change nothing."""
    redactor = Redactor()
    assert redactor("code 274951") == "code 274951"
    redactor.add("274951")
    redactor.add("274951")
    redactor.add("")
    assert redactor("code 274951") == "code …"
    assert len(redactor.patterns_for_scripts()) == 1


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("a", "A bad password: a", "… bad password: …"),
        ("abc", "abc is in abcd, (abc) and 'ABC'", "… is in abcd, (…) and '…'"),
        ("é", "caf\u00e9 \u00e9", "caf\u00e9 …"),
        ("?!", "what?! ?! no", "what?! … no"),
        (" ", "one two", "one two"),
        ("\\", "a \\ b", "a … b"),
    ],
)
def test_short_secret_is_covered_where_it_stands_alone(secret: str, text: str, shown: str) -> None:
    """Everything else stays readable."""
    assert Redactor([secret]).redact_line(text) == shown


@pytest.mark.parametrize("secret", ["Client", "succeeds", "login", "Invalid", "sso", "error", "https", "user", "wait"])
def test_secret_that_is_a_word_of_the_page_spoils_no_decision(secret: str) -> None:
    """Decisions are made by what was written; the names of what a look finds are ours."""
    browser = browser_of({**answer_of(SUCCESS_TEXT), "visible": {}}, secret)
    assert classify(parse_page_snapshot(browser.run("look"))) is PageState.FINISHED
    said = "Invalid username password combination, failed user. Please wait 15 minutes."
    browser = browser_of(answer_of(said), secret)
    snapshot = parse_page_snapshot(browser.run("look"))
    assert classify(snapshot) is PageState.ERROR
    assert not snapshot.left_the_form
    ended = end_for_error(LoginPageObject(browser, None), snapshot)  # type: ignore[arg-type]
    assert ended.outcome is Outcome.TOLD_TO_WAIT
    assert ended.wait is not None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" a \n\n\t b\u00a0c\u2028d ", "a b c d"),
        ("\x1b[31mred\x1b[0m\x07", "[31mred[0m"),
        ("a\u202eb\u200bc\ufeff\x85d", "abc d"),
        ("half \ud83d of it", "half of it"),
        ("Grüße, 密码 🔑", "Grüße, 密码 🔑"),
    ],
)
def test_text_is_on_one_line_without_control_characters(text: str, line: str) -> None:
    """Also the keys and texts within JSON."""
    assert one_line(text) == line
    assert Redactor(["secret"]).redact_json({"k\n": [text, 1, None, True]}, MAX_TEXT_LENGTH) == {
        "k\n": [line, 1, None, True]
    }


@pytest.mark.parametrize("show", [str, repr, format, "{}".format, "{!r:>30}".format, "{:.9}".format, json.dumps])
def test_covered_text_shows_itself_covered(show: Callable[[object], str]) -> None:
    """Cut, quoted, joined, compared or encoded: only `unredacted` knows more."""
    covered = Redactor(["secret"]).redact_line("the secret word")
    assert isinstance(covered, RedactedText)
    assert "secret" not in show(covered) + show(covered[2:]) + show(covered.upper()) + show([covered] and covered + "x")
    assert unredacted(covered) == "the secret word"
    assert unredacted(truncated(covered, 8)) == "the secr"
    assert len(truncated(covered, MAX_SHOWN_CHARACTERS)) == len("the … word")


@pytest.mark.timing
@pytest.mark.parametrize(
    "text",
    [
        "\\" * MAX_TEXT_LENGTH,
        "a\\" * (MAX_TEXT_LENGTH // 2),
        "a" * MAX_TEXT_LENGTH,
        "a " * (MAX_TEXT_LENGTH // 2),
        "&" * MAX_TEXT_LENGTH,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    """Whoever has taken the page over must not hold the login up."""
    redactor = Redactor(["a" * 63 + "b", "a b a b a b c", ODD])
    begin = time.process_time()
    redactor(text)
    assert time.process_time() - begin < 10
