"""Whose errors the doctor shows: those of the units of the instance that it looks at."""

from fnmatch import fnmatchcase

import pytest

from ibkr_tools.doctor.journal_checks import unit_patterns
from ibkr_tools.instance import UNITS, unit_of

OF = {None: "ibkr-alert@ibkr-fetch.service.service", "anna": "ibkr-alert-fetch@anna.service"}


@pytest.mark.parametrize("instance", [None, "anna"])
def test_an_instances_own_units_are_meant_and_no_others(instance: str | None) -> None:
    """Also what tells of a failed unit, and a name that begins as another one."""

    def is_meant(unit: str) -> bool:
        return any(fnmatchcase(unit, pattern) for pattern in unit_patterns(instance))

    for other in (None, "anna", "annabel", "anna-2", "jo-anna"):
        units = [*(unit_of(f"ibkr-{name}.service", other) for name in UNITS), *([OF[other]] if other in OF else [])]
        assert [is_meant(unit) for unit in units] == [other == instance] * len(units)
