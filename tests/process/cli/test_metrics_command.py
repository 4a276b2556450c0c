"""`ibkr-tools metrics`, read by Prometheus' own programs."""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.error import URLError

import pytest

from ibkr_tools.login.outcomes import AttemptResult
from ibkr_tools.portal.endpoints import ENDPOINTS
from ibkr_tools.portal.rate_limiter import SharedRateLimiter, read_request_counts
from ibkr_tools.status import GatewaySection, SessionSection, SessionState, utc_now
from tests.support.checkout import CHECKOUT
from tests.support.installation import Installation
from tests.support.jar import free_port
from tests.support.patience import wait_until
from tests.support.snapshots import save_simulated

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("prometheus-node-exporter")),
    reason="needs promtool and prometheus-node-exporter",
)
PAGE = (CHECKOUT / "docs/metrics.md").read_text()


@pytest.fixture
def place(tmp_path: Path, environment: dict[str, str]) -> Installation:
    """A user with a session, logins and a snapshot, whose metrics go to a directory of their own."""
    installation = Installation(tmp_path / "place", environment)
    (tmp_path / "metrics").mkdir()
    installation.configure(
        5000, metrics={"textfile": str(tmp_path / "metrics/ibkr-tools.prom"), "figures": "positions"}
    )
    installation.record_logins(AttemptResult.SUCCEEDED, AttemptResult.FAILED)
    now = utc_now()
    installation.status.write(
        GatewaySection(
            updated_at=now,
            fresh_for_s=3600,
            pid=os.getpid(),
            state="up",
            since=now,
            port=5000,
            upstream="https://api.ibkr.com",
            filtered=True,
        )
    )
    installation.status.write(
        SessionSection(updated_at=now, fresh_for_s=3600, state=SessionState.UP, since=now, why="x", losses=1)
    )
    save_simulated(installation.directories.snapshots, now - timedelta(minutes=5))
    return installation


@contextmanager
def node_exporter(directory: Path) -> Iterator[str]:
    """Runs it for this directory alone; gives the URL of its metrics."""
    port = free_port()
    options = [
        *("--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={directory}"),
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with subprocess.Popen(
        ["prometheus-node-exporter", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as program:
        try:
            yield f"http://127.0.0.1:{port}/metrics"
        finally:
            program.terminate()


def scraped(url: str) -> str:
    """Returns what is served, as soon as it is."""
    answers: list[str] = []

    def is_answered() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answers.append(answer.read().decode())
        except URLError:
            return False
        return True

    wait_until(is_answered)
    return answers[-1]


@needs_prometheus
def test_promtool_finds_nothing_wrong(place: Installation) -> None:
    printed = place.run("metrics")
    assert printed.returncode == 0, printed.stderr
    assert "ibkr_position_value{" in printed.stdout
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=printed.stdout, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@needs_prometheus
def test_node_exporter_serves_the_file(place: Installation, tmp_path: Path) -> None:
    """Through the link that docs/metrics.md tells to make, and again when it was written anew."""
    (tmp_path / "collector").mkdir()
    (tmp_path / "collector/ibkr-tools.prom").symlink_to(tmp_path / "metrics/ibkr-tools.prom")
    with node_exporter(tmp_path / "collector") as url:
        assert "node_textfile_scrape_error 1" in scraped(url)
        assert place.run("metrics", "--write").returncode == 0
        text = scraped(url)
        assert "node_textfile_scrape_error 0" in text
        assert 'ibkr_session_state{state="up"} 1' in text
        assert 'ibkr_logins_last_day{result="failed"} 1' in text
        assert re.search(r"^node_textfile_mtime_seconds\{file=.*ibkr-tools\.prom", text, re.MULTILINE)
        place.status.write(
            SessionSection(updated_at=utc_now(), fresh_for_s=3600, state=SessionState.LOST, since=utc_now(), why="x")
        )
        assert place.run("metrics", "--write").returncode == 0
        assert "ibkr_session_up 0" in scraped(url)


@needs_prometheus
def test_the_alert_rules_fire(tmp_path: Path) -> None:
    """Those of docs/metrics.md: each on its own trouble, none on a healthy machine."""
    (rules,) = re.findall(r"```yaml\n(groups:.*?)```", PAGE, re.DOTALL)
    (tmp_path / "rules.yml").write_text(rules)
    checked = subprocess.run(
        ["promtool", "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    healthy = {
        'node_textfile_mtime_seconds{file="ibkr-tools.prom"}': "0+60x120",
        "ibkr_session_up": "1x120",
        "ibkr_session_paused": "0x120",
        "ibkr_person_needed": "0x120",
        "ibkr_gateway_filtered": "1x120",
        "ibkr_snapshot_timestamp_seconds": "0x120",
        "ibkr_rate_limited_total": "3x120",
        "ibkr_flex_token_expires_timestamp_seconds": "1000000x120",
    }
    troubles = {
        "IbkrMetricsOld": {'node_textfile_mtime_seconds{file="ibkr-tools.prom"}': "0x120"},
        "IbkrSessionDown": {"ibkr_session_up": "0x120"},
        "IbkrPersonNeeded": {"ibkr_person_needed": "1x120"},
        "IbkrGatewayExposed": {"ibkr_gateway_filtered": "0x120"},
        "IbkrSnapshotOld": {"ibkr_snapshot_timestamp_seconds": "-100000x120"},
        "IbkrRateLimited": {"ibkr_rate_limited_total": "3x60 4x60"},
        "IbkrFlexTokenExpires": {"ibkr_flex_token_expires_timestamp_seconds": "500000x120"},
    }
    names = re.findall(r"alert: (\w+)", rules)
    assert set(names) == set(troubles)
    cases = []
    for trouble, changed in {"": {}, **troubles}.items():
        series = [{"series": name, "values": values} for name, values in (healthy | changed).items()]
        alerts = [
            {"eval_time": "90m", "alertname": name, "exp_alerts": [{}] if name == trouble else []} for name in names
        ]
        cases.append({"interval": "1m", "input_series": series, "alert_rule_test": alerts})
    for case in cases:
        for alert in case["alert_rule_test"]:
            assert isinstance(alert, dict)
            if alert["exp_alerts"]:
                (summary,) = re.findall(rf"alert: {alert['alertname']}\n.*?summary: (.*?)\n", rules, re.DOTALL)
                labels = {"file": "ibkr-tools.prom"} if alert["alertname"] == "IbkrMetricsOld" else {}
                alert["exp_alerts"] = [{"exp_labels": labels, "exp_annotations": {"summary": summary}}]
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": cases}
    # JSON is YAML.
    (tmp_path / "tests.yml").write_text(json.dumps(tests))
    done = subprocess.run(
        ["promtool", "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def recipe(name: str) -> str:
    """Returns a recipe of docs/metrics.md."""
    return PAGE.split(f"\n### {name}\n")[1].split("\n### ")[0]


@needs_prometheus
def test_every_query_of_the_dashboard_has_a_value(place: Installation, tmp_path: Path) -> None:
    """Of the samples that are written here, where counters count."""
    SharedRateLimiter(place.directories.pacing_file).record_429()
    now = utc_now()
    place.status.write(
        SessionSection(
            updated_at=now, fresh_for_s=3600, state=SessionState.UP, since=now, why="x", losses=1, recoveries=1
        )
    )
    samples = re.findall(r"^(ibkr_\S+?(?:\{.*\})?) (\S+)$", place.run("metrics").stdout, re.MULTILINE)
    queries = re.findall(r"\| `(.+)` \|$", recipe("Grafana"), re.MULTILINE)
    assert len(queries) > 5
    case = {
        "interval": "1m",
        "input_series": [
            {"series": name, "values": "0+1x60" if name.endswith("_total") else f"{float(value)}x60"}
            for name, value in samples
        ],
        "promql_expr_test": [
            {
                "expr": f"count({query}) > bool 0",
                "eval_time": "50m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
            for query in queries
        ],
    }
    (tmp_path / "tests.yml").write_text(json.dumps({"rule_files": [], "evaluation_interval": "1m", "tests": [case]}))
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "tests.yml"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@needs_prometheus
def test_home_assistant_finds_its_values_in_what_node_exporter_serves(place: Installation, tmp_path: Path) -> None:
    assert place.run("metrics", "--write").returncode == 0
    patterns = re.findall(r"regex_findall(?:_index)?\('(.*?)'\)", recipe("Home Assistant"))
    with node_exporter(tmp_path / "metrics") as url:
        text = scraped(url)
    session, value = (re.findall(pattern, text) for pattern in patterns)
    assert session == ["1"]
    assert float(value[0]) > 0


def test_who_may_read_the_file_depends_on_what_is_in_it(place: Installation, tmp_path: Path) -> None:
    file = tmp_path / "metrics/ibkr-tools.prom"
    assert place.run("metrics", "--write").returncode == 0
    assert file.stat().st_mode & 0o777 == 0o640
    place.configure(5000, metrics={"textfile": str(file)})
    assert place.run("metrics", "--write").returncode == 0
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(file.parent.iterdir()) == [file]
    assert "U1234567" not in file.read_text()
    assert file.read_text().endswith("\n")


def test_without_a_file_there_is_nothing_to_write(place: Installation) -> None:
    place.configure(5000)
    done = place.run("metrics", "--write")
    assert done.returncode == 78
    assert "metrics.textfile" in done.stderr
    assert place.run("metrics").returncode == 0


def test_a_directory_that_is_missing_is_named(place: Installation, tmp_path: Path) -> None:
    place.configure(5000, metrics={"textfile": str(tmp_path / "nowhere/x.prom")})
    done = place.run("metrics", "--write")
    assert done.returncode == 73
    assert f"Make the directory {tmp_path}/nowhere" in done.stderr


@pytest.mark.parametrize("name", ["x.prom", "~/x.prom", "/tmp/x.txt", "/tmp/.prom/", "/tmp/x.prom\n", "/a\0.prom"])
def test_a_name_that_node_exporter_would_not_read_is_refused(place: Installation, name: str) -> None:
    place.configure(5000, metrics={"textfile": name})
    done = place.run("metrics")
    assert done.returncode == 78
    assert "an absolute path that ends in .prom" in done.stderr


def test_requests_are_counted_over_processes_and_429s_too(tmp_path: Path) -> None:
    units, members = tmp_path / "run/pacing.json", tmp_path / "shared/pacing.json"
    tickle = next(endpoint for endpoint in ENDPOINTS if endpoint.name == "tickle")
    limiter = SharedRateLimiter(units)
    for _ in range(2):
        limiter.acquire(tickle, 10)
    limiter.release(limiter.acquire(tickle, 10))
    SharedRateLimiter(members).acquire(tickle, 10)
    SharedRateLimiter(units).record_429()
    counts = read_request_counts(units, members, tmp_path / "missing")
    assert (counts.sent, counts.limited) == (3, 1)
    units.write_text('{"sent": "many"}')
    members.write_text(members.read_text().replace('"boot_id":"', '"boot_id":"another'))
    assert read_request_counts(units, members).sent == 0
