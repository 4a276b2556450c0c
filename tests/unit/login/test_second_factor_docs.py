"""docs/second-factor.md promises what a command is told, and shows one that works."""

import pytest

from ibkr_tools.login import second_factor_flow
from ibkr_tools.login.outcomes import Outcome
from tests.support.checkout import CHECKOUT

PAGE = (CHECKOUT / "docs/second-factor.md").read_text()


@pytest.mark.parametrize("method", [*second_factor_flow.METHOD_CHOICES, "none"])
def test_every_method_is_explained(method: str) -> None:
    """Each choice of `login.second_factor.method` has a row."""
    assert f"| `{method}` |" in PAGE


@pytest.mark.parametrize("outcome", [Outcome.SECOND_FACTOR, Outcome.CODE_REFUSED, Outcome.NO_CODE, Outcome.PUSH_MISSED])
def test_every_end_is_explained(outcome: Outcome) -> None:
    """Each end that a second factor can have has a row with what to do."""
    assert f"| `{outcome}` |" in PAGE
