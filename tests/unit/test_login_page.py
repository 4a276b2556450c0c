"""What a look at IBKR's login page means."""

import re
import typing

import pytest

from ibkr_tools.config import Element
from ibkr_tools.login import page, scripts
from ibkr_tools.login.outcome import MEANINGS, Mark, Outcome
from ibkr_tools.login.page import Facts, SecondFactor, Sight, classify, parse_facts

LOGIN = "https://127.0.0.1:5000/sso/Login?forwardTo=22"
FORM = {"username": "", "password": "", "submit": "Login"}
FACTORS = {page.factor_name(kind): "" for kind in SecondFactor}


def facts_of(url: str = LOGIN, **changes: object) -> Facts:
    return Facts(url=url, **{"text": "Log in", "inputs": 3, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "sight"),
    [
        (facts_of(visible=FORM), Sight.CREDENTIALS),
        (facts_of(visible={**FORM, "bulletin": "Maintenance on Saturday"}), Sight.CREDENTIALS),
        (facts_of(visible={"username": "", "submit": "Continue"}), Sight.USERNAME_STEP),
        (facts_of(visible={**FORM, "loading": ""}), Sight.LOADING),
        (facts_of(visible={**FORM, "loading": "", "error": "Invalid"}), Sight.LOADING),
        (facts_of(visible={**FORM, "error": "Invalid username password combination"}), Sight.ERROR),
        (facts_of(visible={**FORM, "error": "  "}), Sight.CREDENTIALS),
        (facts_of(visible={**FORM, "consent": "We use cookies"}), Sight.CONSENT),
        (facts_of(visible={"second-factor SILVER": ""}), Sight.SECOND_FACTOR),
        (facts_of(visible={"second-factor GOLD": "", "error": "Invalid response code"}), Sight.SECOND_FACTOR),
        (facts_of(visible={"promo": "Skip", "loading": ""}), Sight.PROMO),
        (facts_of(visible={"finished": ""}), Sight.FINISHED),
        (facts_of("https://127.0.0.1:5000/sso/Dispatcher", text=page.SUCCESS_TEXT), Sight.FINISHED),
        (facts_of("https://127.0.0.1:5000/sso/restricted/x"), Sight.RESTRICTED),
        (facts_of(visible={"restricted": ""}), Sight.RESTRICTED),
        (facts_of(visible={"tasks": ""}), Sight.TASKS),
        (facts_of(text="Access Denied"), Sight.DENIED),
        (facts_of(text="Access Denied\n\nYou don't have permission. Reference #18.5d2f", status=403), Sight.BLOCKED),
        (facts_of(text="Forbidden", status=403), Sight.BLOCKED),
        (facts_of(text="Too Many Requests", status=429), Sight.TOO_MANY),
        (facts_of(text="Bad Gateway", status=502), Sight.SERVER_ERROR),
        (facts_of(text="", inputs=0, status=503), Sight.SERVER_ERROR),
        (facts_of(text="Down for maintenance", status=503), Sight.MAINTENANCE),
        (facts_of(visible=FORM, text="We maintain: maintenance", status=503), Sight.CREDENTIALS),
        (facts_of(visible={**FORM, **FACTORS}), Sight.UNSTYLED),
        (facts_of(visible={"restricted": "Continue login"}), Sight.RESTRICTED),
        (page.NOTHING, Sight.PENDING),
        (facts_of("chrome://new-tab-page-third-party/"), Sight.PENDING),
        (facts_of("data:,", text="", inputs=0), Sight.PENDING),
        (facts_of("chrome-error://chromewebdata/", text="HTTP ERROR 503", status=503), Sight.SERVER_ERROR),
        (facts_of("chrome-error://chromewebdata/", text="This site can't be reached"), Sight.UNREACHABLE),
        (facts_of(text="", inputs=0), Sight.BLANK),
        (facts_of(text="", inputs=0, is_complete=False), Sight.LOADING),
        (facts_of(visible={"bulletin": "Down"}), Sight.MAINTENANCE),
        (facts_of(), Sight.UNKNOWN),
    ],
)
def test_classification(facts: Facts, sight: Sight) -> None:
    """Each thing the page can show has one name, and what lies on top counts first."""
    assert classify(facts) is sight


@pytest.mark.parametrize("kind", list(SecondFactor))
def test_every_second_factor_has_selectors_and_is_seen(kind: SecondFactor) -> None:
    """No method is forgotten in the table of selectors."""
    assert page.SECOND_FACTORS[kind]
    facts = facts_of(visible={f"second-factor {kind.name}": ""})
    assert facts.second_factor is kind
    assert classify(facts) is Sight.SECOND_FACTOR


def test_answer_of_the_page_is_taken_apart() -> None:
    """What the script returns becomes facts; an error that was known before is not news."""
    answer = {
        "url": LOGIN,
        "complete": True,
        "text": "Log in",
        "visible": {"error": "Notice:\n old"},
        "inputs": 2,
        "paper": None,
        "exchanges": 1,
        "exchange": 200,
        "status": 200,
        "missing": 0,
        "error": "",
        "document": 1.5,
    }
    facts = parse_facts(answer)
    assert (facts.error, facts.paper, facts.exchanges, facts.path) == ("Notice: old", None, 1, "/sso/Login")
    assert not facts.left_the_form
    assert parse_facts(answer, ignored_error="Notice: old").error == ""
    assert parse_facts({**answer, "paper": True}).paper is True


def test_elements_are_those_of_the_configuration() -> None:
    """Every name that the configuration allows has selectors here, and the other way round."""
    assert set(page.ELEMENTS) == set(typing.get_args(Element))


@pytest.mark.parametrize("name", list(page.ELEMENTS))
def test_own_selectors_come_first(name: Element) -> None:
    """For looking and for acting; a user's field for a code shows a code, and so on."""
    own: dict[Element, tuple[str, ...]] = {name: ("#own",)}
    assert page.selectors(own)[name][0] == "#own"
    assert all(one[0] != "#own" for other, one in page.selectors(own).items() if other != name)
    looked_for = [block for block, selectors in page.looked_for(own).items() if selectors[0] == "#own"]
    factors = {"code": "SILVER", "push": "NOTIFICATION", "method-picker": "PICKER"}
    factor = factors.get(name)
    acted_on = name in ("continue", "paper-checkbox", "code-submit")
    assert looked_for == ([] if acted_on else [f"second-factor {factor}" if factor else name])


def test_selectors_are_selectors() -> None:
    """No selector is empty or holds a quote that would break it; text patterns compile."""
    for name, selectors in [*page.ELEMENTS.items(), *page.looked_for().items()]:
        assert selectors, name
        for selector in selectors:
            if selector.startswith("text:"):
                re.compile(selector.removeprefix("text:"))
            else:
                assert selector.strip() == selector
                assert '"' not in selector


def test_no_script_returns_what_is_typed() -> None:
    """The only script that hands out document text empties the fields first."""
    assert "field.value = ''" in scripts.BLANK
    assert scripts.BLANK.index("field.value = ''") < scripts.BLANK.index("outerHTML")
    for script in (scripts.LOOK, scripts.FILL, scripts.PRESS, scripts.CLICK, scripts.SWITCH):
        assert "return field.value;" not in script
        assert "outerHTML" not in script


def test_every_outcome_has_a_meaning() -> None:
    """Exit codes, ledger marks and states are defined for every outcome, and fit together."""
    assert set(MEANINGS) == set(Outcome)
    for outcome, meaning in MEANINGS.items():
        if meaning.error is None:
            assert outcome in (Outcome.SUCCEEDED, Outcome.NOT_NEEDED)
            continue
        assert meaning.mark is not Mark.SUCCEEDED
        code = meaning.error.exit_code
        assert code in (75, 77, 78)
        # systemd must not try again what only a person can change.
        assert (code == 75) == (meaning.state in ("failed", "maintenance"))
        assert code == 75 or meaning.todo
