"""Which programs the kernel starts."""

import subprocess
from pathlib import Path

import pytest

from ibkr_tools import executables
from ibkr_tools.executables import MAX_ARGUMENT_BYTES, command_problem, start_problem


def made(path: Path, content: bytes, mode: int = 0o755) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"#!/bin/sh\nexit 0\n", None),
        (b"#! /usr/bin/env python3\n", None),
        (b"#!/no/such/python\n", "its first line names '/no/such/python', which is not there"),
        (b"#!/bin/sh\r\nexit 0\r\n", "(its lines end as those of Windows do)"),
        (b"#!\n", "names '', which is not there"),
        (b"#!python3\n", "names 'python3', which is not there"),
        (b"echo hello\n", "neither a program nor a script that begins with #!"),
        (b"\xef\xbb\xbf#!/bin/sh\n", "neither a program nor a script"),
        (b"", "neither a program nor a script"),
    ],
)
def test_the_kernel_agrees_about_a_file(
    tmp_path: Path, content: bytes, why: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executables, "_BINFMT", tmp_path / "none")
    path = made(tmp_path / "program", content)
    said = start_problem(str(path))
    assert (why in str(said)) if why else said is None
    try:
        subprocess.run([str(path)], check=False, capture_output=True)
    except OSError:
        assert said is not None
    else:
        assert said is None


def test_an_argument_is_no_longer_than_the_kernel_takes() -> None:
    assert command_problem(("true", "x" * MAX_ARGUMENT_BYTES)) is None
    subprocess.run(["true", "x" * MAX_ARGUMENT_BYTES], check=True)
    said = command_problem(("true", "x", "ü" * MAX_ARGUMENT_BYTES))
    assert said == f"argument 2 has {2 * MAX_ARGUMENT_BYTES} bytes; the kernel takes {MAX_ARGUMENT_BYTES} in one"
    with pytest.raises(OSError, match="too long"):
        subprocess.run(["true", "x" * (MAX_ARGUMENT_BYTES + 1)], check=False)
