"""With which priority the journal has a change of the session."""

from collections.abc import Iterator

import pytest
from loguru import logger

from ibkr_tools.status import SessionState
from ibkr_tools.watchdog.state import State, transition
from ibkr_tools.watchdog.status_writer import log_transition

NOW_S = 1000.0


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged, with its level."""
    found: list[str] = []
    sink = logger.add(lambda text: found.append(str(text)), format="{level}: {message}")
    yield found
    logger.remove(sink)


def state_in(phase: SessionState) -> State:
    return transition(State(), phase, NOW_S, "why")


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        # systemd starts both at once, and the watchdog may be the first.
        (SessionState.STARTING, SessionState.GATEWAY_DOWN, "INFO"),
        (SessionState.STARTING, SessionState.UNREACHABLE, "WARNING"),
        (SessionState.LOGGING_IN, SessionState.GATEWAY_DOWN, "WARNING"),
        (SessionState.UP, SessionState.GATEWAY_DOWN, "WARNING"),
        (SessionState.GATEWAY_DOWN, SessionState.LOGGING_IN, "INFO"),
        (SessionState.LOGGING_IN, SessionState.UP, "INFO"),
    ],
)
def test_a_gateway_that_comes_after_the_watchdog_is_no_warning(
    lines: list[str], before: SessionState, after: SessionState, level: str
) -> None:
    log_transition(state_in(before), state_in(after), NOW_S)
    assert [line.split(":")[0] for line in lines] == [level]
