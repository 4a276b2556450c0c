"""Programs that the kernel would not start: the reason is told before they are needed."""

import os
from pathlib import Path

import pytest

from ibkr_tools.executables import command_problem, start_problem


def made(path: Path, content: bytes, mode: int = 0o755) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("name", ["true", "/bin/sh", "/usr/bin/env"])
def test_programs_of_this_machine_are_fine(name: str) -> None:
    assert start_problem(name) is None


def test_what_is_no_program_is_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe", 0o755)
    plain = made(tmp_path / "plain", b"#!/bin/sh\n", 0o644)
    for name, why in (
        (str(tmp_path), "a directory, not a program"),
        (str(tmp_path / "missing"), "not there"),
        (str(tmp_path / "link"), "a link to nothing"),
        (str(tmp_path / "loop"), "symbolic links"),
        (str(tmp_path / "pipe"), "not a file"),
        (str(plain), "not executable (chmod +x)"),
        (f"{plain}/below", "Not a directory"),
        ("/" + "x" * 300, "File name too long"),
        ("bin/java", "a relative path"),
        ("./java", "a relative path"),
        ("~/java", "~ means nothing"),
        ("no-such-program", "no program of that name on PATH"),
    ):
        assert why in str(start_problem(name)), name


def test_nothing_is_objected_to_no_command() -> None:
    assert command_problem(()) is None
