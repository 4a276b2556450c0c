"""Libraries are compared with the hashes with which they were installed."""

import base64
import hashlib
import sys
from pathlib import Path

import pytest

from ibkr_tools.doctor.finding import CheckVerdict
from ibkr_tools.doctor.program_checks import judge_libraries, read_libraries


def put(folder: Path, name: str, *, requires: str = "", text: str = "x = 1\n") -> Path:
    """Installs a library with one module."""
    module, info = folder / f"{name}.py", folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    module.write_text(text)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    (info / "METADATA").write_text(metadata + (f"Requires-Dist: {requires}\n" if requires else ""))
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    (info / "RECORD").write_text(f"{name}.py,sha256={digest},{len(text)}\n{name}-1.0.dist-info/RECORD,,\n")
    return module


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `ibkr-tools`, which needs `needed`, before all others."""
    put(tmp_path, "ibkr_tools", requires="needed>=1")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def test_what_is_as_installed_is_well(library: Path) -> None:
    put(library, "needed", requires="optional; extra == 'more'")
    facts = read_libraries()
    assert (facts.count, facts.missing, facts.changed) == (2, (), ())
    (found,) = judge_libraries(facts, remedy="mend")
    assert found.verdict is CheckVerdict.OK


def test_what_is_missing_is_named(library: Path) -> None:
    (found,) = judge_libraries(read_libraries(), remedy="mend")
    assert (found.message_text(), found.remedy_text()) == ("missing: needed", "mend")


@pytest.mark.parametrize("damage", ["changed", "removed"])
def test_what_was_changed_is_named(library: Path, damage: str) -> None:
    module = put(library, "needed", text="y = 2\n")
    module.write_text("y = 3\n") if damage == "changed" else module.unlink()
    (found,) = judge_libraries(read_libraries(), remedy="mend")
    assert "needed.py" in found.message_text()
