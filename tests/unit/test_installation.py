"""Where an installation is, and the commands that a person is told, by how the program was installed."""

import re
from pathlib import Path

import pytest

from ibkr_tools.installation import INSTALL_SERVICES, LAYOUT, LOCAL, PACKAGE, Layout, find_install_command, find_layout
from tests.support.checkout import CHECKOUT


@pytest.mark.parametrize(
    ("prefix", "layout", "command"),
    [
        ("/usr/lib/ibkr-tools/venv", PACKAGE, "sudo ibkr-tools-install"),
        ("/opt/ibkr-tools/venv", LOCAL, "sudo ./bin/install"),
        ("/opt/ibkr-tools/environments/AbCd1234", LOCAL, "sudo ./bin/install"),
        ("/home/ann/.local/share/pipx/venvs/ibkr-tools", LOCAL, "sudo ./bin/install in a checkout of ibkr-tools"),
        ("/usr/lib/ibkr-tools-other/venv", LOCAL, "sudo ./bin/install in a checkout of ibkr-tools"),
    ],
)
def test_a_person_is_told_a_command_that_is_there(tmp_path: Path, prefix: str, layout: Layout, command: str) -> None:
    assert find_layout(prefix) is layout
    assert find_install_command(prefix, tmp_path / "site-packages/ibkr_tools/installation.py") == command


def test_in_a_checkout_it_is_the_checkouts() -> None:
    """Whatever environment runs it."""
    assert (LAYOUT, INSTALL_SERVICES) == (LOCAL, "sudo ./bin/install")
    assert find_install_command("/home/ann/venv", CHECKOUT / "ibkr_tools/x.py") == "sudo ./bin/install"


@pytest.mark.parametrize(("name", "layout"), [("local", LOCAL), ("package", PACKAGE)])
def test_the_places_are_those_of_the_scripts(name: str, layout: Layout) -> None:
    text = (CHECKOUT / "bin/_installed.sh").read_text()
    branch = re.search(rf"^ +{name}\)\n(.*?);;", text, re.MULTILINE | re.DOTALL)
    assert branch is not None
    values = dict(re.findall(r"^ +([A-Z_]+)='?(.*?)'?$", branch[1], re.MULTILINE))
    home = re.search(r"^readonly PACKAGE_HOME=(.*)$", text, re.MULTILINE)
    assert home is not None
    assert (values["HOME_DIR"].replace("$PACKAGE_HOME", home[1]), values["LINK"], values["LIBRARY"]) == (
        *(str(layout.home), str(layout.link), str(layout.library)),
    )
    assert values["INSTALL_COMMAND"] == layout.install


def test_a_file_of_systemd_names_the_program_where_it_is() -> None:
    unit = (CHECKOUT / "systemd/ibkr-watchdog.service").read_bytes()
    assert LOCAL.adapted(unit) == unit
    assert b"ExecStart=/usr/lib/ibkr-tools/venv/bin/python " in PACKAGE.adapted(unit)
    assert b"/opt/" not in PACKAGE.adapted(unit)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See docs/flex.md#when-no-statement-comes", "See {}/flex.md#when-no-statement-comes"),
        ("docs/reference/pacing.md, docs/login.md", "{}/reference/pacing.md, {}/login.md"),
        ("/home/ann/docs/systemd.md and mydocs/login.md", "/home/ann/docs/systemd.md and mydocs/login.md"),
        ("docs/ and https://example.net/docs/login.md", "docs/ and https://example.net/docs/login.md"),
    ],
)
def test_pages_have_the_paths_that_they_have_here(text: str, shown: str) -> None:
    """A package brings them; in a checkout they are where the commands are."""
    assert PACKAGE.with_pages(text) == shown.replace("{}", "/usr/share/doc/ibkr-tools/docs")
    assert LOCAL.with_pages(text) == text
