"""What the doctor shows of the journal: an instance's own units, and no names in a report."""

from fnmatch import fnmatchcase

import pytest

from ibkr_tools.doctor.journal_checks import JournalEntry, judge_journal, unit_patterns
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


@pytest.mark.parametrize(
    ("entry", "public"),
    [
        (JournalEntry(MESSAGE="U1234567 is lost", SYSLOG_IDENTIFIER="ibkr-fetch"), "ibkr-fetch: …"),
        (JournalEntry(MESSAGE="Failed to start", SYSLOG_IDENTIFIER="systemd"), "systemd: …"),
        (JournalEntry(MESSAGE="x", UNIT="ibkr-login.service"), "ibkr-login.service: …"),
        # The name of an instance is that of a person; a command of a person's own has any name.
        (JournalEntry(MESSAGE="x", SYSLOG_IDENTIFIER="ibkr-fetch@anna"), "…: …"),
        (JournalEntry(MESSAGE="x", SYSLOG_IDENTIFIER="tell-anna.sh"), "…: …"),
        (JournalEntry(MESSAGE="x", UNIT="ibkr-backup-anna.service"), "…: …"),
    ],
)
def test_a_report_names_what_every_installation_has(entry: JournalEntry, public: str) -> None:
    (found,) = judge_journal([entry])
    assert found.message_text(is_public=True) == public
    assert found.message_text() == f"{entry.SYSLOG_IDENTIFIER or entry.UNIT}: {entry.MESSAGE}"


def test_no_entry_is_one_line() -> None:
    assert [found.message_text() for found in judge_journal([])] == ["no errors within a day"]
