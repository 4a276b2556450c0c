"""The commands that give files back to their owner, run for real against who changes the way meanwhile."""

import os
import subprocess
from pathlib import Path

import pytest

from ibkr_tools.doctor import path_checks
from ibkr_tools.doctor.path_checks import Owners, Tree, judge_tree

OWNERS = Owners(users={"root": 0}, groups={"root": 0})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_command_follows_no_link(tmp_path: Path) -> None:
    """Run for real, with a link put in the way since the doctor has looked."""
    (tmp_path / "state/login/x").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    for folder in ("state/login/x", "etc"):
        (tmp_path / folder / "shadow").write_text("")
    os.chown(tmp_path / "state/login/x/shadow", 12345, 12345)
    tree = Tree(root=tmp_path / "state", user="root", forbidden=0o022)
    (found,) = judge_tree(tree, path_checks.look_below(tree.root), OWNERS, program=tree.root)
    os.chown(tmp_path / "etc/shadow", 12345, 12345)
    (tmp_path / "state/login/x").rename(tmp_path / "state/login/y")
    (tmp_path / "state/login/x").symlink_to(tmp_path / "etc")
    command = str(found.remedy_text()).removeprefix("sudo ")
    subprocess.run(["sh", "-c", command], check=True)
    assert (tmp_path / "etc/shadow").stat().st_uid == 12345
    assert (tmp_path / "state/login/y/shadow").stat().st_uid == 0
