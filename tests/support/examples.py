"""How many examples a property test draws: few at home, many in CI."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

__all__ = ["examples", "load_profile"]

PROFILES = {"home": 20, "ci": 100}
"""Examples of a property test that says nothing of its own, by profile."""


def load_profile() -> None:
    """Loads `ci` where CI is set, else `home`; `--hypothesis-profile ci` has the last word.

    How long an example takes says how busy the machine is, so there is no deadline. What else is the default stays: in
    CI, the same examples each time.
    """
    for name, count in PROFILES.items():
        settings.register_profile(
            name, settings(), max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
    settings.load_profile("ci" if os.environ.get("CI") else "home")


def examples(share: float, **more: Any) -> settings:
    """Returns the settings of a test that draws `share` times as many examples as the profile says, one at least.

    Health checks to leave out come on top of those that the profile leaves out.
    """
    left_out = {*settings().suppress_health_check, *more.pop("suppress_health_check", ())}
    count = max(1, round(settings().max_examples * share))
    return settings(max_examples=count, suppress_health_check=sorted(left_out, key=str), **more)
