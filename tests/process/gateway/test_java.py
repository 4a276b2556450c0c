"""Which Java is good enough, as it says itself."""

from pathlib import Path

import pytest

from ibkr_tools.errors import JavaUnavailable
from ibkr_tools.gateway import java


def program(folder: Path, script: str) -> str:
    path = folder / "java"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "timeout_s", "message"),
    [
        ("echo 'java version \"1.8.0_191\"' >&2", 60, "is Java 1.8.0_191, the gateway needs 8u192"),
        ("exit 7", 60, r"says no Java version \(exit code 7\)"),
        ("exec sleep 30", 1, "no answer to -version in"),
    ],
)
def test_unusable_java_is_one_line(tmp_path: Path, script: str, timeout_s: int, message: str) -> None:
    with pytest.raises(JavaUnavailable, match=message) as caught:
        java.require_java(program(tmp_path, script), timeout_s=timeout_s)
    assert caught.value.exit_code == 78
    assert caught.value.hint is not None


def test_java_8u192_is_enough(tmp_path: Path) -> None:
    found = java.require_java(program(tmp_path, "echo 'openjdk version \"1.8.0_192\"' >&2"))
    assert found.version == "1.8.0_192"
