"""How the doctor's result is shown."""

import json

from ibkr_tools.doctor import rendering
from ibkr_tools.doctor.finding import Findings, Private

CHECK = Findings("browser's sandbox")
SECRET = "alice U7654321 203.0.113.9 1,234.56"
FOUND = [
    CHECK.ok(("as it should be, ", Private(SECRET))),
    CHECK.unseen("only root can see that"),
    CHECK.fault(
        ("the kernel gives no user namespaces at all to anybody but root: " * 3, Private(SECRET)), "sudo true " * 12
    ),
    CHECK.notice("something", ("echo ", Private(SECRET))),
]


def test_what_is_well_is_one_line() -> None:
    assert rendering.as_text([CHECK.ok("fine"), CHECK.ok("good")], everything=False) == "2 checks: nothing to do"


def test_lines_fit_a_terminal_and_commands_are_whole() -> None:
    lines = rendering.as_text(FOUND, everything=True).splitlines()
    commands = [line for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert commands == ["  " + "sudo true " * 12, f"  echo {SECRET}"]
    assert [line for line in lines if line not in commands and len(line) > 80] == []
    assert lines[-1] == "4 checks: 1 to do, 1 to know, 1 not to be seen by this user"


def test_a_message_cannot_move_the_cursor_or_make_lines() -> None:
    text = rendering.as_text([CHECK.fault(Private("a\nFAULT b\x1b[2J"), Private("true\nfalse"))], everything=False)
    assert len(text.splitlines()) == 3
    assert "\x1b" not in text


def test_a_report_has_nothing_private() -> None:
    about = {"ibkr-tools": "0.2.0"}
    for text in (rendering.as_report(FOUND, about), rendering.as_json(FOUND, about, is_public=True)):
        assert not [word for word in SECRET.split() if word in text]
        assert "…" in text
        assert "0.2.0" in text


def test_json_has_every_check_and_the_exit_code() -> None:
    document = json.loads(rendering.as_json(FOUND, {}))
    assert document["exit_code"] == 78
    assert [entry["verdict"] for entry in document["checks"]] == ["ok", "unseen", "fault", "notice"]
    assert SECRET in document["checks"][0]["message"]


def test_a_report_has_no_name_of_an_instance() -> None:
    """It may be a person's; what only looks like it stays."""
    text = "/etc/ibkr-tools@anna/x ibkr-anna ibkr-login@anna.path inet ibkr_tools-anna --instance anna doctor annals"
    assert "anna" not in rendering.without_name(text, "anna").replace("annals", "")
    assert rendering.without_name("ibkr-annals", "anna") == "ibkr-annals"
