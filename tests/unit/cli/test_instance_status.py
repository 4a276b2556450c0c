"""One status of several instances."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import typer

from ibkr_tools.cli import instance_status, status_command
from ibkr_tools.cli.app_context import AppContext, create_app_context
from ibkr_tools.cli.instance_status import (
    InstanceStatus,
    combine_json,
    combine_text,
    invisible,
    read_others,
    require_all_with_json,
)
from ibkr_tools.errors import AccessDenied, UsageError


def test_one_instance_has_no_heading() -> None:
    assert combine_text([InstanceStatus(None, "gateway  up", 0)]) == "gateway  up"


def test_several_are_told_by_their_names() -> None:
    several = [InstanceStatus(None, "gateway  up", 0), InstanceStatus("anna", "gateway  stopped", 69)]
    assert combine_text(several) == "instance default\ngateway  up\n\ninstance anna\ngateway  stopped"


def test_documents_are_members_of_one_object() -> None:
    """What could not be read is null: a script sees that there is one."""
    several = [InstanceStatus(None, '{"healthy": true}', 0), InstanceStatus("anna", "error: denied", 73)]
    assert json.loads(combine_json(several)) == {"default": {"healthy": True}, "anna": None}


def test_who_names_directories_gets_that_one_alone(tmp_path: object) -> None:
    assert read_others(create_app_context(runtime_dir=tmp_path)) == []  # type: ignore[arg-type]


def test_one_that_this_user_may_not_look_at_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, and its exit code is nothing that a member of another group can do anything about."""
    (tmp_path / "run@anna").mkdir()
    monkeypatch.setattr(instance_status, "SYSTEM_RUNTIME", tmp_path / "run")
    monkeypatch.setattr(instance_status, "visible_instances", lambda _: ["default"])
    configuration = create_app_context().unchecked_directories.configuration
    monkeypatch.setattr(instance_status, "SYSTEM_CONFIGURATION", configuration)
    told = InstanceStatus("anna", "not for this user: root and the group ibkr-anna may look", 0)
    assert read_others(create_app_context()) == [told]


@pytest.mark.parametrize(("others", "is_refused"), [([], True), ([invisible("anna")], True), (["up"], False)])
def test_who_may_look_at_another_one_alone_is_told_of_that(
    others: list[InstanceStatus | str],
    is_refused: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever may look at none is told how to become one who may."""

    def refuse(*_: object, **__: object) -> InstanceStatus:
        raise AccessDenied.to(tmp_path)

    found = [InstanceStatus("anna", one, 0) if isinstance(one, str) else one for one in others]
    monkeypatch.setattr(status_command, "_own", refuse)
    monkeypatch.setattr(instance_status, "read_others", lambda *_, **__: found)
    app_context = create_app_context(runtime_dir=tmp_path)
    context = SimpleNamespace(find_object=lambda kind: app_context if kind is AppContext else None)
    with pytest.raises(AccessDenied if is_refused else typer.Exit) as caught:
        status_command.status(cast("typer.Context", context))
    if not is_refused:
        assert cast("typer.Exit", caught.value).exit_code == 0
        assert capsys.readouterr().out.startswith(
            "instance default\nnot for this user: root and the group ibkr may look"
        )


def test_all_without_json_is_refused() -> None:
    require_all_with_json(every=True, json=True)
    with pytest.raises(UsageError):
        require_all_with_json(every=True, json=False)
