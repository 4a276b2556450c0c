"""The packet filter of the gateway's port: what it loads, and what it says when it cannot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ibkr_tools.gateway.firewall import TABLE, ruleset

needs_nft = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nft (apt install nftables)"
)


def run_firewall(tmp_path: Path, *, path: str, config: str) -> "subprocess.CompletedProcess[str]":
    """Runs the module as the unit does, with its own configuration directory and PATH."""
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "config.json").chmod(0o640)
    return subprocess.run(
        [sys.executable, "-m", "ibkr_tools.gateway.firewall"],
        env={"PATH": path, "CONFIGURATION_DIRECTORY": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )


def fake_nft(tmp_path: Path, script: str) -> str:
    """Makes a program called nft; returns the PATH that finds it."""
    program = tmp_path / "bin" / "nft"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


CONFIG = '{"username": "demo-reader", "account": "U1234567", "gateway": {"port": 5123}}'


def test_configured_port_is_the_one_that_is_closed(tmp_path: Path) -> None:
    """The rule handed to nft names the configured port and spares the loopback interface."""
    path = fake_nft(tmp_path, f"cat >{tmp_path}/rules")
    assert run_firewall(tmp_path, path=path, config=CONFIG).returncode == 0
    rules = (tmp_path / "rules").read_text()
    assert rules == ruleset(5123)
    assert 'iifname != "lo" tcp dport 5123 drop' in rules


def test_without_nft_it_says_what_to_install(tmp_path: Path) -> None:
    """78: an operator must act, and is told how."""
    result = run_firewall(tmp_path, path=str(tmp_path), config=CONFIG)
    assert result.returncode == 78
    assert "apt install nftables" in result.stderr


def test_refusal_of_the_kernel_is_passed_on(tmp_path: Path) -> None:
    """What nft complains about is in the journal, in one line."""
    path = fake_nft(tmp_path, "cat >/dev/null; echo 'Error: Operation not permitted' >&2; exit 1")
    result = run_firewall(tmp_path, path=path, config=CONFIG)
    assert result.returncode == 78
    assert "Operation not permitted" in result.stderr.splitlines()[0]


def test_broken_configuration_opens_nothing(tmp_path: Path) -> None:
    """Without a readable port nothing is loaded and the unit fails, so the gateway does not start."""
    path = fake_nft(tmp_path, f"touch {tmp_path}/called")
    assert run_firewall(tmp_path, path=path, config="{").returncode == 78
    assert not (tmp_path / "called").exists()


@needs_nft
def test_kernel_takes_the_rules_twice() -> None:
    """Loading again replaces our table instead of doubling its rules; in a network namespace that ends with this."""
    script = f"nft -f /dev/stdin <<'X'\n{ruleset(5000)}X\nnft -f /dev/stdin <<'X'\n{ruleset(5001)}X\nnft list ruleset"
    result = subprocess.run(["unshare", "--net", "/bin/sh", "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("tcp dport") == 1
    assert f"table inet {TABLE}" in result.stdout
    assert "5001" in result.stdout
