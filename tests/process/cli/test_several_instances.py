"""`show` and `history` of several instances at once, each read by a process that works for that one alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ibkr_tools.cli.command_table import COMMANDS
from ibkr_tools.fetch import snapshot_store
from tests.support.instance_namespace import InstanceNamespace
from tests.support.layers import no_namespaces
from tests.support.stored_snapshots import DAY, NOON, document

# Root becomes nobody, who may not look into the checkout.
PROGRAM = (
    "import csv, sys, textwrap, unicodedata, typer._click.decorators\n"
    "import ibkr_tools.cli, ibkr_tools.cli.pager, ibkr_tools.fetch.jq_program, ibkr_tools.views.text_table\n"
    "sys.argv[0] = 'ibkr-tools'; ibkr_tools.cli.main()"
)


@pytest.fixture(scope="module")
def instances(tmp_path_factory: pytest.TempPathFactory) -> InstanceNamespace:
    """The instance without a name and `anna`, each with a snapshot of its own; `bob` has saved nothing."""
    if reason := no_namespaces("--mount"):
        pytest.skip(reason)
    found = InstanceNamespace(tmp_path_factory.mktemp("instances"))
    for days, (name, account) in enumerate(((None, "U1234567"), ("anna", "U7654321"))):
        snapshot_store.save(found.add(name, account).snapshots, document(name or "plain"), 30, NOON - days * DAY)
    found.add("bob", "U1111111")
    return found


def run(instances: InstanceNamespace, *words: str) -> "subprocess.CompletedProcess[str]":
    """Runs `ibkr-tools` among the instances."""
    command = instances.command(sys.executable, "-P", "-c", PROGRAM, *words)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


BOTH = ("--instance", "anna", "--instance=default")


def test_a_table_of_both(instances: InstanceNamespace) -> None:
    """In the order in which they were named."""
    done = run(instances, *BOTH, "show", "user")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split()[:2] for line in done.stdout.splitlines()]
    assert rows[2] == ["anna", "anna"]
    assert ["default", "plain"] in rows


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("user", "-f", "csv"), "instance,value\nanna,anna\ndefault,plain\n"),
        (("-f", "ndjson", "user"), '{"instance":"anna","value":"anna"}\n{"instance":"default","value":"plain"}\n'),
        (("--jq", "map_values(.user[0])", "-c"), '{"anna":"anna","default":"plain"}\n'),
        (("-f", "csv", "--jq", "to_entries[] | {key, value: .value.user[0]}"), "key,value\nanna,anna\ndefault,plain\n"),
        (("--jq", ".[].user[]", "-r", "--", "user"), "anna\nplain\n"),
    ],
)
def test_a_result_of_both_for_programs(instances: InstanceNamespace, words: tuple[str, ...], expected: str) -> None:
    done = run(instances, *BOTH, "show", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.replace("\r\n", "\n") == expected


def test_a_document_of_both(instances: InstanceNamespace) -> None:
    """An object by the instances' names, as `status --json --all` prints."""
    documents = json.loads(run(instances, *BOTH, "show", "-c").stdout)
    assert {name: documents[name]["user"] for name in documents} == {"anna": ["anna"], "default": ["plain"]}


def test_one_that_fails_costs_the_others_nothing(instances: InstanceNamespace) -> None:
    """It is told by its name, and its exit code is that of the whole."""
    done = run(instances, "--instance", "bob", *BOTH, "show", "-c")
    assert done.returncode == 75
    assert [bool(value) for value in json.loads(done.stdout).values()] == [False, True, True]
    assert done.stderr.startswith("bob: error: ")
    assert "default:" not in done.stderr


def test_options_of_the_command_reach_each(instances: InstanceNamespace) -> None:
    done = run(instances, *BOTH, "show", "--list", "-f", "csv")
    assert [line.split(",")[1] for line in done.stdout.splitlines()[1:]] == [
        "2026-11-21T12:00:00",
        "2026-11-22T12:00:00",
    ]
    done = run(instances, *BOTH, "show", "--at=2026-11-21", "user", "-f", "csv")
    assert done.returncode == 2
    assert done.stdout == "instance,value\nanna,anna\n"
    assert "default: error: no saved copy of 2026-11-21" in done.stderr
    done = run(instances, *BOTH, "history", "values", "--account", "-x", "--period=ytd")
    assert done.returncode == 75
    assert "anna: error: there is no history" in done.stderr


def test_the_default_one_is_asked_for_by_its_name(instances: InstanceNamespace) -> None:
    assert run(instances, "--instance", "default", "show", "user", "-f", "csv").stdout == "value\nplain\n"
    status = run(instances, "--instance", "default", "status")
    assert "instance" not in status.stdout


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"show", "history"}))
def test_every_other_command_is_about_one(instances: InstanceNamespace, command: str) -> None:
    done = run(instances, *BOTH, command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {command} is about one instance, not about anna and default\n"


def test_what_changes_the_history_is_about_one(instances: InstanceNamespace) -> None:
    done = run(instances, *BOTH, "history", "rebuild")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is about one instance" in done.stderr


def test_one_that_is_not_there_is_named_before_anything_is_read(instances: InstanceNamespace, tmp_path: Path) -> None:
    done = run(instances, *BOTH, "--instance", "carl", "show")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no instance carl on this machine (there: anna, bob)" in done.stderr
    done = run(instances, *BOTH, "--state-dir", str(tmp_path), "show")
    assert done.returncode == 2
    assert "not with several" in done.stderr
