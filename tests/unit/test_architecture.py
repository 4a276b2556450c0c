"""Which part of the package imports which, and which library is imported where. Lists are compared by equality."""

import ast
import re
import sys
from collections.abc import Callable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from tests.support.checkout import CHECKOUT
from tests.support.syntax_trees import nodes_of

PACKAGE = CHECKOUT / "ibkr_tools"
FILES = sorted(PACKAGE.rglob("*.py"))

BASE = {
    "account_ids": {"errors", "terminal_escape"},
    "alert_outbox": {"files", "status"},
    "boot_id": set[str](),
    "child_process": {"event_loop"},
    "control_group": set[str](),
    "deadline_adapter": {"deadline_socket"},
    "deadline_socket": set[str](),
    "directories": {"errors", "instance"},
    "duration_format": set[str](),
    "entrypoint": {"errors", "instance", "log", "terminal_escape"},
    "errors": {"installation"},
    "event_loop": {"file_watcher"},
    "executables": set[str](),
    "file_watcher": {"files"},
    "fetch_answer": {"files"},
    "files": {"polling"},
    "instance": {"errors"},
    "log": {"installation", "instance", "terminal_escape"},
    "login_request": {"files"},
    "journal_access": {"errors"},
    "number_format": {"terminal_escape"},
    "installation": set[str](),
    "page_elements": set[str](),
    "pause_file": {"files", "status"},
    "pause_request": {"shared_request", "status"},
    "polling": set[str](),
    "privileges": {"directories", "errors", "installation", "instance"},
    "process_control": set[str](),
    "retry_after": set[str](),
    "schema_number": set[str](),
    "sd_notify": {"account_ids"},
    "secret_text": set[str](),
    "service_result": set[str](),
    "services": {"directories"},
    "session_hint": {"files"},
    "shared_request": {"files"},
    "simulator_ports": set[str](),
    "status": {"errors", "file_watcher", "files"},
    "terminal_escape": set[str](),
    "user_command": {"child_process", "event_loop", "terminal_escape"},
}
"""What a module that stands by itself imports of the others."""

PACKAGES = {
    "config": {
        "account_ids",
        "errors",
        "executables",
        "files",
        "instance",
        "page_elements",
        "portal",
        "secret_text",
        "terminal_escape",
    },
    "portal": {
        "boot_id",
        "deadline_adapter",
        "deadline_socket",
        "duration_format",
        "errors",
        "files",
        "installation",
        "retry_after",
        "terminal_escape",
    },
    "gateway": {
        "child_process",
        "config",
        "deadline_adapter",
        "directories",
        "entrypoint",
        "errors",
        "event_loop",
        "executables",
        "files",
        "installation",
        "instance",
        "log",
        "polling",
        "privileges",
        "process_control",
        "sd_notify",
        "simulator_ports",
        "status",
        "user_command",
    },
    "watchdog": {
        "alert_outbox",
        "config",
        "directories",
        "entrypoint",
        "errors",
        "file_watcher",
        "files",
        "log",
        "login_request",
        "pause_file",
        "pause_request",
        "portal",
        "privileges",
        "sd_notify",
        "session_hint",
        "shared_request",
        "status",
    },
    "login": {
        "alert_outbox",
        "boot_id",
        "config",
        "control_group",
        "directories",
        "entrypoint",
        "errors",
        "executables",
        "files",
        "installation",
        "log",
        "login_request",
        "page_elements",
        "pause_file",
        "polling",
        "portal",
        "process_control",
        "retry_after",
        "schema_number",
        "sd_notify",
        "secret_text",
        "service_result",
        "status",
        "user_command",
    },
    "fetch": {
        "alert_outbox",
        "config",
        "directories",
        "duration_format",
        "errors",
        "files",
        "installation",
        "number_format",
        "portal",
        "privileges",
        "session_hint",
        "status",
        "terminal_escape",
    },
    "alerts": {
        "alert_outbox",
        "config",
        "directories",
        "entrypoint",
        "errors",
        "event_loop",
        "executables",
        "files",
        "instance",
        "log",
        "sd_notify",
        "service_result",
        "status",
        "terminal_escape",
        "user_command",
    },
    "flex": {
        "account_ids",
        "alert_outbox",
        "boot_id",
        "config",
        "deadline_adapter",
        "duration_format",
        "errors",
        "files",
        "installation",
        "number_format",
        "portal",
        "retry_after",
        "schema_number",
        "status",
    },
    "doctor": {
        "alert_outbox",
        "config",
        "directories",
        "duration_format",
        "errors",
        "files",
        "flex",
        "gateway",
        "installation",
        "instance",
        "login",
        "number_format",
        "privileges",
        "status",
        "terminal_escape",
        "user_command",
    },
    "history": {"account_ids", "config", "errors", "fetch", "files", "flex", "installation", "number_format"},
    "setup": {
        "account_ids",
        "config",
        "errors",
        "executables",
        "files",
        "installation",
        "instance",
        "login",
        "privileges",
        "secret_text",
        "simulator_ports",
    },
    "supervisor": {
        "child_process",
        "control_group",
        "directories",
        "errors",
        "event_loop",
        "files",
        "login",
        "process_control",
        "service_result",
        "services",
        "status",
    },
    "state_files": {
        "alert_outbox",
        "directories",
        "errors",
        "fetch",
        "files",
        "flex",
        "gateway",
        "history",
        "login",
        "pause_file",
        "portal",
        "schema_number",
    },
    "simulator": {"entrypoint", "errors", "file_watcher", "portal", "simulator_ports", "status"},
    "views": {"errors", "fetch", "history", "number_format"},
    "metrics": {"config", "directories", "errors", "fetch", "files", "instance", "login", "portal", "status"},
    "python_api": {"account_ids", "config", "directories", "errors", "fetch", "portal", "privileges", "status"},
    "history_api": {"config", "directories", "errors", "history"},
    "__init__": {"errors", "fetch", "history_api", "python_api"},
    "cli": {
        "__init__",
        "account_ids",
        "alerts",
        "config",
        "directories",
        "doctor",
        "entrypoint",
        "errors",
        "event_loop",
        "fetch",
        "fetch_answer",
        "files",
        "flex",
        "gateway",
        "history",
        "installation",
        "instance",
        "journal_access",
        "log",
        "login",
        "metrics",
        "number_format",
        "pause_file",
        "pause_request",
        "polling",
        "portal",
        "privileges",
        "sd_notify",
        "secret_text",
        "setup",
        "shared_request",
        "simulator",
        "simulator_ports",
        "status",
        "supervisor",
        "terminal_escape",
        "views",
    },
    "__main__": {"cli"},
}
"""What a package, or a module above the packages, imports of the others."""

ENDPOINTS = "portal.endpoints"
"""The list of endpoints: a layer of its own below the configuration, which names endpoints, though in `portal`."""

LAYERS = (
    {ENDPOINTS},
    {"config"},
    {"gateway", "portal"},
    {"watchdog", "login", "fetch", "flex", "alerts"},
    {"history"},
    {"views", "metrics"},
    {"setup"},
    {"doctor", "supervisor", "simulator", "state_files"},
    {"python_api", "history_api"},
    {"__init__"},
    {"cli"},
    {"__main__"},
)
"""The layers above the modules of BASE, from bottom to top."""

LIBRARIES = {
    # requests and selenium both let some of urllib3's errors through.
    "urllib3": {
        "login/browser.py",
        "login/driver_errors.py",
        "portal/client.py",
        "deadline_adapter.py",
        "flex/flex_service.py",
    },
    "requests": {"gateway/distribution_download.py", "portal/client.py", "deadline_adapter.py", "flex/flex_service.py"},
    "aiohttp": {"simulator/"},
    "cryptography": {"gateway/tls.py", "simulator/"},
    "defusedxml": {"flex/statement_xml.py", "flex/flex_answers.py"},
    "holidays": {"flex/business_days.py"},
    "inotify_simple": {"file_watcher.py"},
    "jq": {"fetch/jq_program.py"},
    "pyotp": {"login/totp_secret.py"},
    "pandas": {"history_api.py"},
    "prometheus_client": {"metrics/"},
    "plotext": {"views/value_plot.py"},
    "pyxirr": {"history/returns.py"},
    "rich": {"cli/help_command.py", "cli/progress.py"},
    "sdnotify": {"sd_notify.py"},
    "sqlalchemy": {"history/"},
    "selenium": {"login/browser.py", "login/driver_errors.py"},
    "tenacity": {"fetch/retry.py"},
    "typer": {"cli/"},
    "websocket": {"portal/push_listener.py"},
}
"""Third-party packages and the files, or packages with a slash, that import them and translate their errors."""

EVERYWHERE = {"msgspec", "loguru"}

SLEEPS = {"polling.py"}
"""Files that sleep; not counted is the simulator, which plays a slow server."""

_SLEEPS_AS_TEXT = re.compile(
    # An event that nobody else can set, and a select of no descriptor: sleeps by another name.
    r"time\.sleep|(threading\.)?Event\(\)\.wait|select\.select\((\(\)|\[\]), (\(\)|\[\]), (\(\)|\[\]), .*\)"
)

CATCHES_EVERYTHING = {"entrypoint.py"}
"""Files with a broad `except` that does not raise again."""


@cache
def name_of(file: Path) -> str:
    """Returns a file's path below the package, as the lists here have it."""
    return file.relative_to(PACKAGE).as_posix()


@cache
def part_of(file: Path) -> str:
    """Names the package, or the module that stands by itself, a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_of(file: Path) -> str:
    """Returns the dotted name of a file's module."""
    return ".".join(file.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(file): file for file in FILES}


@cache
def imports_of(file: Path) -> frozenset[str]:
    """Returns every module a file imports, in functions too; imports are absolute here."""
    found = set()
    for node in nodes_of(file):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            whole = [f"{node.module}.{name.name}" for name in node.names]
            # `from ibkr_tools import files` names a module, `from ibkr_tools.files import x` does not.
            found |= {name if name in MODULES else node.module or "" for name in whole}
    return frozenset(found)


def own_imports(file: Path) -> set[str]:
    """Names the other parts a file imports."""
    own = [name.split(".") for name in imports_of(file) if name in MODULES]
    return {parts[1] if len(parts) > 1 else "__init__" for parts in own} - {part_of(file)}


def files_where(is_so: Callable[[Path, ast.AST], bool]) -> set[str]:
    """Returns the files with a node of which `is_so` holds."""
    return {name_of(file) for file in FILES if any(is_so(file, node) for node in nodes_of(file))}


def test_a_part_imports_what_the_plan_says() -> None:
    """The plan has nothing that nobody needs; a new part is entered there."""
    found: dict[str, set[str]] = {}
    for file in FILES:
        found.setdefault(part_of(file), set()).update(own_imports(file))
    assert found == {**BASE, **PACKAGES}


def layer_of(module: str) -> int:
    """Returns the layer of a module, 0 for those of BASE."""
    parts = module.split(".")[1:] or ["__init__"]
    part = ENDPOINTS if ".".join(parts[:2]) == ENDPOINTS else parts[0]
    return 0 if part in BASE else next(number for number, layer in enumerate(LAYERS, 1) if part in layer)


def test_imports_point_down() -> None:
    """A package imports what is in a layer below it, and nothing beside it; base modules import one another."""
    upward = set()
    for name, file in MODULES.items():
        for other in imports_of(file) & MODULES.keys():
            is_same_package = other.split(".")[1:2] == name.split(".")[1:2]
            is_beside = layer_of(other) == layer_of(name) and not (is_same_package or layer_of(name) == 0)
            if is_beside or layer_of(other) > layer_of(name):
                upward.add((name, other))
    assert upward == set()


def test_the_table_of_layers_is_this_one() -> None:
    """In CONTRIBUTING.md, from top to bottom."""
    table = (CHECKOUT / "CONTRIBUTING.md").read_text().split("## How the packages are layered")[1].split("\n## ")[0]
    rows = re.findall(r"^\| [^`|]+ \| ([^|]+) \|", table, re.MULTILINE)
    shown = [set(re.findall(r"`([\w.]+)`", row)) for row in rows]
    layers = [layer for layer in reversed(LAYERS) if layer not in ({"__init__"}, {"__main__"})]
    assert [layer for layer in shown if layer] == layers


def test_the_plan_has_an_order() -> None:
    """In which everything imports only what comes before it."""
    plan = {**BASE, **PACKAGES}
    order = list(TopologicalSorter(plan).static_order())
    assert set(order) == set(plan)


def test_modules_form_no_circles() -> None:
    """Within a package too, and not for types either."""
    graph = {name: {other for other in imports_of(file) if other in MODULES} for name, file in MODULES.items()}
    assert list(TopologicalSorter(graph).static_order())


def test_a_library_is_imported_in_one_place() -> None:
    """Where its errors are translated; no entry of the list is left over."""
    found: dict[str, set[str]] = {}
    for file in FILES:
        path = name_of(file)
        for name in {module.split(".")[0] for module in imports_of(file)} - {"ibkr_tools"} - sys.stdlib_module_names:
            place = f"{part_of(file)}/" if f"{part_of(file)}/" in LIBRARIES.get(name, ()) else path
            found.setdefault(name, set()).add(place)
    assert {name: places for name, places in found.items() if name not in EVERYWHERE} == LIBRARIES
    assert found.keys() >= EVERYWHERE


def test_only_the_command_line_starts_the_simulator() -> None:
    """The product never needs the stand-in: only `ibkr-tools simulate` imports it."""
    assert {part for part, imported in {**BASE, **PACKAGES}.items() if "simulator" in imported} == {"cli"}


def test_only_the_watchdog_makes_a_client_that_controls_the_session() -> None:
    """What the others make refuses: tests/process/portal/test_allow_list.py."""

    def owns(_: Path, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and any(keyword.arg == "owns_session" for keyword in node.keywords)

    assert files_where(owns) == {"watchdog/__main__.py"}


def test_nothing_sleeps_a_fixed_time() -> None:
    """Waits are for conditions."""

    def sleeps(file: Path, node: ast.AST) -> bool:
        if not isinstance(node, (ast.Attribute, ast.Call)) or part_of(file) == "simulator":
            return False
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node.func, "attr", "")
        return name in {"sleep", "wait", "select"} and _SLEEPS_AS_TEXT.fullmatch(ast.unparse(node)) is not None

    assert files_where(sleeps) == SLEEPS


def test_only_the_guard_catches_everything() -> None:
    """Who only takes note and raises it again hides nothing."""

    def hides(_: Path, node: ast.AST) -> bool:
        if not isinstance(node, ast.ExceptHandler):
            return False
        is_broad = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
        return is_broad and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)

    assert files_where(hides) == CATCHES_EVERYTHING


def test_watchdog_fetch_and_portal_do_not_read_the_environment() -> None:
    """They take their collaborators as arguments; the environment is read, and an exit made, where a program starts."""

    def reads(file: Path, node: ast.AST) -> bool:
        if not isinstance(node, ast.Attribute) or part_of(file) not in {"watchdog", "fetch", "portal"}:
            return False
        return node.attr in {"environ", "getenv"} or (node.attr == "exit" and file.name != "__main__.py")

    assert files_where(reads) == set()
