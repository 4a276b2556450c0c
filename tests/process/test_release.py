"""`bin/release` refuses to build what could not be told apart afterwards; what it builds is checked by itself."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from ibkr_tools import __version__
from tests.support.checkout import CHECKOUT


class Repository:
    """A repository with the scripts, a version and a changelog, all committed."""

    def __init__(self, root: Path, changelog: str) -> None:
        self.root = root
        shutil.copytree(CHECKOUT / "bin", root / "bin")
        (root / "ibkr_tools").mkdir()
        (root / "ibkr_tools/__init__.py").write_text('__version__ = "7.1.0"\n')
        (root / "CHANGELOG.md").write_text(changelog)
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.commit()

    def git(self, *arguments: str) -> None:
        """Runs git with a person's name of its own."""
        who = ("-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "core.hooksPath=/dev/null")
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        """Commits what is staged, or nothing."""
        self.git("commit", "--quiet", "--allow-empty", "--message=x")

    def release(self) -> tuple[int, str]:
        """Returns the exit code of bin/release and its complaint."""
        done = subprocess.run([self.root / "bin/release"], capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stderr


WRITTEN = (
    "# Changelog\n\n## [Unreleased]\n\n## [7.1.0] - 2026-11-29\n\n- Something.\n\n## [7.0.0] - 2026-01-01\n\n- Else.\n"
)


@pytest.mark.parametrize(
    "changelog",
    [
        "# Changelog\n\n## [Unreleased]\n\n- Something.\n",
        "# Changelog\n\n## [7.1.0] - 2026-11-29\n\n## [7.0.0] - 2026-01-01\n\n- Else.\n",
        "# Changelog\n\n## [7.1.01] - 2026-11-29\n\n- Something.\n",
    ],
)
def test_a_version_without_its_section_is_refused(tmp_path: Path, changelog: str) -> None:
    """What is Unreleased, empty or another version's is none."""
    code, words = Repository(tmp_path / "x", changelog).release()
    assert code == 78
    assert "CHANGELOG.md has no section for 7.1.0" in words


def test_a_tree_that_is_not_clean_is_refused(tmp_path: Path) -> None:
    """A release can be made again from its commit."""
    repository = Repository(tmp_path / "x", WRITTEN)
    (repository.root / "new.py").touch()
    code, words = repository.release()
    assert code == 78
    assert "the working tree is not clean" in words


def test_a_version_that_is_another_commit_is_refused(tmp_path: Path) -> None:
    """A version is published once."""
    repository = Repository(tmp_path / "x", WRITTEN)
    repository.git("tag", "v7.1.0")
    repository.commit()
    code, words = repository.release()
    assert code == 78
    assert "v7.1.0 is another commit" in words


def test_a_tag_of_another_version_is_refused(tmp_path: Path) -> None:
    """A tag that was pushed by mistake publishes nothing."""
    repository = Repository(tmp_path / "x", WRITTEN)
    repository.git("tag", "v7.2.0")
    code, words = repository.release()
    assert code == 78
    assert "the tag v7.2.0 is not the version 7.1.0" in words


def test_what_a_script_of_the_sdist_reads_is_in_it() -> None:
    """bin/install and bin/package run from there as from the repository."""
    names = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["sdist"]
    there = set(names["only-include"])
    scripts = [CHECKOUT / name for name in there if name.startswith("bin/")]
    wanted = {part for script in scripts for part in re.findall(r"/(_[a-z]+\.sh)\"$", script.read_text(), re.MULTILINE)}
    assert len(wanted) > 5
    assert {f"bin/{part}" for part in wanted} <= there


def test_the_version_stands_in_one_place() -> None:
    """pyproject.toml takes it from the package, and the changelog knows it."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "ibkr_tools/__init__.py"
    headings = re.findall(r"^## \[(.+?)\]", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert __version__ in headings


def test_the_versions_of_python_are_the_ones_that_are_tested() -> None:
    """The classifiers promise what the matrix of the workflow runs."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    prefix = "Programming Language :: Python :: "
    promised = [line.removeprefix(prefix) for line in project["classifiers"] if line.startswith(prefix)]
    (matrix,) = re.findall(r"^ +python: \[(.*)\]$", (CHECKOUT / ".github/workflows/ci.yml").read_text(), re.MULTILINE)
    assert [version.strip('"') for version in matrix.split(", ")] == promised
    assert project["requires-python"] == f">={promised[0]}"
