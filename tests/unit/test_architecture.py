"""The packages: which may import which, and in which one place each library is imported."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ibkr_tools"
FILES = sorted(PACKAGE.rglob("*.py"))

BASE = {
    "errors",
    "terminal_escape",
    "number_format",
    "command_output",
    "log",
    "files",
    "directories",
    "config",
    "status",
    "sd_notify",
    "entrypoint",
    "event_loop",
    "pause_file",
    "alert_outbox",
    "privileges",
    "session_hint",
    "simulator_ports",
    "account_ids",
    "secret_text",
    "executables",
}
PACKAGE_IMPORTS = {
    "portal": {"files", "config", "errors", "deadline_socket", "deadline_adapter"},
    "gateway": {
        "files",
        "config",
        "directories",
        "errors",
        "log",
        "sd_notify",
        "entrypoint",
        "event_loop",
        "status",
        "privileges",
        "simulator_ports",
        "deadline_adapter",
        "command_output",
        "executables",
    },
    "watchdog": BASE | {"portal"},
    "login": BASE | {"portal"},
    "fetch": BASE | {"portal"},
    "alerts": BASE,
    "supervisor": BASE | {"services"},
    "simulator": {"errors", "entrypoint", "status", "simulator_ports"},
    # Tables for people; the command line prints them.
    "views": BASE | {"fetch"},
    # What scripts import: the fetch, without the command line.
    "python_api": BASE | {"portal", "fetch"},
    "__init__": {"errors", "fetch", "python_api"},
}
"""Which packages a package may import, besides itself."""

BASE_IMPORTS = {
    "errors": set[str](),
    "simulator_ports": set[str](),
    "terminal_escape": set[str](),
    "number_format": set[str](),
    "command_output": set[str](),
    "log": {"terminal_escape"},
    "files": set[str](),
    "directories": {"errors"},
    "services": {"directories"},
    "sd_notify": {"account_ids"},
    "event_loop": set[str](),
    "account_ids": {"errors", "terminal_escape"},
    "secret_text": set[str](),
    "executables": set[str](),
    "config": {"errors", "files", "terminal_escape", "account_ids", "secret_text", "executables"},
    "status": {"errors", "files"},
    "pause_file": {"files"},
    "alert_outbox": {"files"},
    "session_hint": {"files"},
    "privileges": {"directories", "errors"},
    "deadline_socket": set[str](),
    "deadline_adapter": {"deadline_socket"},
    "entrypoint": {"errors", "log", "terminal_escape"},
}

ONE_PLACE = {
    "requests": {"portal/client.py", "gateway/distribution.py", "deadline_adapter.py"},
    # requests and selenium both let some of its errors through.
    "urllib3": {"portal/client.py", "login/browser.py", "deadline_adapter.py"},
    "websocket": {"portal/push_listener.py"},
    "selenium": {"login/browser.py"},
    "jq": {"fetch/jq_program.py"},
    "pyotp": {"login/totp_secret.py"},
    "sdnotify": {"sd_notify.py"},
    "tenacity": {"fetch/retry.py"},
    "typer": {"cli/"},
    "aiohttp": {"simulator/"},
    "cryptography": {"gateway/tls.py", "simulator/", "login/browser.py"},
    "inotify_simple": {"watchdog/file_watcher.py", "status.py", "simulator/demo.py"},
}
"""Third-party packages and the only files (or packages, with a slash) that may import them."""

EVERYWHERE = {"msgspec", "loguru"}


def imports_of(file: Path) -> list[str]:
    """Lists every module a file imports, in functions too; relative imports are resolved."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            module = node.module or ""
            # `from ibkr_tools import files` names a module, `from ibkr_tools.files import x` does not.
            found += [f"{module}.{name.name}" for name in node.names] if module == "ibkr_tools" else [module]
    return found


def package_of(file: Path) -> str:
    """Names the package, or the base module, a file belongs to."""
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def own_imports(file: Path) -> set[str]:
    """Names the other packages a file imports."""
    packages = {name.split(".")[1] for name in imports_of(file) if name.startswith("ibkr_tools.")}
    return packages - {package_of(file), "__version__"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file: Path) -> None:
    """A package imports what is below it: never up, never sideways between packages, and nobody imports cli."""
    package = package_of(file)
    if package in {"cli", "__main__"}:
        return
    allowed = {**BASE_IMPORTS, **PACKAGE_IMPORTS}
    assert package in allowed, f"{package} is a new package: say in this test whom it may import"
    assert own_imports(file) <= allowed[package]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_library_is_imported_in_one_place(file: Path) -> None:
    """Each third-party package has one home, so that its errors are translated in one place."""
    path = file.relative_to(PACKAGE).as_posix()
    for name in {module.split(".")[0] for module in imports_of(file)} - {"ibkr_tools"} - sys.stdlib_module_names:
        if name in EVERYWHERE:
            continue
        assert name in ONE_PLACE, f"{path} imports {name}, which this test does not know"
        assert any(path == home or (home.endswith("/") and path.startswith(home)) for home in ONE_PLACE[name]), name


def test_only_the_command_line_starts_the_simulator() -> None:
    """The product never needs the stand-in: only `ibkr-tools simulate` imports it."""
    users = {package_of(file) for file in FILES if "simulator" in own_imports(file)}
    assert users <= {"cli"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_fixed_sleeps_and_one_broad_except(file: Path) -> None:
    """Nothing in the product sleeps a fixed time, and only the entry point catches everything."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and package_of(file) != "simulator":
            assert not (isinstance(node.value, ast.Name) and node.value.id == "time")
        if isinstance(node, ast.ExceptHandler) and package_of(file) != "entrypoint":
            assert node.type is not None
            is_broad = isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
            # Who only takes note and raises it again hides nothing.
            raises = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            assert raises or not is_broad


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_packages_do_not_read_the_environment(file: Path) -> None:
    """Packages take their collaborators as arguments; the environment is read where a program starts."""
    if package_of(file) not in {"watchdog", "fetch", "portal"}:
        return
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"})
        assert not (isinstance(node, ast.Attribute) and node.attr == "exit" and file.name != "__main__.py")
