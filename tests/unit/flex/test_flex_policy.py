"""What is done after each answer of the Flex Web Service: every code, sequences of them, and what nobody knows."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.flex.flex_answers import (
    Accepted,
    Answer,
    Refused,
    StatementReceived,
    Throttled,
    Unreachable,
    Unusable,
)
from ibkr_tools.flex.flex_errors import ERRORS, ErrorReaction, service_error
from ibkr_tools.flex.flex_policy import (
    MAX_GENERATION_S,
    Call,
    Exchange,
    Finish,
    Question,
    Request,
    Step,
    Stop,
    StopKind,
    next_step,
)

ACCEPTED = Accepted("1234567890", "")
RECENT, PAST = Question(), Question(is_recent=False)


def after(*answers: Answer, question: Question = RECENT, elapsed_s: float = 0.0) -> Step:
    """Returns what follows these answers, each to the request that followed the one before."""
    history: list[Exchange] = []
    for answer in answers:
        step = next_step(question, history, elapsed_s)
        assert isinstance(step, Request), step
        history.append(Exchange(step.call, answer, step.with_days))
    return next_step(question, history, elapsed_s)


def refused(code: int) -> Refused:
    return Refused(code, "said")


def test_it_begins_with_the_days_and_ends_with_the_statement() -> None:
    assert after() == Request(Call.SEND, 0.0, with_days=True)
    assert after(ACCEPTED) == Request(Call.GET, 5.0)
    assert after(ACCEPTED, StatementReceived(b"")) == Finish()


def test_polls_become_rarer() -> None:
    waits = []
    for polls in range(6):
        step = after(ACCEPTED, *[refused(1019)] * polls)
        assert isinstance(step, Request)
        assert step.call is Call.GET
        waits.append(step.wait_s)
    assert waits == [5.0, 10.0, 20.0, 30.0, 30.0, 30.0]


def test_polls_end_after_ten_minutes() -> None:
    """On weekends some statements are never made."""
    step = after(ACCEPTED, *[refused(1019)] * 3, elapsed_s=MAX_GENERATION_S - 29)
    assert isinstance(step, Stop)
    assert (step.kind, step.wait_s) == (StopKind.LATER, 1800.0)
    assert isinstance(after(ACCEPTED, *[refused(1019)] * 3, elapsed_s=MAX_GENERATION_S - 30), Request)


def test_another_statement_of_the_token_is_waited_for() -> None:
    assert after(refused(1019)) == Request(Call.SEND, 30.0)


@pytest.mark.parametrize("code", [1010, 1011, 1012, 1013, 1014, 1015, 1016])
def test_what_a_person_has_to_do_is_asked_for_once(code: int) -> None:
    for answers in ((refused(code),), (ACCEPTED, refused(code))):
        step = after(*answers)
        assert isinstance(step, Stop)
        assert (step.kind, step.code) == (StopKind.PERSON, code)
        assert step.hint


def test_a_lock_ends_everything() -> None:
    step = after(ACCEPTED, refused(1019), refused(1025))
    assert isinstance(step, Stop)
    assert step.kind is StopKind.LOCKED


@pytest.mark.parametrize("code", [1004, 1005, 1006, 1007, 1008])
def test_what_is_not_ready_is_asked_for_in_half_an_hour(code: int) -> None:
    step = after(refused(code))
    assert isinstance(step, Stop)
    assert (step.kind, step.wait_s) == (StopKind.LATER, 1800.0)


@pytest.mark.parametrize(
    "answer",
    [
        *(refused(code) for code in (1001, 1009, 1021, 0, 1002, 1022, 9999)),
        *(Unreachable("no route"), Unusable("a web page", passes=True)),
    ],
    ids=str,
)
def test_trouble_that_may_pass_is_waited_out_twice(answer: Answer) -> None:
    """Unknown codes too."""
    assert after(answer) == Request(Call.SEND, 60.0)
    assert after(answer, answer) == Request(Call.SEND, 180.0)
    step = after(answer, answer, answer)
    assert isinstance(step, Stop)
    assert (step.kind, step.wait_s) == (StopKind.LATER, 1800.0)
    assert after(ACCEPTED, answer) == Request(Call.GET, 60.0)


def test_days_that_a_query_refuses_are_left_out_once() -> None:
    assert after(refused(1003)) == Request(Call.SEND, 0.0, with_days=False)
    assert after(refused(1003), ACCEPTED) == Request(Call.GET, 5.0, with_days=False)
    step = after(refused(1003), refused(1003))
    assert isinstance(step, Stop)
    assert (step.kind, step.wait_s) == (StopKind.LATER, 1800.0)


def test_days_that_are_long_past_are_not_asked_for_otherwise() -> None:
    """Without days, a query answers for the last ones."""
    step = after(refused(1003), question=PAST)
    assert isinstance(step, Stop)
    assert step.kind is StopKind.NO_DATA


def test_an_unknown_reference_is_renewed_once() -> None:
    assert after(ACCEPTED, refused(1017)) == Request(Call.SEND, 0.0)
    step = after(ACCEPTED, refused(1017), ACCEPTED, refused(1017))
    assert isinstance(step, Stop)
    assert step.kind is StopKind.LATER


@pytest.mark.parametrize(("answer", "wait_s"), [(refused(1018), 65.0), (Throttled(0), 65.0), (Throttled(300), 300.0)])
def test_too_many_requests_stop_all_processes(answer: Answer, wait_s: float) -> None:
    assert after(ACCEPTED, answer) == Request(Call.GET, wait_s, blocks=True)
    step = after(ACCEPTED, *[answer] * 4)
    assert isinstance(step, Stop)
    assert step.kind is StopKind.LATER


def test_a_wait_that_an_answer_states_has_a_limit() -> None:
    step = after(Throttled(1e9))
    assert isinstance(step, Request)
    assert step.wait_s == 3600.0


def test_what_cannot_be_validated_is_for_an_hour_later() -> None:
    step = after(refused(1020))
    assert isinstance(step, Stop)
    assert (step.kind, step.wait_s) == (StopKind.VALIDATION, 3600.0)


def test_a_query_of_another_format_is_named() -> None:
    step = after(ACCEPTED, Unusable("a table (CSV) instead of XML", passes=False, hint="XML"))
    assert isinstance(step, Stop)
    assert (step.kind, step.hint) == (StopKind.UNUSABLE, "XML")


def test_what_no_request_mends_is_not_asked_for_again() -> None:
    lasting = Unreachable("not trusted", passes=False, hint="the clock")
    for answers in ((lasting,), (ACCEPTED, lasting), (Unreachable("no route"), lasting)):
        step = after(*answers)
        assert isinstance(step, Stop)
        assert (step.kind, step.why, step.hint) == (StopKind.CONFIG, "not trusted", "the clock")


def test_the_table_is_ibkrs() -> None:
    """1001 to 1021 without 1002, and 1025, which IBKR's page lacks."""
    assert set(ERRORS) == {1001, *range(1003, 1022), 1025}
    assert all(
        row.hint
        for row in ERRORS.values()
        if row.reaction in {ErrorReaction.PERSON, ErrorReaction.LOCKED, ErrorReaction.HOUR}
    )
    assert service_error(4711).code == 4711


CODES = st.sampled_from([*ERRORS, 0, 1002, 4711])
ANSWERS = st.one_of(
    CODES.map(refused),
    st.just(ACCEPTED),
    st.just(Throttled(0.0)),
    st.booleans().map(lambda passes: Unreachable("no route", passes)),
    st.booleans().map(lambda passes: Unusable("a page", passes=passes)),
)


@given(st.data(), st.booleans())
def test_any_sequence_of_answers_ends(data: st.DataObject, is_recent: bool) -> None:
    """Within minutes and few requests, whatever IBKR says; nothing follows a refusal."""
    question = Question(is_recent=is_recent)
    history: list[Exchange] = []
    elapsed_s = 0.0
    while isinstance(step := next_step(question, history, elapsed_s), Request):
        if step.call is Call.GET:
            assert any(isinstance(exchange.answer, Accepted) for exchange in history)
        elapsed_s += step.wait_s + 1.1
        answer = data.draw(ANSWERS)
        if step.call is Call.GET and isinstance(answer, Accepted):
            answer = refused(1019)
        history.append(Exchange(step.call, answer, step.with_days))
        assert len(history) < 60
    assert elapsed_s < 4 * MAX_GENERATION_S
    for earlier, _ in pairwise(history):
        if isinstance(earlier.answer, Refused):
            assert service_error(earlier.answer.code).reaction not in {ErrorReaction.PERSON, ErrorReaction.LOCKED}


def test_references_are_not_followed_for_ever() -> None:
    """GetStatement is to answer with a statement; the reference that SendRequest names is asked for at any time."""
    assert after(ACCEPTED, ACCEPTED, elapsed_s=MAX_GENERATION_S - 5.0) == Request(Call.GET, 5.0)
    assert after(ACCEPTED, elapsed_s=2 * MAX_GENERATION_S) == Request(Call.GET, 5.0)
    history = [Exchange(Call.SEND, ACCEPTED), Exchange(Call.GET, ACCEPTED)]
    step = next_step(RECENT, history, MAX_GENERATION_S)
    assert isinstance(step, Stop)
    assert step.kind is StopKind.LATER
