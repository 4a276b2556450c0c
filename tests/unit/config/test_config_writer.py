"""A configuration that is changed: the old one or the new one, with the owner and mode that it had."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ibkr_tools.config.config_writer import read_editable, write_document
from ibkr_tools.errors import ConfigError, OutputError

DOCUMENT: dict[str, Any] = {"username": "reader", "account": "U7654321"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir(mode=0o750)
    return tmp_path / "etc/config.json"


def test_a_new_one_is_for_the_group(file: Path) -> None:
    write_document(file, DOCUMENT, os.getegid())
    assert (json.loads(file.read_text()), file.stat().st_mode & 0o777) == (DOCUMENT, 0o640)
    assert read_editable(file) == DOCUMENT


def test_owner_and_mode_stay(file: Path) -> None:
    file.write_text("{}")
    file.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(file, 12345, 23456)
    before = file.stat()
    write_document(file, DOCUMENT, os.getegid())
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_none_is_an_empty_one(file: Path) -> None:
    assert read_editable(file) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "expected an object"),
        ('{"usrname": "x"}', "usrname"),
        ('{"gateway": {"port": "x"}}', "gateway.port"),
        ('{"password": 3}', "password"),
    ],
)
def test_a_broken_one_is_not_changed(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    file.chmod(0o640)
    with pytest.raises(ConfigError, match=words):
        read_editable(file)


@pytest.mark.parametrize("document", [{}, {"username": ""}, {"account": "alias"}, {"username": 3, "account": []}])
def test_what_is_asked_for_may_be_wrong(file: Path, document: dict[str, Any]) -> None:
    file.write_text(json.dumps(document))
    file.chmod(0o640)
    assert read_editable(file) == document


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_is_not_followed(file: Path, is_there: bool) -> None:
    target = file.with_name("other")
    if is_there:
        target.write_text("{}")
    file.symlink_to(target)
    with pytest.raises(ConfigError, match="a link"):
        read_editable(file)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"account": "alias"}, "account"),
        ({"alerts": {"command": ["/nowhere/tell"]}}, "not there"),
        ({"other": 1}, "not known"),
    ],
)
def test_what_would_be_refused_is_not_written(file: Path, changes: dict[str, Any], words: str) -> None:
    file.write_text("old")
    with pytest.raises(ConfigError, match=words):
        write_document(file, {**DOCUMENT, **changes}, os.getegid())
    assert file.read_text() == "old"


def test_a_directory_of_others_is_refused(file: Path) -> None:
    file.parent.chmod(0o777)
    with pytest.raises(ConfigError, match="others may write"):
        write_document(file, DOCUMENT, os.getegid())
    assert not file.exists()


def test_a_directory_that_is_missing_is_73(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_document(tmp_path / "none/config.json", DOCUMENT, os.getegid())
