"""One status of several instances."""

import json

import pytest

from ibkr_tools.cli.app_context import create_app_context
from ibkr_tools.cli.instance_status import (
    InstanceStatus,
    combine_json,
    combine_text,
    read_others,
    require_all_with_json,
)
from ibkr_tools.errors import UsageError


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


def test_all_without_json_is_refused() -> None:
    require_all_with_json(every=True, json=True)
    with pytest.raises(UsageError):
        require_all_with_json(every=True, json=False)
