"""Starts whole set-ups with IBKR's real gateway for tests of what happens to a session."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.stages import Scene, Stages, one_place, scene

Begin = Callable[..., Scene]


@pytest.fixture(scope="session")
def stages() -> Iterator[Stages]:
    """Makes each test's stage; the gateway is installed once for all of them."""
    with one_place() as made:
        yield made


@pytest.fixture
def begin(request: pytest.FixtureRequest, stages: Stages) -> Iterator[Begin]:
    """Calls `scene` and ends it with the test; what our processes said is shown if the test has failed."""
    failed_before = request.session.testsfailed
    with ExitStack() as stack:
        begun: list[Scene] = []

        def make(username: str, **more: Any) -> Scene:
            begun.append(stack.enter_context(scene(stages, username, **more)))
            return begun[-1]

        yield make
        if request.session.testsfailed > failed_before:
            for one in begun:
                print("\n".join(line for _, line in one.program.lines))
                print(one.stage.status())
