"""Which pager shows a long table, and when none does."""

import pytest

from ibkr_tools.cli import pager


def test_a_person_chooses_the_pager_as_for_git() -> None:
    assert pager.choose_pager({"PAGER": "most -s"}) == ["/bin/sh", "-c", "most -s"]


@pytest.mark.parametrize("nothing", ["", " ", "cat"])
def test_a_person_may_want_none(nothing: str) -> None:
    assert pager.choose_pager({"PAGER": nothing}) is None


def test_under_sudo_nobody_gets_a_shell_from_a_pager() -> None:
    """Who may run one command as root has not chosen what runs in it."""
    assert pager.choose_pager({"PAGER": "sh", "SUDO_UID": "1000"}) in (["/usr/bin/less"], ["/bin/less"], None)
