"""The scripts in bin/: whose code they run, and what pip may install."""

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ibkr_tools import supervisor
from ibkr_tools.cli.app_context import create_app_context
from ibkr_tools.gateway.filter_probe import FilterPolicy
from ibkr_tools.gateway.launch_plan import LaunchPlan
from tests.support.checkout import CHECKOUT
from tests.support.syntax_trees import nodes_of

LOCKS = tuple(f"requirements{name}.lock" for name in ("", "-postgres", "-dev", "-build", "-docs"))
HOSTILE = (
    "msgspec",
    "venv",
    "pip",
    "json",
    "os",
    "sitecustomize",
    "usercustomize",
    "ensurepip",
    "ibkr_tools",
    "pytest",
)
TOOLS = (
    *("chromium", "chromedriver", "java", "npm", "systemd-nspawn", "Xvfb", "nft", "ip", "ps", "jq", "curl", "faketime"),
    *("git", "apt-get", "dpkg-buildpackage", "dh", "lintian", "pipx"),
)
VENV_TOOLS = ("ibkr-tools", "pytest", "ruff", "mypy", "shellcheck", "codespell", "uv")

ISOLATED = {"-I", "-P"}


class Checkout:
    """A copy of the scripts whose interpreters write down how they are started, and a folder of hostile modules."""

    def __init__(self, root: Path) -> None:
        self.root = root / "checkout"
        self.hostile = root / "hostile"
        self._log = root / "log"
        self._path = root / "path"
        self.root.mkdir()
        shutil.copytree(CHECKOUT / "bin", self.root / "bin")
        for name in (*LOCKS, "pyproject.toml"):
            shutil.copy2(CHECKOUT / name, self.root)
        for name in TOOLS:
            self._write(self._path / name, r"printf 'bin/test\0'" if name == "git" else "exit 0")
        self._write(self._path / "python3", f'{self._note()}\nexec {sys.executable} "$@"')
        for name in VENV_TOOLS:
            self._write(self.root / ".venv/bin" / name, "exit 0")
        for venv in (".venv", ".venv-docs"):
            self._write(self.root / venv / "bin/python", f"{self._note()}\nexit 0")
        self.hostile.mkdir()
        for name in HOSTILE:
            (self.hostile / f"{name}.py").write_text(f"open({str(self.hostile / 'ran')!r}, 'a').write({name!r})\n")

    def _note(self) -> str:
        # In one go: several are started side by side.
        return f'line=$(printf "%s\\037" "PYTHONPATH=${{PYTHONPATH-}}" "$@"); echo "$line" >>{self._log}'

    def _write(self, path: Path, body: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def write_tool(self, name: str, body: str) -> None:
        """Puts another linter into the virtual environment."""
        self._write(self.root / ".venv/bin" / name, body)

    def bash(self, *command: str) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": f"{self._path}:/usr/bin:/bin",
            "HOME": str(self.hostile),
            "CDPATH": str(self.hostile),
            **dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONPYCACHEPREFIX"), str(self.hostile)),
        }
        (self.hostile / "bin").mkdir(exist_ok=True)
        return subprocess.run(
            command, cwd=self.hostile, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def calls(self) -> list[tuple[str, list[str]]]:
        """Returns each start of an interpreter: its PYTHONPATH, its arguments."""
        lines = [line.split("\037") for line in self._log.read_text().splitlines()]
        return [(line[0].removeprefix("PYTHONPATH="), line[1:-1]) for line in lines]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize(
    "script",
    ["bench --month", "bench", "chaos", "demo", "docs", "lock", "test", "test tests/unit"],
    ids=lambda name: name,
)
def test_no_script_takes_code_from_where_somebody_stands(checkout: Checkout, script: str) -> None:
    """Nor from where the caller's variables lead; what pip installs has a hash, and is built with what has one."""
    name, *arguments = script.split()
    done = checkout.bash("bash", str(checkout.root / "bin" / name), *arguments)
    assert done.returncode == 0, done.stderr
    calls = checkout.calls()
    assert any("install" in arguments for _, arguments in calls)
    for path, arguments in calls:
        if arguments != ["-V"]:
            assert arguments[0] in ISOLATED, arguments
        assert path == ("" if arguments[0] == "-I" or "pytest" in arguments else str(checkout.root)) or arguments == [
            "-V"
        ]
    check_pip([arguments for _, arguments in calls if "pip" in arguments])
    assert not (checkout.hostile / "ran").exists()


@pytest.mark.parametrize(
    ("tests", "distribution"),
    [
        (["tests/unit"], "worksteal"),
        (["-q", "tests/unit/test_files.py", "tests/unit/portal"], "worksteal"),
        (["tests/unit", "tests/process"], "loadfile"),
        (["tests/simulator"], "loadfile"),
    ],
    ids=str,
)
def test_only_unit_tests_of_one_file_may_run_in_several_processes(
    checkout: Checkout, tests: list[str], distribution: str
) -> None:
    """The others share what a file's fixtures started."""
    done = checkout.bash("bash", str(checkout.root / "bin/test"), *tests)
    assert done.returncode == 0, done.stderr
    (call,) = (arguments for _, arguments in checkout.calls() if arguments[1:3] == ["-m", "pytest"])
    assert call[call.index("--dist") + 1] == distribution
    assert call[-len(tests) :] == tests


def test_linters_that_complain_fail_the_whole_run(checkout: Checkout) -> None:
    """At their first complaint; the tests are run all the same, since they have begun by then."""
    checkout.write_tool("ruff", 'echo "ruff $1" >&2; exit 3')
    checkout.write_tool("mypy", "echo mypy >&2")
    done = checkout.bash("bash", str(checkout.root / "bin/test"))
    assert done.returncode == 3
    assert done.stderr.splitlines() == ["ruff check"]
    tested = [arguments[3:] for _, arguments in checkout.calls() if arguments[1:3] == ["-m", "pytest"]]
    # Lanes take them in any order.
    later = [arguments for arguments in tested if arguments[0].startswith("tests/system/")]
    names = {name for arguments in later for name in arguments}
    assert names
    assert all(list(CHECKOUT.glob(name)) for name in names), "patterns name files"
    (beside,) = (arguments[1:] for arguments in tested if arguments[0] == "tests/system")
    assert sorted(beside) == sorted(f"--ignore={name}" for name in names)
    quick = [arguments for arguments in tested if arguments[-1] == "tests/simulator"]
    assert len(quick) == 1
    others = [["tests/browser"], ["tests/gateway"], ["tests/system", *beside]]
    assert sorted(tested) == sorted([*others, *later, *quick])


def check_pip(calls: list[list[str]]) -> None:
    """Checks every command line of pip that installs: hashes for what is fetched, and no tools of pip's own choice."""
    installs = [arguments for arguments in calls if "install" in arguments or "download" in arguments]
    assert installs
    for arguments in installs:
        assert "--no-build-isolation" in arguments, arguments
        assert "--require-hashes" in arguments or {"--no-index", "--no-deps"} <= set(arguments), arguments
    first = next(arguments for arguments in installs)
    assert first[-1].endswith("/requirements-build.lock")


def test_install_and_uninstall_call_pip_through_the_shared_functions_only() -> None:
    """What these do is tested above, and for real on the booted machine."""
    for path in (CHECKOUT / "bin").iterdir():
        code = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
        if path.name != "_common.sh":
            assert not [line for line in code if "-m pip" in line or "pip_in" in line or "bin/pip" in line], path.name
        for line in code:
            if re.search(r"python[0-9.\"}]* .*-[cm] ", line) and "declare" not in line:
                assert re.search(r" -[IP] ", line), f"{path.name}: {line}"
    order = ["install_locked_or_die", "install_checkout", "remove_builders", "isolate_script", "remove_installer"]
    text = (CHECKOUT / "bin/_installed.sh").read_text()
    assert re.findall(rf"^ +({'|'.join(order)})\b", text, re.MULTILINE) == order
    for user in ("install", "_package.sh"):
        assert len(re.findall(r"^ *stage_environment ", (CHECKOUT / "bin" / user).read_text(), re.MULTILINE)) == 1
    assert "requirements{,-build,-postgres}.lock" in (CHECKOUT / "bin/install").read_text()


def test_what_comes_as_source_only_can_be_built() -> None:
    """Whatever builds the packages is in the lock of builders; every line of every lock has a hash."""
    builders = (CHECKOUT / "requirements-build.lock").read_text()
    for name in ("hatchling", "setuptools", "editables"):
        assert re.search(rf"^{name}==", builders, re.MULTILINE)
    for lock in LOCKS:
        blocks = re.split(r"\n(?=[a-z])", (CHECKOUT / lock).read_text())[1:]
        assert len(blocks) > 5
        assert all("--hash=sha256:" in block for block in blocks)
    versions = [
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (CHECKOUT / lock).read_text(), re.MULTILINE)) for lock in LOCKS
    ]
    for one in versions:
        for other in versions:
            assert all(other[name] == version for name, version in one.items() if name in other)


def names_in(lock: str) -> set[str]:
    """Returns what a lock file lists."""
    return set(re.findall(r"^([a-z0-9-]+)==", (CHECKOUT / lock).read_text(), re.MULTILINE))


def test_with_postgres_there_is_what_it_needs_and_nothing_else() -> None:
    """Beside all that is there without."""
    more = names_in("requirements-postgres.lock") - names_in("requirements.lock")
    assert {"psycopg", "psycopg-binary"} <= more <= {"psycopg", "psycopg-binary", "tzdata"}
    assert names_in("requirements.lock") < names_in("requirements-postgres.lock")


@pytest.mark.parametrize(
    ("options", "is_there", "lock"),
    [
        ([], False, "requirements.lock"),
        (["--with-postgres"], False, "requirements-postgres.lock"),
        ([], True, "requirements-postgres.lock"),
        (["--statements-only", "--with-postgres"], False, "requirements-postgres.lock"),
    ],
)
def test_an_upgrade_keeps_postgres(tmp_path: Path, options: list[str], is_there: bool, lock: str) -> None:
    """The lines of the script that choose the lock file, run with another place of the virtual environment."""
    text = (CHECKOUT / "bin/install").read_text()
    arguments = text[text.index("simulator=no\n") : text.index("check_gateway_source\n")]
    choice = text[text.index("lock=requirements.lock\n") : text.index("# Python's version belongs to it:")]
    venv = tmp_path / "venv with space"
    site_packages = venv / "lib/python3.12/site-packages"
    (site_packages / ("psycopg" if is_there else "msgspec")).mkdir(parents=True)
    script = f"set -euo pipefail\nVENV='{venv}'\n{arguments}\n{choice}\necho $lock"
    done = subprocess.run(["bash", "-c", script, "install", *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{lock}\n"), done.stderr


def test_a_builder_that_is_not_the_listed_one_is_refused(tmp_path: Path) -> None:
    """Real pip: another hatchling under the listed name and version is not installed, let alone run."""
    wheels, venv = tmp_path / "wheels", tmp_path / "venv"
    wheels.mkdir()
    lock = (CHECKOUT / "requirements-build.lock").read_text()
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE):
        stem = f"{name.replace('-', '_')}-{version}"
        with zipfile.ZipFile(wheels / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{stem}.dist-info/RECORD", "")
    script = f"""
        set -euo pipefail
        source {CHECKOUT}/bin/_common.sh
        make_venv {sys.executable} {venv}
        install_locked {venv} requirements.lock --no-index --find-links {wheels}
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not list(venv.glob("lib/*/site-packages/hatchling*"))


@pytest.mark.parametrize("options", ["--index-url http://127.0.0.1:9/ --retries 0", "--no-index --find-links ."])
def test_packages_that_cannot_be_had_are_one_line(tmp_path: Path, options: str) -> None:
    """Real pip without a network, or with a folder that has none of them: 69, what it was, and what to do."""
    script = f"""
        set -euo pipefail
        source {CHECKOUT}/bin/_common.sh
        make_venv {sys.executable} {tmp_path}/venv
        install_locked_or_die {tmp_path}/venv requirements.lock {options}
        echo went on
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (69, "")
    error, hint = done.stderr.splitlines()
    first = re.search(r"^[a-z0-9-]+==\S+", (CHECKOUT / "requirements-build.lock").read_text(), re.MULTILINE)
    assert first is not None
    assert error.startswith(f"error: pip gets no packages ({first[0]} was the first)")
    assert "--wheels DIR" in hint


def test_a_console_script_becomes_isolated(tmp_path: Path) -> None:
    """And whatever pip may write one day is not taken for it."""
    script = tmp_path / "ibkr-tools"
    for first, code in (("#!/opt/venv/bin/python3.11", 0), ("#!/opt/venv/bin/python -I", 0), ("#!/bin/sh", 70)):
        script.write_text(f"{first}\nprint('#!/x/python')\n")
        done = subprocess.run(
            ["bash", "-c", f"source {CHECKOUT}/bin/_common.sh; isolate_script {script}"],
            check=False,
            capture_output=True,
        )
        assert done.returncode == code
        if code == 0:
            assert script.read_text() == f"{first.removesuffix(' -I')} -I\nprint('#!/x/python')\n"


def test_our_own_children_are_isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watchdog, gateway and the programs of `up` start like the units do."""
    app_context = create_app_context(tmp_path / "c", tmp_path / "r", tmp_path / "s")
    all_programs = supervisor.programs(app_context.options(), app_context.directories, verbose=True)
    commands = [list(one.command) for one in (*all_programs, *supervisor.with_simulator(all_programs, [], []))]
    monkeypatch.setattr(os, "execv", lambda _, command: commands.append(command))
    app_context.exec_module("ibkr_tools.watchdog")
    plan = LaunchPlan(
        command=("java",),
        directories=app_context.directories,
        port=1,
        upstream="u",
        build="b",
        filter_policy=FilterPolicy.PROBED,
    )
    commands.append(plan.parent_command())
    assert len(commands) > 9
    for command in commands:
        assert command[:3] == [sys.executable, "-I", "-m"]


@pytest.mark.parametrize("file", sorted((CHECKOUT / "ibkr_tools").rglob("*.py")), ids=lambda path: path.name)
def test_no_interpreter_is_started_without_isolation(file: Path) -> None:
    """Wherever `sys.executable` is followed by arguments, the first is -I."""
    for node in nodes_of(file) if "sys.executable" in file.read_text() else ():
        if isinstance(node, ast.List | ast.Tuple):
            words = [ast.unparse(word) for word in node.elts]
            if "sys.executable" in words:
                assert words[words.index("sys.executable") + 1] == "'-I'", ast.unparse(node)


@pytest.mark.parametrize("command", ["watchdog", "gateway run", "status"])
def test_no_command_takes_code_from_where_somebody_stands(
    tmp_path: Path, command: str, environment: dict[str, str]
) -> None:
    """The whole way, until it ends for want of a configuration."""
    for name in ("msgspec", "selenium", "json", "requests", "loguru"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n")
    options = ["--config", str(tmp_path / "c.json"), "--runtime-dir", str(tmp_path), "--state-dir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-I", "-m", "ibkr_tools", *options, *command.split()],
        cwd=tmp_path, env=environment | {"PYTHONPATH": str(tmp_path)}, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode in {69, 75, 78}, done.stderr
    assert not (tmp_path / "ran").exists()


def in_mount_namespace(script: str) -> "subprocess.CompletedProcess[str]":
    """Runs a script with /mnt an empty directory of root's, and the functions of bin/uninstall at hand."""
    head = f"""
        set -euo pipefail
        mount -t tmpfs -o mode=0755 tmpfs /mnt
        cd /mnt
        for part in _common _installed _purge; do source {CHECKOUT}/bin/$part.sh; done
    """
    return subprocess.run(
        ["unshare", "--mount", "bash", "-c", head + script], capture_output=True, text=True, check=False, timeout=30
    )


def can_mount() -> bool:
    return os.geteuid() == 0 and in_mount_namespace("true").returncode == 0


needs_mounts = pytest.mark.skipif(
    not can_mount(), reason="needs root and mount(2): a directory that only root may change"
)


@needs_mounts
def test_links_of_root_are_followed_to_what_is_ours() -> None:
    """Everything known is gone, what is not known stays and is named."""
    done = in_mount_namespace("""
        mkdir -p disk/data/{gateway/x,login,snapshots} disk/secret disk/all/login
        touch disk/data/{alert_history.json,mine.txt,gateway/x/y} disk/secret/pw
        ln -s ../disk/data /mnt/disk/again
        ln -s disk/again state; ln -s /mnt/disk/secret/pw password; ln -s /mnt/disk/all all
        purge_directory /mnt/state "${STATE_NAMES[@]}"; purge_file /mnt/password; purge_directory /mnt/all login
        echo --; find /mnt -type f; ls -A /mnt /mnt/disk
    """)
    assert done.returncode == 0, done.stderr
    said, _, rest = done.stdout.partition("--\n")
    assert "left: /mnt/disk/data/mine.txt (not known to be ours)" in said
    assert "removed: /mnt/disk/secret/pw" in said
    assert "removed: /mnt/disk/all" in said
    assert "removed: /mnt/disk/data" not in said
    assert rest.split() == ["/mnt/disk/data/mine.txt", "/mnt:", "disk", "/mnt/disk:", "again", "data", "secret"]


@needs_mounts
@pytest.mark.parametrize(
    "way",
    [
        "ln -s /mnt/theirs/way state",  # a link in a directory of somebody else
        "ln -s /mnt/theirs/real state",  # their directory itself may be exchanged
        "ln -s theirs state2; ln -s state2/way state",  # they are on the way
        "ln -s /mnt/sticky/data state",
    ],
)
def test_a_way_that_others_may_change_is_not_followed(way: str) -> None:
    """The link goes, what it leads to stays, and is named."""
    done = in_mount_namespace(f"""
        mkdir -p theirs/real/login victim/login sticky/data/login
        chown -R 1234 theirs; chmod 1777 sticky
        ln -s /mnt/victim theirs/way
        {way}
        purge_directory /mnt/state login
        find /mnt -name login | sort; [[ ! -L /mnt/state ]]
    """)
    assert done.returncode == 0, done.stderr
    assert "removed" not in done.stdout
    assert "left: " in done.stdout
    assert done.stdout.split()[-3:] == ["/mnt/sticky/data/login", "/mnt/theirs/real/login", "/mnt/victim/login"]


@needs_mounts
def test_links_that_a_service_made_are_not_followed() -> None:
    """Whatever the user ibkr has put into its own directory: the names go, what is elsewhere stays and is named."""
    done = in_mount_namespace("""
        mkdir -p victim/deep state/browser; touch victim/file; ln -s /mnt/victim state/snapshots
        ln -s /mnt/victim/file state/alert_history.json; ln -s /mnt/victim/deep state/browser/profile
        ln -s nowhere state/browser/Lock
        chown -hR 1234 state
        purge_directory /mnt/state "${STATE_NAMES[@]}"
        find /mnt | sort
    """)
    assert done.returncode == 0, done.stderr
    assert "left: /mnt/victim (where the link /mnt/state/snapshots led)" in done.stdout
    assert "left: /mnt/victim/file (where the link /mnt/state/alert_history.json led)" in done.stdout
    assert "nowhere" not in done.stdout
    assert done.stdout.split()[-4:] == ["/mnt", "/mnt/victim", "/mnt/victim/deep", "/mnt/victim/file"]


@needs_mounts
def test_file_systems_of_their_own_are_emptied_and_named() -> None:
    """On a disk of its own the directory stays as the place to mount it; what is mounted deeper is left alone."""
    done = in_mount_namespace("""
        mkdir -p state/snapshots state/gateway/deep; mount -t tmpfs tmpfs state/snapshots
        touch state/snapshots/latest.json
        mount -t tmpfs tmpfs state/gateway/deep; touch state/gateway/deep/foreign
        purge_directory /mnt/state "${STATE_NAMES[@]}"
        find /mnt -type f
    """)
    assert done.returncode == 0, done.stderr
    assert "left: /mnt/state/snapshots (another file system is mounted there)" in done.stdout
    assert "left: /mnt/state/gateway (it cannot be removed, or a file system is mounted below it)" in done.stdout
    assert "removed:" not in done.stdout
    assert done.stdout.split()[-1] == "/mnt/state/gateway/deep/foreign"


def test_a_list_leads_nowhere_else() -> None:
    """A damaged list removes nothing that bin/install could not have put there."""
    script = f"""
        set -euo pipefail
        for part in _common _installed; do source {CHECKOUT}/bin/$part.sh; done
        for path in /usr/local/lib/systemd/system/ibkr-gateway.service /usr/local/lib/systemd/ \\
            /usr/local/bin/ibkr-tools /etc/passwd /usr/local/lib/../../etc/passwd '/usr/local/lib/a b' \\
            /usr/local/bin/other / '' . /usr/local/lib/ /usr/local/lib/./x /usr/local/share/man/man1/other.1 \\
            /usr/local/share/man/man1/ibkr-tools.1 /usr/local/share/man/man1/ /usr/local/share/other/ibkr-tools \\
            /usr/local/share/zsh/site-functions/_ibkr-tools /usr/local/share/man/../ibkr-tools.1; do
            if is_place "$path"; then printf '%s\\n' "$path"; fi
        done
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "/usr/local/lib/systemd/system/ibkr-gateway.service", "/usr/local/lib/systemd/", "/usr/local/bin/ibkr-tools",
        "/usr/local/share/man/man1/ibkr-tools.1", "/usr/local/share/man/man1/",
        "/usr/local/share/zsh/site-functions/_ibkr-tools",
    ]  # fmt: skip


def test_no_list_is_searched_by_who_leaves_before_its_end() -> None:
    """A long one, again and again: what is in it is found each time. No script with pipefail pipes into `grep -q`."""
    script = f"""
        set -euo pipefail
        source {CHECKOUT}/bin/_common.sh
        source {CHECKOUT}/bin/_installed.sh
        mapfile -t lines < <(printf '/usr/local/lib/systemd/system/unit-%s.service\n' {{1..300}})
        for _ in {{1..20}}; do
            is_among "${{lines[0]}}" "${{lines[@]}}"
            is_above /usr/local/lib/systemd/ "${{lines[@]}}"
        done
        if is_among /usr/local "${{lines[@]}}" || is_above /opt/ "${{lines[@]}}" || is_among x; then exit 9; fi
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    for path in (CHECKOUT / "bin").iterdir():
        code = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
        assert not [line for line in code if re.search(r"\| *grep -[a-zA-Z]*q", line)], path.name


def test_every_file_says_whose_it_is() -> None:
    """That is how an installation without a list, and a file of somebody else, are told apart."""
    script = f"""
        for part in _common _installed; do source {CHECKOUT}/bin/$part.sh; done
        shipped_files 999 | while IFS=$'\\t' read -r source target; do
            is_place "$target" || echo "no place: $target"
            if is_foreign "$source"; then echo "foreign: $source"; fi
            echo "$target"
        done
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert not [line for line in lines if not line.startswith("/usr/local/lib/")]
    names = {Path(line).name for line in lines}
    shipped = {path.name for path in (CHECKOUT / "systemd").rglob("*") if path.is_file()}
    assert names == shipped


def test_every_page_says_whose_it_is_and_has_a_place(tmp_path: Path) -> None:
    """Man pages and completion scripts: so they can be removed, with the list and without it."""
    subprocess.run(
        [sys.executable, "-P", "-m", "ibkr_tools.cli.pages", str(tmp_path / "pages")], capture_output=True, check=True
    )
    script = f"""
        cd {CHECKOUT}/bin
        for part in _common _installed; do source $part.sh; done
        shipped_pages {tmp_path} | while IFS=$'\\t' read -r source target; do
            is_place "$target" || echo "no place: $target"
            if is_foreign "$source"; then echo "foreign: $source"; fi
            echo "$target"
        done
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) > 40
    assert not [line for line in lines if not line.startswith("/usr/local/share/")]
