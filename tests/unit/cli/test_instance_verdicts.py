"""The line about an instance at the end of `ibkr-tools doctor`."""

import json
from pathlib import Path

import pytest

from ibkr_tools.cli import instance_verdicts
from ibkr_tools.cli.app_context import create_app_context
from ibkr_tools.cli.instance_verdicts import InstanceVerdict, describe_verdict, examine_others
from ibkr_tools.cli.several_instances import InstanceResult


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "anna: nothing to do"),
        (["ok", "unseen"], "anna: nothing to do"),
        (["ok", "fault", "fault"], "anna: 2 to do: "),
        (["notice"], "anna: nothing to do, 1 to know: "),
        (["notice", "fault"], "anna: 1 to do, 1 to know: "),
    ],
)
def test_a_line_says_what_there_is_to_do(verdicts: list[str], expected: str) -> None:
    """And which command names it."""
    output = json.dumps({"checks": [{"verdict": verdict} for verdict in verdicts]})
    verdict = describe_verdict(InstanceResult("anna", output.encode(), "", 78))
    assert verdict.line.startswith(expected)
    assert verdict.line.endswith("ibkr-tools --instance anna doctor" if expected.endswith(": ") else expected)
    assert verdict.exit_code == 78


@pytest.mark.parametrize("output", [b"", b"[]", b'{"checks": null}', b"{}", b'{"checks": [{}]}'])
def test_one_that_says_nothing_is_told_too(output: bytes) -> None:
    verdict = describe_verdict(InstanceResult("anna", output, "error: denied", 73))
    assert verdict.line.startswith("anna: could not be examined: ")
    assert verdict.exit_code == 73


def test_one_that_this_user_may_not_look_at_is_not_in_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run@anna").mkdir()
    monkeypatch.setattr(instance_verdicts, "SYSTEM_RUNTIME", tmp_path / "run")
    monkeypatch.setattr(instance_verdicts, "visible_instances", lambda _: ["default"])
    configuration = create_app_context().unchecked_directories.configuration
    monkeypatch.setattr(instance_verdicts, "SYSTEM_CONFIGURATION", configuration)
    (verdict,) = examine_others(create_app_context())
    assert verdict == InstanceVerdict("anna: not for this user: root and the group ibkr-anna may look", 0)


def test_who_names_directories_gets_that_one_alone(tmp_path: Path) -> None:
    assert examine_others(create_app_context(runtime_dir=tmp_path)) == []
