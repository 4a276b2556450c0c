"""Which state of IBKR's login page a snapshot shows."""

import re
import typing

import pytest

from ibkr_tools.config import schema
from ibkr_tools.login.login_timers import Patience
from ibkr_tools.login.outcomes import AttemptResult, Outcome
from ibkr_tools.login.page_snapshot import (
    NO_DOCUMENT,
    PageSnapshot,
    merge_selectors,
    parse_page_snapshot,
    second_factor_element,
    snapshot_selectors,
)
from ibkr_tools.login.page_state_policy import Reaction, SessionBehind
from ibkr_tools.login.page_states import BLOCKING_ELEMENTS, FORM, SUCCESS_TEXT, PageState, classify
from ibkr_tools.page_elements import PageElement, SecondFactor
from tests.support.page_state_cases import PAGE_STATE_CASES

LOGIN = "https://127.0.0.1:5000/sso/Login?forwardTo=22"
SHOWN_FORM = {"username": "", "password": "", "submit": "Login"}
FACTORS = {second_factor_element(kind): "" for kind in SecondFactor}


def snapshot_of(url: str = LOGIN, **changes: object) -> PageSnapshot:
    return PageSnapshot(url=url, **{"text": "Log in", "inputs": 3, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("snapshot", "state"),
    [
        (snapshot_of(visible=SHOWN_FORM), PageState.CREDENTIALS),
        (snapshot_of(visible={**SHOWN_FORM, "bulletin": "Maintenance on Saturday"}), PageState.CREDENTIALS),
        (snapshot_of(visible={"username": "", "submit": "Continue"}), PageState.USERNAME_STEP),
        (snapshot_of(visible={**SHOWN_FORM, "loading": ""}), PageState.LOADING),
        (snapshot_of(visible={**SHOWN_FORM, "loading": "", "error": "Invalid"}), PageState.LOADING),
        (snapshot_of(visible={**SHOWN_FORM, "error": "Invalid username password combination"}), PageState.ERROR),
        (snapshot_of(visible={**SHOWN_FORM, "error": "  "}), PageState.CREDENTIALS),
        (snapshot_of(visible={**SHOWN_FORM, "consent": "We use cookies"}), PageState.CONSENT),
        (snapshot_of(visible={"second-factor SILVER": ""}), PageState.SECOND_FACTOR),
        (snapshot_of(visible={"second-factor GOLD": "", "error": "Invalid response code"}), PageState.SECOND_FACTOR),
        (snapshot_of(visible={"promo": "Skip", "loading": ""}), PageState.PROMO),
        (snapshot_of(visible={"finished": ""}), PageState.FINISHED),
        (snapshot_of("https://127.0.0.1:5000/sso/Dispatcher", text=SUCCESS_TEXT), PageState.FINISHED),
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
        (snapshot_of(visible=SHOWN_FORM, text="We maintain: maintenance", status=503), PageState.CREDENTIALS),
        (snapshot_of(visible={**SHOWN_FORM, **FACTORS}), PageState.UNSTYLED),
        (snapshot_of(visible={"restricted": "Continue login"}), PageState.RESTRICTED),
        (NO_DOCUMENT, PageState.PENDING),
        (snapshot_of("chrome://new-tab-page-third-party/"), PageState.PENDING),
        (snapshot_of("data:,", text="", inputs=0), PageState.PENDING),
        (snapshot_of("chrome-error://chromewebdata/", text="HTTP ERROR 503", status=503), PageState.SERVER_ERROR),
        (snapshot_of("chrome-error://chromewebdata/", text="This site can't be reached"), PageState.UNREACHABLE),
        (snapshot_of(text="", inputs=0), PageState.BLANK),
        (snapshot_of(text="", inputs=0, is_complete=False), PageState.INCOMPLETE),
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
    assert kind.blocks
    snapshot = snapshot_of(visible={f"second-factor {kind.name}": ""})
    assert snapshot.second_factor is kind
    assert classify(snapshot) is (PageState.PASSKEY if kind is SecondFactor.FIDO else PageState.SECOND_FACTOR)


@pytest.mark.parametrize(
    ("text", "visible", "state"),
    [
        ("Create your passkey to go on", {}, PageState.PASSKEY),
        ("Log in. Sign in with a passkey", {"username": "", "password": ""}, PageState.CREDENTIALS),
        ("Code. Use a passkey instead", {"second-factor SILVER": ""}, PageState.SECOND_FACTOR),
    ],
)
def test_passkey_is_wanted_where_nothing_else_is_possible(text: str, visible: dict[str, str], state: PageState) -> None:
    """An offer beside the form, or beside another second factor, is none of our business."""
    assert classify(snapshot_of(text=text, visible=visible)) is state


def test_answer_of_the_page_is_taken_apart() -> None:
    """What the script returns becomes a snapshot; an error that was known before is not news."""
    answer = {
        "url": LOGIN,
        "parsed": True,
        "complete": True,
        "recognised": {},
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
    assert typing.get_args(vars(schema)["Element"]) == tuple(PageElement)


@pytest.mark.parametrize("name", list(PageElement))
def test_own_selectors_come_first(name: PageElement) -> None:
    """For snapshots and for actions; a user's field for a code shows a code, and so on."""
    user_selectors: dict[str, tuple[str, ...]] = {name: ("#own",)}
    assert merge_selectors(user_selectors)[name][0] == "#own"
    assert all(selectors[0] != "#own" for other, selectors in merge_selectors(user_selectors).items() if other != name)
    shown = [block for block, selectors in snapshot_selectors(user_selectors).items() if selectors[0] == "#own"]
    factors: dict[str, str] = {"code": "SILVER", "push": "NOTIFICATION", "method-picker": "PICKER"}
    factor = factors.get(name)
    acted_on = name in ("continue", "paper-checkbox", "code-submit")
    assert shown == ([] if acted_on else [f"second-factor {factor}" if factor else name])


def test_selectors_are_selectors() -> None:
    """No selector is empty or holds a quote that would break it; text patterns compile."""
    for name, selectors in [*merge_selectors().items(), *snapshot_selectors().items()]:
        assert selectors, name
        for selector in selectors:
            if selector.startswith("text:"):
                re.compile(selector.removeprefix("text:"))
            else:
                assert selector.strip() == selector
                assert '"' not in selector


def test_every_outcome_has_a_policy() -> None:
    """Exit codes, login log results and states are defined for every outcome, and fit together."""
    for outcome in Outcome:
        policy = outcome.policy
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


@pytest.mark.parametrize("state", list(PageState))
def test_every_state_can_be_told_to_a_person(state: PageState) -> None:
    """The sentence of each row is complete, and the outcome of a login that ends there is a failure."""
    snapshot = snapshot_of(text="a text", visible={"error": "an error", **FACTORS}, status=503, net_error="ERR_X")
    why = state.policy.why.format(snapshot=snapshot, place="after the password")
    assert why
    assert not re.search(r"[{}]|None", why)
    assert state.policy.outcome.policy.error is not None


@pytest.mark.parametrize("state", list(PageState))
def test_decisions_about_a_state_fit_together(state: PageState) -> None:
    """Who ends at once has no patience; what ends after a wait has one; a person is not asked to look at a success."""
    policy = state.policy
    ends_at_once = policy.reaction in (Reaction.PERSON, Reaction.ANSWER, Reaction.READ)
    assert (policy.patience == "none") is ends_at_once
    assert (policy.patience == "total") is (policy.reaction in (Reaction.HIDE, Reaction.SKIP))
    assert (Patience().span(policy.patience) is None) is (policy.patience in ("none", "total"))
    if policy.reaction is Reaction.PERSON:
        assert policy.session in (SessionBehind.POSSIBLE, SessionBehind.NO)
    if policy.reaction in (Reaction.HIDE, Reaction.SKIP):
        assert policy.elements, "something has to be hidden or clicked"


@pytest.mark.parametrize("state", list(PageState))
def test_what_precedes_the_form_blocks_it(state: PageState) -> None:
    """A layer over the form is a state of higher precedence; an error alone may stand there and be ignored."""
    order = list(PageState)
    is_before = order.index(state) < min(order.index(form) for form in FORM)
    assert state.policy.blocks_form is (is_before and bool(state.policy.elements))
    assert set(state.policy.elements) <= set(BLOCKING_ELEMENTS) | {PageElement.USERNAME}


def test_every_state_has_a_case_of_the_simulator() -> None:
    """tests/browser/test_page_states.py shows each in Chromium; one state may have several cases."""
    assert {case.state for case in PAGE_STATE_CASES} == set(PageState)
