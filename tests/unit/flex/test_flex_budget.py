"""The budget of a token: eight requests a minute of all processes together, and none while it is refused or locked."""

import itertools
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import ActionRequired, OutputError, StatementUnavailable
from ibkr_tools.flex.flex_budget import (
    INTERVAL_S,
    LOCK_QUIET,
    MAX_WAIT_S,
    REQUESTS_PER_WINDOW,
    WINDOW_S,
    TokenBudget,
    TokenIdentity,
)
from tests.support.examples import examples

TOKEN = "123456789012345678901234"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Time:
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds - 1000.0)


@pytest.fixture
def time() -> Time:
    return Time()


Make = Callable[..., TokenBudget]


def budget(folder: Path, time: Time, token: str = TOKEN, query: str = "1", boot: str = "a") -> TokenBudget:
    return TokenBudget(
        folder / "service.json",
        TokenIdentity(Secret(token), query),
        clock=lambda: time.seconds,
        now=time.now,
        boot_id=lambda: boot,
    )


@examples(1)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 30.0)), max_size=40))
def test_never_more_than_the_budget_over_processes(turns: list[tuple[int, float]]) -> None:
    """Whichever process asks when: 1.1 s between two, eight in any minute."""
    time, sent = Time(), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        processes = [budget(Path(folder), time) for _ in range(4)]
        for number, pause_s in turns:
            time.seconds += pause_s
            try:
                sent.append(time.seconds + processes[number].reserve())
            except StatementUnavailable:
                continue
    sent.sort()
    margin = 1e-6
    assert all(later - earlier >= INTERVAL_S - margin for earlier, later in itertools.pairwise(sent))
    for begin in sent:
        assert sum(1 for at in sent if begin <= at < begin + WINDOW_S - margin) <= REQUESTS_PER_WINDOW


def test_a_wait_that_is_too_long_is_refused(tmp_path: Path, time: Time) -> None:
    one = budget(tmp_path, time)
    waits = [one.reserve() for _ in range(2 * REQUESTS_PER_WINDOW)]
    assert max(waits) < MAX_WAIT_S
    with pytest.raises(StatementUnavailable, match="possible in"):
        one.reserve()


def test_the_boot_before_counts(tmp_path: Path, time: Time) -> None:
    """The clock of a boot begins at 0, and what was sent before it was sent before that."""
    for _ in range(REQUESTS_PER_WINDOW):
        budget(tmp_path, time).reserve()
    time.seconds = 20.0
    assert budget(tmp_path, time, boot="b").reserve() == pytest.approx(WINDOW_S - 20.0)
    time.seconds = 400.0
    assert budget(tmp_path, time, boot="c").reserve() == 0.0


@pytest.mark.parametrize(
    "content",
    ['{"salt": "zz"}', "", "{", "[" * 100_000, '{"salt": "00", "sent": [1e999]}', '{"salt": "00", "schema": 2}', None],
)
def test_a_file_that_is_lost_is_no_clean_slate(tmp_path: Path, time: Time, content: str | None) -> None:
    """It may have said that the token is locked: nothing is sent until a person says so, and not at once."""
    budget(tmp_path, time).reserve()
    if content is None:
        (tmp_path / "service.json").unlink()
    else:
        (tmp_path / "service.json").write_text(content)
    for _ in range(2):
        with pytest.raises(ActionRequired, match=r"service\.json is .* nobody knows whether IBKR has locked the token"):
            budget(tmp_path, time).require_usable()
    assert budget(tmp_path, time).reserve() == pytest.approx(WINDOW_S)
    with pytest.raises(StatementUnavailable, match="would prolong it"):
        budget(tmp_path, time).lift()
    time.seconds += LOCK_QUIET.total_seconds()
    budget(tmp_path, time).lift()
    budget(tmp_path, time).require_usable()


def test_a_new_token_has_no_lost_past(tmp_path: Path, time: Time) -> None:
    (tmp_path / "service.json").write_text("{")
    with pytest.raises(ActionRequired):
        budget(tmp_path, time).require_usable()
    budget(tmp_path, time, token="9" * 24).require_usable()


def test_the_first_process_has_nothing_to_lose(tmp_path: Path, time: Time) -> None:
    budget(tmp_path, time).require_usable()
    budget(tmp_path, time).require_usable()
    assert budget(tmp_path, time).reserve() == 0.0


def test_nothing_is_sent_where_nobody_would_know(tmp_path: Path, time: Time) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"Not a directory|File exists"):
        budget(tmp_path / "file", time).reserve()


def test_too_many_requests_stop_the_others_too(tmp_path: Path, time: Time) -> None:
    budget(tmp_path, time).block(65.0, "too many")
    assert budget(tmp_path, time).reserve() == pytest.approx(65.0)
    time.seconds += 30.0
    assert budget(tmp_path, time).reserve() == pytest.approx(36.1)


def test_a_shorter_wait_does_not_end_a_longer_one(tmp_path: Path, time: Time) -> None:
    budget(tmp_path, time).block(65.0, "too many")
    budget(tmp_path, time).block(10.0, "too many")
    assert budget(tmp_path, time).reserve() == pytest.approx(65.0)


def test_a_clock_that_was_wrong_blocks_for_an_hour_at_most(tmp_path: Path, time: Time) -> None:
    time.seconds += 1e6
    budget(tmp_path, time).block(3600.0, "wait")
    time.seconds -= 1e6
    with pytest.raises(StatementUnavailable, match="wait; asked again in 60 min"):
        budget(tmp_path, time).require_usable()
    time.seconds += 3600.0
    budget(tmp_path, time).require_usable()


def test_a_lock_of_a_clock_that_was_wrong_can_be_lifted(tmp_path: Path, time: Time) -> None:
    time.seconds += 1e8
    budget(tmp_path, time).record_refusal(1025, "locked", None, of_query=False, is_lock=True)
    budget(tmp_path, time).record_failure()
    time.seconds -= 1e8
    with pytest.raises(StatementUnavailable, match=r"would prolong it"):
        budget(tmp_path, time).lift()
    time.seconds += LOCK_QUIET.total_seconds()
    budget(tmp_path, time).lift()
    budget(tmp_path, time).require_usable()
    assert budget(tmp_path, time).record_failure() == LOCK_QUIET


@pytest.mark.parametrize("is_lock", [False, True])
def test_a_refusal_stands_until_there_is_a_new_token(tmp_path: Path, time: Time, is_lock: bool) -> None:
    budget(tmp_path, time).record_refusal(1012, "the token has expired", "Make one.", of_query=False, is_lock=is_lock)
    time.seconds += 1e7
    for boot in "ab":
        with pytest.raises(ActionRequired, match="nothing was sent: on 2026-11-23 12:00 UTC the token has expired"):
            budget(tmp_path, time, boot=boot, query="2").require_usable()
    budget(tmp_path, time, token="9" * 24).require_usable()


def test_a_refusal_of_a_query_ends_with_the_query(tmp_path: Path, time: Time) -> None:
    budget(tmp_path, time).record_refusal(1014, "the query is invalid", None, of_query=True)
    with pytest.raises(ActionRequired):
        budget(tmp_path, time).require_usable()
    budget(tmp_path, time, query="2").require_usable()


def test_a_lock_is_never_prolonged(tmp_path: Path, time: Time) -> None:
    """Neither by another report of it, nor by a person who asks again too soon."""
    budget(tmp_path, time).record_refusal(1025, "locked", None, of_query=False, is_lock=True)
    time.seconds += 60
    budget(tmp_path, time).record_refusal(1025, "locked", None, of_query=False, is_lock=True)
    with pytest.raises(StatementUnavailable, match="would prolong it"):
        budget(tmp_path, time).lift()
    time.seconds += LOCK_QUIET.total_seconds() - 60
    budget(tmp_path, time).lift()
    budget(tmp_path, time).require_usable()


def test_a_person_may_ask_again_at_once_after_a_refusal(tmp_path: Path, time: Time) -> None:
    one = budget(tmp_path, time)
    one.record_refusal(1013, "another address", None, of_query=False)
    one.block(3600.0, "wait")
    one.lift()
    one.require_usable()
    assert one.reserve() == 0.0


def test_what_cannot_be_validated_is_waited_out_twice(tmp_path: Path, time: Time) -> None:
    """An hour each, whoever asks."""
    for expected in (True, True, False):
        budget(tmp_path, time).require_usable()
        assert budget(tmp_path, time).record_validation_failure(3600.0, "cannot be validated") is expected
        with pytest.raises(StatementUnavailable, match="asked again in 60 min"):
            budget(tmp_path, time).require_usable()
        time.seconds += 3600.0
    budget(tmp_path, time).record_success()
    assert budget(tmp_path, time).record_validation_failure(3600.0, "x") is True


def test_how_long_it_fails_is_known_across_processes(tmp_path: Path, time: Time) -> None:
    assert budget(tmp_path, time).record_failure() == timedelta(0)
    time.seconds += 7200
    assert budget(tmp_path, time, boot="b").record_failure() == timedelta(hours=2)
    budget(tmp_path, time).record_success()
    assert budget(tmp_path, time).record_failure() == timedelta(hours=2), "a statement of too few days"
    budget(tmp_path, time).record_covered()
    assert budget(tmp_path, time).record_failure() == timedelta(0)


def test_the_token_cannot_be_found_in_the_file(tmp_path: Path, time: Time) -> None:
    """16 bits of a salted HMAC: as many tokens have them as there are sixty-five thousandths of all."""
    one = budget(tmp_path, time)
    one.reserve()
    path = tmp_path / "service.json"
    text = path.read_text()
    assert TOKEN not in text
    assert '"fingerprint":"' in text
    assert len(text.split('"fingerprint":"')[1].split('"')[0]) == 4
    assert path.stat().st_mode & 0o777 == 0o600


def test_one_statement_at_a_time(tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ibkr_tools.flex.flex_budget._LOCK_TIMEOUT_S", 0.0)
    with (
        budget(tmp_path, time).single_flight(),
        pytest.raises(StatementUnavailable, match="another process"),
        budget(tmp_path, time).single_flight(),
    ):
        pass
