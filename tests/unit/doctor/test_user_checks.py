"""The user of the units."""

from dataclasses import replace

import pytest

from ibkr_tools.doctor.finding import CheckVerdict
from ibkr_tools.doctor.user_checks import UserFacts, judge_user

GOOD = UserFacts(uid=990, group="ibkr", shell="/usr/sbin/nologin", has_password=False)


def test_a_system_user_without_password_and_shell_is_well() -> None:
    assert [found.verdict for found in judge_user(GOOD)] == [CheckVerdict.OK]
    assert [found.verdict for found in judge_user(replace(GOOD, has_password=None))] == [CheckVerdict.OK]


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"uid": None}, "systemd-sysusers"),
        ({"has_group": False}, "systemd-sysusers"),
        ({"uid": 0}, "usermod -l"),
        ({"uid": 1000}, "usermod -l"),
        ({"group": "users"}, "usermod -g ibkr ibkr"),
        ({"group": None}, "usermod -g ibkr ibkr"),
        ({"other_groups": ("docker",)}, "gpasswd -d ibkr docker"),
        ({"has_password": True}, "usermod -p '!*' ibkr"),
        ({"shell": "/bin/bash"}, "usermod -s /usr/sbin/nologin ibkr"),
        ({"shell": ""}, "usermod -s /usr/sbin/nologin ibkr"),
        ({"twin": "alice", "free_uid": 1003}, "usermod -u 1003 alice"),
    ],
)
def test_what_gives_it_more_or_less_is_named(changes: dict[str, object], remedy: str) -> None:
    (found,) = judge_user(replace(GOOD, **changes))  # type: ignore[arg-type]
    assert found.verdict is CheckVerdict.FAULT
    assert remedy in (found.remedy_text() or "")
