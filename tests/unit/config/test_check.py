"""`config check`: what the parts would refuse is refused, and what the units cannot have is a warning."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ibkr_tools.config.check import machine_warnings, unit_warnings, unusable_values
from ibkr_tools.config.schema import Config
from ibkr_tools.login.selector_syntax import find_selector_error
from tests.support import unit_files
from tests.support.selector_texts import REFUSED, TAKEN


def config(**sections: Any) -> Config:
    return msgspec.convert({"username": "reader", "account": "U1234567", **sections}, Config)


def kernel(tmp_path: Path, *, lowest: int = 1024, span: str = "32768\t60999", memory_kb: int = 8_000_000) -> Path:
    """A /proc with these settings."""
    (tmp_path / "sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "sys/net/ipv4/ip_unprivileged_port_start").write_text(f"{lowest}\n")
    (tmp_path / "sys/net/ipv4/ip_local_port_range").write_text(f"{span}\n")
    (tmp_path / "meminfo").write_text(f"MemTotal:       {memory_kb} kB\nMemFree: 1 kB\n")
    return tmp_path


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({"gateway": {"java": "/no/java"}}, "gateway.java: /no/java: not there"),
        ({"gateway": {"java": "/usr"}}, "gateway.java: /usr: a directory"),
        ({"gateway": {"directory": "/etc/passwd"}}, "gateway.directory: not a directory"),
        ({"login": {"browser": "/usr/bin"}}, "login.browser: /usr/bin: a directory"),
        ({"login": {"browser": "no-such-chromium"}}, "login.browser: no-such-chromium: no program of that name"),
        ({"login": {"driver": "/etc/passwd"}}, "login.driver: /etc/passwd: not executable"),
        ({"login": {"browser": "bin/chromium"}}, "login.browser: bin/chromium: a relative path"),
        ({"login": {"driver": "/usr/bin/chromium"}}, "login.driver: chromium is the browser"),
        ({"login": {"browser": "chromedriver"}}, "login.browser: chromedriver is the driver"),
        ({"alerts": {"command": ["no-such-mail"]}}, "alerts.command: no-such-mail: no program"),
        ({"alerts": {"command": ["true", "x" * 140_000]}}, "alerts.command: argument 1 has 140000 bytes"),
    ],
)
def test_what_could_not_be_started_is_refused(sections: dict[str, Any], why: str) -> None:
    assert any(line.startswith(why) for line in unusable_values(config(**sections)))


def test_what_is_left_to_us_is_not_refused() -> None:
    """A machine without Java or Chromium may well check its configuration."""
    assert not list(unusable_values(config(gateway={"directory": "/no/such"}, alerts={"command": ["true", "a"]})))


@pytest.mark.parametrize(
    ("gateway", "machine", "why"),
    [
        ({}, {}, None),
        ({"port": 443}, {}, "gateway.port: below 1024 only root may listen"),
        ({"port": 443}, {"lowest": 80}, None),
        ({"port": 40_000}, {}, "gateway.port: from 32768 to 60999 the kernel gives ports"),
        ({"port": 40_000}, {"span": "50000\t60000"}, None),
        (
            {"heap_mb": 2048},
            {"memory_kb": 1_000_000},
            "gateway.heap_mb: 2048 MB of Java's heap, and this machine has 976",
        ),
        ({"heap_mb": 2048}, {}, None),
        ({"upstream": "http://127.0.0.1:5080"}, {}, None),
        ({"upstream": "http://localhost:5080"}, {}, None),
        ({"upstream": "http://ibkr.example"}, {}, "the password would go there unencrypted"),
        ({"upstream": "https://api.ibkr.com:8443"}, {}, "push connection goes to port 443 of api.ibkr.com"),
        ({"upstream": "https://api.ibkr.com:443"}, {}, None),
        ({"directory": "clientportal.gw"}, {}, "gateway.directory: a relative path"),
    ],
)
def test_what_this_machine_is_not_made_for_is_remarked(
    tmp_path: Path, gateway: dict[str, Any], machine: dict[str, Any], why: str | None
) -> None:
    found = list(machine_warnings(config(gateway=gateway), kernel(tmp_path, **machine)))
    assert [why in line for line in found if why] == ([True] if why else [])
    assert bool(found) is bool(why)


def test_a_kernel_that_says_nothing_is_not_guessed_about(tmp_path: Path) -> None:
    assert not list(machine_warnings(config(gateway={"port": 443, "heap_mb": 4096}), tmp_path))


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        (
            {"login": {"password_file": "/home/me/pw"}},
            "login.password_file: ibkr-login does not see /home (ProtectHome",
        ),
        ({"login": {"password_file": "/tmp/pw"}}, "login.password_file: ibkr-login does not see /tmp (PrivateTmp"),
        ({"login": {"password_file": "~/pw"}}, "login.password_file: for ibkr-login ~ is the home directory of"),
        ({"gateway": {"directory": "/root/gw"}}, "gateway.directory: ibkr-gateway does not see /root"),
        (
            {"login": {"second_factor": {"method": "totp", "totp_file": "/run/user/0/t"}}},
            "login.second_factor.totp_file: ibkr-login does not see /run/user",
        ),
        ({"login": {"browser": "/home/me/chrome"}}, "login.browser: ibkr-login does not see /home"),
        ({"login": {"browser": "/snap/bin/chromium"}}, "login.browser: ibkr-login starts no program in /snap/bin"),
        ({"alerts": {"command": ["/srv/tell"]}}, "alerts.command: ibkr-alert starts no program in /srv"),
        (
            {"login": {"second_factor": {"method": "command", "command": ["/opt/code"]}}},
            "login.second_factor.command: ibkr-login starts no program in /opt",
        ),
        ({"alerts": {"command": ["/etc/ibkr-tools/tell"]}}, None),
        ({"login": {"browser": "/opt/google/chrome/chrome"}}, None),
        ({"login": {"password_file": "/etc/ibkr-tools/own"}}, None),
        ({"gateway": {"java": "/usr/bin/env"}, "alerts": {"command": ["env"]}}, None),
        ({"login": {"second_factor": {"method": "none", "totp_file": "/tmp/x"}}}, None),
    ],
)
def test_what_the_units_cannot_have_is_remarked(sections: dict[str, Any], why: str | None) -> None:
    found = list(unit_warnings(config(**sections)))
    assert [line.startswith(why) for line in found if why] == ([True] if why else [])
    assert bool(found) is bool(why)


def test_a_secret_that_is_not_the_units_users_is_remarked(tmp_path: Path) -> None:
    """Only its owner may read it, and the login runs as ibkr."""
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    own = secret.stat().st_uid
    section = {"password_file": str(secret)}
    expected = "login.password_file: ibkr-login runs as ibkr and cannot read it"
    assert any(line.startswith(expected) for line in unit_warnings(config(login=section), own + 1))
    for found in (own, None):
        assert not any(line.startswith(expected) for line in unit_warnings(config(login=section), found))
    missing = {"password_file": str(tmp_path / "missing")}
    assert not any(line.startswith(expected) for line in unit_warnings(config(login=missing), own + 1))


def test_the_units_are_as_the_remarks_say() -> None:
    """The directives that the remarks name are in the unit files."""
    from ibkr_tools.config import check

    for name in ("ibkr-gateway", "ibkr-login", "ibkr-alert"):
        service = unit_files.unit(f"{name}.service")
        assert service.one("ProtectHome") == service.one("PrivateTmp") == "yes"
        assert service.all("NoExecPaths") == ["/"]
        paths = {path.removeprefix("-") for path in service.all("ExecPaths")}
        assert paths == {*check._EXEC_PATHS, *check._MORE_EXEC_PATHS.get(name, ())}


@pytest.mark.parametrize("selector", TAKEN)
def test_a_selector_that_chromium_takes_is_taken(selector: str) -> None:
    assert find_selector_error(selector) is None


@pytest.mark.parametrize("selector", REFUSED)
def test_a_selector_that_plainly_is_none_is_told(selector: str) -> None:
    assert find_selector_error(selector)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("postgresql:///portfolio", ""),
        ("postgresql://ibkr@/portfolio?host=/run/postgresql", ""),
        ("postgresql://localhost/portfolio", ""),
        ("postgresql://127.0.0.1:5433/portfolio", ""),
        ("postgresql://[::1]/portfolio", ""),
        ("postgresql://db.example.org/portfolio?sslmode=verify-full", ""),
        ("postgresql://db.example.org/portfolio", "db.example.org"),
        ("postgresql://db.example.org/portfolio?sslmode=require", "db.example.org"),
        ("postgresql:///portfolio?host=db.example.org", "db.example.org"),
    ],
)
def test_a_database_that_does_not_prove_who_it_is_is_remarked(tmp_path: Path, url: str, host: str) -> None:
    """libpq's own default asks for no certificate, and gives the password to a server that wants it as it is."""
    found = [line for line in machine_warnings(config(history={"database": url}), tmp_path) if "history" in line]
    assert ["on the way to " + host in line for line in found] == ([True] if host else [])
