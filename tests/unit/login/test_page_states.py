"""Which state of IBKR's login page a snapshot shows."""

import re
import typing

import pytest

from ibkr_tools.config.schema import Element
from ibkr_tools.login import page_states
from ibkr_tools.login.outcomes import OUTCOME_POLICIES, AttemptResult, Outcome
from ibkr_tools.login.page_states import PageSnapshot, PageState, SecondFactor, classify, parse_page_snapshot

LOGIN = "https://127.0.0.1:5000/sso/Login?forwardTo=22"
FORM = {"username": "", "password": "", "submit": "Login"}
FACTORS = {page_states.second_factor_element(kind): "" for kind in SecondFactor}


def snapshot_of(url: str = LOGIN, **changes: object) -> PageSnapshot:
    return PageSnapshot(url=url, **{"text": "Log in", "inputs": 3, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("snapshot", "state"),
    [
        (snapshot_of(visible=FORM), PageState.CREDENTIALS),
        (snapshot_of(visible={**FORM, "bulletin": "Maintenance on Saturday"}), PageState.CREDENTIALS),
        (snapshot_of(visible={"username": "", "submit": "Continue"}), PageState.USERNAME_STEP),
        (snapshot_of(visible={**FORM, "loading": ""}), PageState.LOADING),
        (snapshot_of(visible={**FORM, "loading": "", "error": "Invalid"}), PageState.LOADING),
        (snapshot_of(visible={**FORM, "error": "Invalid username password combination"}), PageState.ERROR),
        (snapshot_of(visible={**FORM, "error": "  "}), PageState.CREDENTIALS),
        (snapshot_of(visible={**FORM, "consent": "We use cookies"}), PageState.CONSENT),
        (snapshot_of(visible={"second-factor SILVER": ""}), PageState.SECOND_FACTOR),
        (snapshot_of(visible={"second-factor GOLD": "", "error": "Invalid response code"}), PageState.SECOND_FACTOR),
        (snapshot_of(visible={"promo": "Skip", "loading": ""}), PageState.PROMO),
        (snapshot_of(visible={"finished": ""}), PageState.FINISHED),
        (snapshot_of("https://127.0.0.1:5000/sso/Dispatcher", text=page_states.SUCCESS_TEXT), PageState.FINISHED),
        (snapshot_of("https://127.0.0.1:5000/sso/restricted/x"), PageState.RESTRICTED),
        (snapshot_of(visible={"restricted": ""}), PageState.RESTRICTED),
        (snapshot_of(visible={"tasks": ""}), PageState.TASKS),
        (snapshot_of(text="Access Denied"), PageState.DENIED),
        (
            snapshot_of(text="Access Denied\n\nYou don't have permission. Reference #18.5d2f", status=403),
            PageState.BLOCKED,
        ),
        (snapshot_of(text="Forbidden", status=403), PageState.BLOCKED),
        (snapshot_of(text="Too Many Requests", status=429), PageState.TOO_MANY),
        (snapshot_of(text="Bad Gateway", status=502), PageState.SERVER_ERROR),
        (snapshot_of(text="", inputs=0, status=503), PageState.SERVER_ERROR),
        (snapshot_of(text="Down for maintenance", status=503), PageState.MAINTENANCE),
        (snapshot_of(visible=FORM, text="We maintain: maintenance", status=503), PageState.CREDENTIALS),
        (snapshot_of(visible={**FORM, **FACTORS}), PageState.UNSTYLED),
        (snapshot_of(visible={"restricted": "Continue login"}), PageState.RESTRICTED),
        (page_states.NO_DOCUMENT, PageState.PENDING),
        (snapshot_of("chrome://new-tab-page-third-party/"), PageState.PENDING),
        (snapshot_of("data:,", text="", inputs=0), PageState.PENDING),
        (snapshot_of("chrome-error://chromewebdata/", text="HTTP ERROR 503", status=503), PageState.SERVER_ERROR),
        (snapshot_of("chrome-error://chromewebdata/", text="This site can't be reached"), PageState.UNREACHABLE),
        (snapshot_of(text="", inputs=0), PageState.BLANK),
        (snapshot_of(text="", inputs=0, is_complete=False), PageState.LOADING),
        (snapshot_of(visible={"bulletin": "Down"}), PageState.MAINTENANCE),
        (snapshot_of(), PageState.UNKNOWN),
    ],
)
def test_classification(snapshot: PageSnapshot, state: PageState) -> None:
    """Each thing the page can show has one name, and what lies on top counts first."""
    assert classify(snapshot) is state


@pytest.mark.parametrize("kind", list(SecondFactor))
def test_every_second_factor_has_selectors_and_is_seen(kind: SecondFactor) -> None:
    """No method is forgotten in the table of selectors."""
    assert page_states.SECOND_FACTORS[kind]
    snapshot = snapshot_of(visible={f"second-factor {kind.name}": ""})
    assert snapshot.second_factor is kind
    assert classify(snapshot) is PageState.SECOND_FACTOR


def test_answer_of_the_page_is_taken_apart() -> None:
    """What the script returns becomes a snapshot; an error that was known before is not news."""
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
    snapshot = parse_page_snapshot(answer)
    assert (snapshot.error, snapshot.paper, snapshot.exchanges, snapshot.path) == ("Notice: old", None, 1, "/sso/Login")
    assert not snapshot.left_the_form
    assert parse_page_snapshot(answer, ignored_error="Notice: old").error == ""
    assert parse_page_snapshot({**answer, "paper": True}).paper is True


def test_elements_are_those_of_the_configuration() -> None:
    """Every name that the configuration allows has selectors here, and the other way round."""
    assert set(page_states.ELEMENTS) == set(typing.get_args(Element))


@pytest.mark.parametrize("name", list(page_states.ELEMENTS))
def test_own_selectors_come_first(name: Element) -> None:
    """For snapshots and for actions; a user's field for a code shows a code, and so on."""
    user_selectors: dict[Element, tuple[str, ...]] = {name: ("#own",)}
    assert page_states.merge_selectors(user_selectors)[name][0] == "#own"
    assert all(
        selectors[0] != "#own"
        for other, selectors in page_states.merge_selectors(user_selectors).items()
        if other != name
    )
    shown = [
        block for block, selectors in page_states.snapshot_selectors(user_selectors).items() if selectors[0] == "#own"
    ]
    factors = {"code": "SILVER", "push": "NOTIFICATION", "method-picker": "PICKER"}
    factor = factors.get(name)
    acted_on = name in ("continue", "paper-checkbox", "code-submit")
    assert shown == ([] if acted_on else [f"second-factor {factor}" if factor else name])


def test_selectors_are_selectors() -> None:
    """No selector is empty or holds a quote that would break it; text patterns compile."""
    for name, selectors in [*page_states.ELEMENTS.items(), *page_states.snapshot_selectors().items()]:
        assert selectors, name
        for selector in selectors:
            if selector.startswith("text:"):
                re.compile(selector.removeprefix("text:"))
            else:
                assert selector.strip() == selector
                assert '"' not in selector


def test_every_outcome_has_a_policy() -> None:
    """Exit codes, login log results and states are defined for every outcome, and fit together."""
    assert set(OUTCOME_POLICIES) == set(Outcome)
    for outcome, policy in OUTCOME_POLICIES.items():
        if policy.error is None:
            assert outcome in (Outcome.SUCCEEDED, Outcome.NOT_NEEDED)
            continue
        assert policy.result is not AttemptResult.SUCCEEDED
        code = policy.error.exit_code
        # The public word is kept for what IBKR itself refused.
        assert (policy.state == "refused") == (outcome in (Outcome.REFUSED, Outcome.CODE_REFUSED))
        assert code in (75, 77, 78)
        # systemd must not try again what only a person can change.
        assert (code == 75) == (policy.state in ("failed", "maintenance"))
        assert code == 75 or policy.todo
