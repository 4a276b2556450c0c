"""docs/second-factor.md promises what a command is told, and shows one that works."""

import pytest

from ibkr_tools.login import second_factor_flow
from ibkr_tools.login.outcomes import Outcome
from tests.support.checkout import CHECKOUT

PAGE = (CHECKOUT / "docs/second-factor.md").read_text()


@pytest.mark.parametrize("method", [*second_factor_flow.METHOD_CHOICES, "none"])
def test_every_method_is_explained(method: str) -> None:
    assert f"| `{method}` |" in PAGE


@pytest.mark.parametrize("outcome", ["second-factor-wanted", "code-refused", "no-code", "push-missed"])
def test_every_end_is_explained(outcome: str) -> None:
    assert f"| `{Outcome(outcome)}` |" in PAGE
