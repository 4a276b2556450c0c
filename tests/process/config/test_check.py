"""`ibkr-tools config check` and the programs that read the configuration say the same."""

import json
from typing import Any

import msgspec
import pytest

from ibkr_tools.config.schema import Config
from tests.support.installation import Installation


def config(**sections: Any) -> Config:
    return msgspec.convert({"username": "reader", "account": "U1234567", **sections}, Config)


# The command.


def test_every_problem_is_told_at_once_and_no_secret(place: Installation) -> None:
    place.configure(
        1025,
        password="hunter2\u200b",
        login={"browser": "/usr", "selectors": {"submit": ["//button"], "error": ["#ok"]}},
        fetch={"resources": ["orders"]},
    )
    done = place.run("config", "check")
    assert (done.returncode, done.stdout) == (78, "")
    for line in (
        "4 problems:",
        '"password": the password is not what a person typed: character 8 of it is a zero width space (U+200B)',
        "login.browser: /usr: a directory",
        "login.selectors.submit: '//button': an XPath",
        "orders needs the brokerage tier",
    ):
        assert line in done.stderr
    assert "hunter2" not in done.stderr


def test_a_warning_is_no_problem(place: Installation) -> None:
    place.configure(443, password=" hunter2")
    done = place.run("config", "check")
    assert done.returncode == 0
    assert "warning: gateway.port: below 1024 only root may listen" in done.stderr
    assert "the password begins with a blank, which belongs to it" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize("port", [6000, 10080])
@pytest.mark.parametrize("command", [("config", "check"), ("login",), ("gateway", "run"), ("up",), ("fetch",)])
def test_the_running_parts_give_the_same_reason(place: Installation, port: int, command: tuple[str, ...]) -> None:
    place.configure(port)
    done = place.run(*command)
    assert done.returncode == 78
    assert f"gateway.port: Chromium opens no page from port {port}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--as-gateway", "--port", "6000"], "Chromium opens no page from port 6000"),
        (["--account", "u1234567"], "Did you mean 'U1234567'?"),
        (["--account", "All"], "account takes one number"),
    ],
)
def test_simulator_refuses_the_same(place: Installation, arguments: list[str], why: str) -> None:
    done = place.run("simulate", *arguments)
    assert done.returncode == 2
    assert why.lower() in done.stderr.lower()


@pytest.mark.parametrize("path", ["/portfolio/u1234567/ledger", "/portfolio/All/summary"])
def test_a_raw_path_is_of_an_account_number(place: Installation, path: str) -> None:
    done = place.run("api", path)
    assert done.returncode == 2
    assert "not an account number" in done.stderr
    assert "hint: " in done.stderr


def test_a_secret_file_is_told_for_what_it_is(place: Installation) -> None:
    for name in ("password", "totp"):
        path = place.directories.configuration / name
        path.touch(mode=0o600)
        path.write_bytes("hunter2".encode("utf-16"))
    text = json.loads(place.directories.config_file.read_text())
    text["login"] = {"second_factor": {"method": "totp"}}
    place.directories.config_file.write_text(json.dumps(text))
    done = place.run("config", "check")
    assert done.returncode == 78
    assert "password: the password cannot be read: it is UTF-16, not UTF-8" in done.stderr
    assert "totp: the authenticator's secret cannot be read: it is UTF-16, not UTF-8" in done.stderr
