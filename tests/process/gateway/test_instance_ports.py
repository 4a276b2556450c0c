"""No two instances have one port."""

import json
import socket
from pathlib import Path

import pytest

from ibkr_tools.config.example import example_file
from ibkr_tools.errors import ConfigError
from ibkr_tools.gateway.instance_ports import DEFAULT_PORT, configured_ports, main, port_of, require_own_port


def configure(configuration: Path, **ports: int | None) -> None:
    """Writes configurations with these ports, None: without one; `default` is the instance without a name."""
    for name, port in ports.items():
        place = configuration if name == "default" else configuration.with_name(f"{configuration.name}@{name}")
        place.mkdir()
        document = {"username": "x", "gateway": {"port": port}} if port else {"username": "x"}
        (place / "config.json").write_text(json.dumps(document))


def test_a_new_instance_gets_the_first_port_that_nobody_has(tmp_path: Path) -> None:
    configure(tmp_path / "etc", default=None, anna=5001)
    assert configured_ports(tmp_path / "etc") == {"default": DEFAULT_PORT, "anna": 5001}
    assert port_of("bob", tmp_path / "etc") == 5002


def test_the_configuration_of_a_new_instance_has_its_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Made of the shipped example, whatever that has in it: with the usual port it would have the first user's."""
    configure(tmp_path / "etc", default=None)
    example = tmp_path / "example.json"
    example.write_text('{"username": "x", "gateway": {"port": 5000, "upstream": "https://api.ibkr.com"}}')
    for file in (example_file(), example):
        assert main(["bob", str(file)], tmp_path / "etc") == 0
        made, shipped = json.loads(capsys.readouterr().out), json.loads(file.read_text())
        assert made["gateway"].pop("port") == port_of("bob", tmp_path / "etc") != DEFAULT_PORT
        shipped.get("gateway", {}).pop("port", None)
        assert made == {**shipped, "gateway": shipped.get("gateway", {})}


def test_a_port_that_somebody_listens_on_is_passed_over(tmp_path: Path) -> None:
    configure(tmp_path / "etc", default=None)
    first = port_of("bob", tmp_path / "etc")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", first))
        listener.listen()
        assert port_of("bob", tmp_path / "etc") > first


def test_the_configured_port_is_kept(tmp_path: Path) -> None:
    configure(tmp_path / "etc", default=None, anna=5050)
    assert port_of("anna", tmp_path / "etc") == 5050


def test_one_port_for_two_is_refused_with_one_that_is_free(tmp_path: Path) -> None:
    configure(tmp_path / "etc", default=5001, anna=5001)
    with pytest.raises(ConfigError, match=r"gateway\.port 5001 is that of the instance default already") as caught:
        port_of("anna", tmp_path / "etc")
    assert caught.value.hint
    assert "5001" not in caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", '{"gateway": []}', '{"gateway": {"port": "x"}}', "{" * 9, "\0"])
def test_a_configuration_that_is_wrong_has_no_port(tmp_path: Path, text: str) -> None:
    """What is wrong with it is said by those who use it."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config.json").write_text(text)
    assert configured_ports(tmp_path / "etc") == {}


@pytest.mark.parametrize(
    ("instance", "ports", "sharing"),
    [
        ("anna", {"default": None, "anna": 5000}, "default"),
        ("anna", {"default": 5001, "anna": 5002, "bob": 5002}, "bob"),
        ("anna", {"default": None}, "default"),
        ("anna", {"default": 5001}, None),
        ("anna", {"default": None, "anna": 5001, "carl": 5001}, None),
        (None, {"default": 5001, "anna": 5000, "bob": 5001}, "bob"),
        (None, {"anna": 5000}, "anna"),
        (None, {"default": 5000, "anna": 5001, "carl": 5000}, None),
    ],
)
def test_an_instance_has_no_port_of_another_that_is_installed(
    tmp_path: Path, instance: str | None, ports: dict[str, int | None], sharing: str | None
) -> None:
    """Without a configuration it would have the usual one. Carl was removed, and has left his configuration."""
    configure(tmp_path / "etc", **ports)
    for name in ("run", "run@anna", "run@bob"):
        (tmp_path / name).mkdir()
    suffix = f"@{instance}" if instance else ""
    file, runtime = tmp_path / f"etc{suffix}/config.json", tmp_path / f"run{suffix}"
    if sharing is None:
        require_own_port(instance, file, runtime)
        return
    with pytest.raises(ConfigError, match=rf"is that of the instance {sharing} already") as caught:
        require_own_port(instance, file, runtime)
    assert caught.value.message.startswith(f"{file}: ")


def test_what_cannot_be_known_of_ports_is_not_said(tmp_path: Path) -> None:
    """A configuration that is no JSON, of either; directories of somebody's own choice."""
    configure(tmp_path / "etc", default=5001, anna=5001)
    for name in ("run", "run@anna"):
        (tmp_path / name).mkdir()
    require_own_port("anna", tmp_path / "etc/config.json", tmp_path / "run@anna")
    for file in (tmp_path / "etc/config.json", tmp_path / "etc@anna/config.json"):
        whole = file.read_text()
        file.write_text("{")
        require_own_port(None, tmp_path / "etc/config.json", tmp_path / "run")
        file.write_text(whole)
