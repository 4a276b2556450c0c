"""What a check comes to, and what of it may be published."""

import pytest

from ibkr_tools.doctor.finding import CheckVerdict, Findings, Foreign, Private, exit_code, in_order

CHECK = Findings("port")


def test_what_is_private_is_not_published() -> None:
    found = CHECK.fault(("taken by ", Private("nginx"), " for ", 3, " s"), ("kill ", Private(812)))
    assert found.message_text() == "taken by nginx for 3 s"
    assert found.message_text(is_public=True) == "taken by … for 3 s"
    assert (found.remedy_text(), found.remedy_text(is_public=True)) == ("kill 812", "kill …")


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([], 0),
        ([CHECK.ok("")], 0),
        ([CHECK.unseen(""), CHECK.ok("")], 0),
        ([CHECK.ok(""), CHECK.notice("")], 1),
        ([CHECK.notice(""), CHECK.fault(""), CHECK.ok("")], 78),
    ],
)
def test_the_exit_code_is_of_the_worst(findings: list, code: int) -> None:  # type: ignore[type-arg]
    assert exit_code(findings) == code


def test_faults_come_first_and_causes_before_what_follows() -> None:
    found = [CHECK.ok("1"), CHECK.notice("2"), CHECK.fault("3"), CHECK.notice("4"), CHECK.fault("5")]
    assert [entry.message_text() for entry in in_order(found)] == ["3", "5", "2", "4", "1"]
    assert in_order(found)[0].verdict is CheckVerdict.FAULT


def test_a_finding_of_an_instance_names_what_is_its_own() -> None:
    """In the sentence and in the command, private or not; numbers and verdict stay."""
    plain = Findings("units").fault(
        ("ibkr-login.path of ", 2, Private("/etc/ibkr-tools/x")),
        ("sudo systemctl start ibkr-login.path; ", Private("x")),
    )
    named = plain.in_names_of("anna")
    assert named.message_text() == "ibkr-login@anna.path of 2/etc/ibkr-tools@anna/x"
    assert named.remedy_text() == "sudo systemctl start ibkr-login@anna.path; x"
    assert (named.verdict, named.in_names_of("anna")) == (plain.verdict, named)
    assert plain.in_names_of(None) == plain


def test_what_is_another_instances_keeps_its_name() -> None:
    """The command would stop what a person wants to keep."""
    plain = CHECK.fault(
        ("taken by ", Foreign("a program of the user ibkr")), Foreign("sudo systemctl stop ibkr-gateway")
    )
    assert plain.in_names_of("anna") == plain
    assert plain.message_text(is_public=True) == "taken by …"
