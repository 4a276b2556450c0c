"""What the doctor takes for shipped is what bin/install puts in place."""

import subprocess

import pytest

from ibkr_tools.doctor.shipped_units import planned_paths, shipped_folder, targets
from tests.support.checkout import CHECKOUT


@pytest.mark.parametrize("version", [252, 257])
def test_the_targets_are_those_of_the_installation(version: int) -> None:
    script = f"set -eu; source bin/_common.sh; source bin/_installed.sh; shipped_files {version}"
    told = subprocess.run(["bash", "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=30)
    pairs = (line.split("\t") for line in told.stdout.splitlines())
    installed = {target: source for source, target in pairs}
    folder = shipped_folder()
    assert folder is not None
    mine = {str(target): str(source) for target, source in targets(folder).items()}
    assert installed.items() <= mine.items()
    # What only a newer systemd gets is the difference.
    assert all("since-" in mine[target] for target in mine.keys() - installed.keys())


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
