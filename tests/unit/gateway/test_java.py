"""Java is found, judged by its version, and started with nothing of ours in its environment."""

from pathlib import Path

import pytest

from ibkr_tools.errors import JavaUnavailable
from ibkr_tools.gateway import java
from ibkr_tools.gateway.distribution import Distribution


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('java version "1.8.0_191"', (8, 191)),
        ('openjdk version "1.8.0_392"', (8, 392)),
        ('java version "1.7"', (7, 0)),
        ('openjdk version "11.0.22" 2024-01-16', (11, 0)),
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime', (17, 0)),
        ('openjdk version "21-ea" 2023', (21, 0)),
        ('openjdk version "25" 2025-09-16', (25, 0)),
        ('warning: something\nopenjdk version "26.1.0-internal"', (26, 1)),
    ],
)
def test_versions(text: str, version: tuple[int, int]) -> None:
    """Old and new numbering, as Oracle and OpenJDK print them."""
    found = java.parse_version(text)
    assert found is not None
    assert found[1] == version


@pytest.mark.parametrize("text", ["", "bash: java: not found", 'version "x"'])
def test_no_version(text: str) -> None:
    assert java.parse_version(text) is None


def program(folder: Path, script: str) -> str:
    path = folder / "java"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_missing_java_says_how_to_get_it(tmp_path: Path) -> None:
    for name in ("no-such-java", str(tmp_path / "none"), str(tmp_path)):
        with pytest.raises(JavaUnavailable, match="no Java") as caught:
            java.require_java(name)
        assert "apt install default-jre-headless" in (caught.value.hint or "")


@pytest.mark.parametrize("inner", ["", "jre/"])
def test_the_release_file_is_enough(tmp_path: Path, inner: str) -> None:
    """Also through a link, as Debian has it; the program itself is not started then."""
    (tmp_path / inner / "bin").mkdir(parents=True)
    (tmp_path / "release").write_text('IMPLEMENTOR="Debian"\nJAVA_VERSION="17.0.15"\n')
    real = program(tmp_path / inner / "bin", "exit 1")
    (tmp_path / "java").symlink_to(real)
    assert java.require_java(str(tmp_path / "java")).version == "17.0.15"
    (tmp_path / "release").write_text('JAVA_VERSION="1.8.0_181"\n')
    with pytest.raises(JavaUnavailable, match=r"is Java 1\.8\.0_181"):
        java.require_java(str(tmp_path / "java"))


def command(archive: Path | None) -> list[str]:
    return java.command(
        java.Java(program="java", version="17", major=17),
        [Path("/d/dist/x.jar"), Path("/d/a.jar")],
        conf=Path("/s/conf.jar"),
        conf_entry="e/conf.yaml",
        logback=Path("/s/logback.xml"),
        home=Path("/s/work"),
        heap_mb=64,
        archive=archive,
        properties=["-Dof.this=machine"],
    )


def test_command_runs_the_jar_itself() -> None:
    """No shell, no secret in the arguments; what we add to the class path takes the place of nothing on it."""
    plain = command(None)
    assert plain[0] == "java"
    assert "-Dof.this=machine" in plain[: plain.index("-cp")]
    assert "-Xmx64m" in plain
    assert plain[plain.index("-cp") + 1] == "/d/dist/x.jar:/d/a.jar:/s/conf.jar"
    assert plain[-3:] == ["ibgroup.web.core.clientportal.gw.GatewayStart", "--conf", "e/conf.yaml"]


def test_an_archive_is_one_more_argument() -> None:
    """And never a condition: Java goes on without one that does not fit."""
    with_archive = command(Path("/s/classes.jsa"))
    assert [argument for argument in with_archive if argument not in command(None)] == [
        "-XX:SharedArchiveFile=/s/classes.jsa"
    ]
    assert "-Xshare:auto" in with_archive


def test_the_class_path_does_not_depend_on_the_order_of_a_directory(tmp_path: Path) -> None:
    runtime = tmp_path / "build/lib/runtime"
    runtime.mkdir(parents=True)
    for name in ("b.jar", "c.jar", "a.jar"):
        (runtime / name).touch()
    found = Distribution(root=tmp_path, jar=tmp_path / "dist/x.jar", build="b", sha256="s")
    assert [path.name for path in java.class_path(found)] == ["x.jar", "a.jar", "b.jar", "c.jar"]
