"""What the doctor takes for shipped is what bin/install puts in place."""

import os
import subprocess
from pathlib import Path

import pytest

from ibkr_tools.doctor.shipped_units import planned_paths, restore_command, shipped_folder, targets
from ibkr_tools.installation import LOCAL, PACKAGE, Layout
from tests.support.checkout import CHECKOUT


@pytest.mark.parametrize("version", [252, 257])
@pytest.mark.parametrize(("name", "layout"), [("local", LOCAL), ("package", PACKAGE)])
def test_the_targets_are_those_of_the_installation(version: int, name: str, layout: Layout) -> None:
    script = f"set -eu; source bin/_common.sh; source bin/_installed.sh; use_layout {name}; shipped_files {version}"
    told = subprocess.run(["bash", "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=30)
    pairs = (line.split("\t") for line in told.stdout.splitlines())
    installed = {target: source for source, target in pairs}
    folder = shipped_folder()
    assert folder is not None
    mine = {str(target): str(source) for target, source in targets(folder, layout).items()}
    assert installed.items() <= mine.items()
    # What only a newer systemd gets is the difference.
    assert all("since-" in mine[target] for target in mine.keys() - installed.keys())


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root")
@pytest.mark.parametrize(("name", "layout"), [("local", LOCAL), ("package", PACKAGE)])
def test_what_puts_a_file_in_its_place_again_does_what_the_installation_did(
    tmp_path: Path, name: str, layout: Layout
) -> None:
    """Byte by byte."""
    folder = shipped_folder()
    assert folder is not None
    source, installed, restored = folder / "ibkr-watchdog.service", tmp_path / "installed", tmp_path / "restored"
    put = f"source bin/_common.sh; source bin/_installed.sh; use_layout {name}; put_file {source} {installed}"
    restore = restore_command(source, restored, layout).replace("sudo ", "")
    subprocess.run(["bash", "-euc", f"{put}; {restore}"], cwd=CHECKOUT, check=True, timeout=30)
    assert installed.read_bytes() == restored.read_bytes() == layout.adapted(source.read_bytes())


def test_every_planned_path_is_documented_with_its_mode() -> None:
    """In the table of docs/install.md, or its parent is."""
    text = (CHECKOUT / "docs/install.md").read_text()
    folder = shipped_folder()
    assert folder is not None
    planned = list(planned_paths((folder / "tmpfiles.d/ibkr-tools.conf").read_text().splitlines()))
    assert {entry.user for entry in planned} == {"root", "ibkr"}
    for path in ("/etc/ibkr-tools/password", "/run/ibkr-tools", "/var/lib/ibkr-tools/shared"):
        entry = next(entry for entry in planned if str(entry.path) == path)
        assert f"{entry.mode:04o} {entry.user}:{entry.group}" in text
