"""No two instances have one port."""

import json
import socket
from pathlib import Path

import pytest

from ibkr_tools.config.example import example_file
from ibkr_tools.errors import ConfigError
from ibkr_tools.gateway.instance_ports import DEFAULT_PORT, configured_ports, main, port_of


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
