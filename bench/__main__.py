"""`python -m bench`: takes every measurement in one run, prints one table, writes the same as JSON."""

import argparse
import contextlib
import json
import math
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from bench import commands, facts, fetching, history, ibeam, loss, readme, start
from bench.figures import Figure, Ratio, Report, Unit, month_figures
from bench.processes import BenchError, Memory, end_orphans, memory
from bench.rows import BROKERAGE, JAVA_KILLED, PORTFOLIO, PUSHED, SILENT, Row
from bench.stage import POSITIONS, TRADER, Servers, Stage, simulated_servers
from ibkr_tools.process_control import become_subreaper
from tests.support.peers import IBEAM, peer_name

IDLE_S = 60.0
RESULTS = Path(__file__).with_name("results.json")
MONTH = Path(__file__).with_name("month.json")
HISTORY = Path(__file__).with_name("history.json")


def say(text: str) -> None:
    """Shows progress, apart from the table."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def _add(
    report: Report, name: str, unit: Unit, samples: tuple[float, ...] | list[float], target: float | None = None
) -> Figure:
    figure = Figure(name=name, unit=unit, samples=tuple(samples), target=target)
    report.figures.append(figure)
    return figure


def _add_waited(report: Report, name: str, waited: list[ibeam.Waited]) -> Figure:
    figure = Figure(
        name=name,
        unit="s",
        samples=tuple(one.seconds for one in waited),
        capped=sum(one.capped for one in waited),
    )
    report.figures.append(figure)
    return figure


def measure_cold_starts(report: Report, stage: Stage, rounds: int) -> None:
    """Starts everything from nothing, `rounds` times for the positions and as often for the whole snapshot."""
    say("first start ever: no browser profile yet")
    first = start.cold_start(stage, "positions")
    positions, whole = [], []
    for number in range(rounds):
        say(f"cold starts {number + 1}/{rounds}")
        positions.append(start.cold_start(stage, "positions"))
        whole.append(start.cold_start(stage))
    _add(report, "cold start: session", "s", [one.session_s for one in (*positions, *whole)])
    _add(report, "cold start: first positions", "s", [one.snapshot_s for one in positions], 4)
    _add(report, "cold start: first whole snapshot", "s", [one.snapshot_s for one in whole], 4)
    _add(report, "first start ever: first positions", "s", [first.snapshot_s])
    after = f"after {start.REQUESTS} requests"
    _add_memory(report, "JVM", after, [one.memory["Java"] for one in (*positions, *whole)], 120)
    report.timeline = sorted(positions, key=lambda one: one.snapshot_s)[len(positions) // 2].timeline


def _add_memory(report: Report, name: str, when: str, read: list[Memory], target: float | None) -> None:
    _add(report, f"{name}, {when}: resident", "MB", [one.rss for one in read], target)
    _add(report, f"{name}, {when}: PSS", "MB", [one.pss for one in read])


def measure_commands(report: Report, stage: Stage, rounds: int) -> None:
    """Runs the commands of every day, each by turns with what it is compared to."""
    say("commands")
    quick = commands.quick(stage, 4 * rounds)
    status = _add(report, "ibkr-tools status", "ms", quick.status, 80)
    show = _add(report, "ibkr-tools show positions", "ms", quick.show, 120)
    libraries = _add(report, f"import {commands.LIBRARIES}", "ms", quick.libraries)
    _add(report, "python -c pass", "ms", quick.python)
    for name, figure, at_most in (("status", status, 1.25), ("show", show, 1.75)):
        # What a slow machine does to both of them.
        ratio = Ratio(name=f"{name} / its libraries alone", numerator=figure, denominator=libraries)
        report.ratios.append(replace(ratio, at_most=at_most))
    _measure_turns(report, stage, POSITIONS, 3 * rounds, ibind_at_most=0.8, curl_at_most=2.5)


def _measure_turns(
    report: Report,
    stage: Stage,
    positions: int,
    rounds: int,
    *,
    ibind_at_most: float | None = None,
    curl_at_most: float | None = None,
) -> Figure:
    say(f"{positions} positions: fetch, ibind, curl and jq, by turns")
    turns = fetching.by_turns(stage, positions, rounds)
    ours = _add(report, f"fetch --jq of {positions} positions", "s", turns.ours)
    for name, theirs, at_most in (
        ("ibind 0.2.2", turns.ibind, ibind_at_most),
        ("curl and jq", turns.curl, curl_at_most),
    ):
        figure = _add(report, f"the same {positions} with {name}", "s", theirs)
        ratio = Ratio(name=f"fetch / {name}, {positions} positions", numerator=ours, denominator=figure)
        report.ratios.append(replace(ratio, at_most=at_most))
    return ours


def measure_fetching(report: Report, base: Path, rounds: int) -> None:
    """Fetches what is too large for one second of IBKR's limits: many positions, many accounts, several at once."""
    many = fetching.MANY_POSITIONS
    with simulated_servers(positions=many) as servers, Stage(base / "many", servers).up_now() as stage:
        ours = _measure_turns(report, stage, many, math.ceil(rounds / 2))
        pages = many // fetching.PAGE + 1
        least = _add(report, "its pages at the allowed rate", "s", [(pages - 1) / fetching.ALLOWED_PER_S])
        report.ratios.append(Ratio(name="fetch / its pages at the allowed rate", numerator=ours, denominator=least))
    size = {"accounts": fetching.ACCOUNTS, "positions": fetching.POSITIONS_EACH}
    with simulated_servers(**size) as servers, Stage(base / "accounts", servers).up_now() as stage:
        _measure_many_accounts(report, stage, base)
        _measure_at_once(report, stage, base)


def _measure_many_accounts(report: Report, stage: Stage, base: Path) -> None:
    name = f"{fetching.ACCOUNTS} accounts of {fetching.POSITIONS_EACH}"
    say(name)
    many = fetching.many_accounts(stage, base / "positions.json")
    _add(report, f"{name}: fetched", "s", [many.spent.seconds])
    rate = _add(report, f"{name}: pages", "/s", [many.traffic.per_s])
    allowed = _add(report, "allowed to reads", "/s", [fetching.ALLOWED_PER_S])
    report.ratios.append(Ratio(name=f"{name}: rate / allowed", numerator=rate, denominator=allowed, at_least=0.9))
    _add(report, f"{name}: refused for pacing (429)", "times", [many.traffic.refused], 1)
    _add(report, f"{name}: size of the document", "MB", [many.document_mb])
    most = fetching.most_memory_mb(many.document_mb)
    _add(report, f"{name}: most memory of the fetch", "MB", [many.spent.peak_mb], most)
    _add(report, f"1 account of {fetching.POSITIONS_EACH}: most memory of the fetch", "MB", [many.of_one.peak_mb])


def _measure_at_once(report: Report, stage: Stage, base: Path) -> None:
    name = f"{fetching.AT_ONCE} fetches at once"
    say(name)
    seen = fetching.at_once(stage, base)
    _add(report, f"{name}: until the last has ended", "s", [seen.seconds])
    _add(report, f"{name}: pages", "/s", [seen.traffic.per_s])
    _add(report, f"{name}: refused for pacing (429)", "times", [seen.traffic.refused], 1)
    _add(report, f"{name}: the keeper's waits for its turn", "s", seen.keepalive_waits_s)
    _add(report, f"{name}: the keeper's longest wait", "s", [max(seen.keepalive_waits_s)], 1)


def measure_idle(report: Report, stage: Stage) -> None:
    """Lets everything rest for a minute, then reads the memory."""
    say(f"memory after {IDLE_S:.0f} s of rest")
    time.sleep(IDLE_S)
    rested = {name: memory(pid) for name, pid in stage.pids().items()}
    for name, target in (("watchdog", 40), ("gateway parent", 26), ("Java", None)):
        _add_memory(report, name, "idle", [rested[name]], target)
    _add(report, "all that stays, idle: PSS", "MB", [sum(one.pss for one in rested.values())])


def measure_losses(report: Report, stage: Stage, rounds: int, rows: Iterable[Row]) -> None:
    """Loses the session in each of these ways."""
    losses = loss.Losses(stage)
    for row in rows:
        times = row.times(rounds)
        # Whoever waits for the next tickle shall wait neither longer nor shorter than on the mean.
        moments = loss.spread(times, loss.TICKLE_EVERY_S) if row.kind == "silent" else [None] * times
        seen = []
        for number, moment in enumerate(moments, 1):
            say(f"{row.name} {number}/{times}")
            seen.append(losses.lose(row.kind, after_tickle_s=moment, rested=row.rested))
        _add(report, f"{row.name}: noticed", "s", [one.noticed_s for one in seen], row.noticed_s)
        if row.name == PUSHED:
            _add(report, f"{row.name}: status says up", "s", [one.status_s for one in seen], row.served_s)
        _add(report, f"{row.name}: served again", "s", [one.served_s for one in seen], row.served_s)


def measure_brokerage(report: Report, base: Path, servers: Servers, rounds: int) -> None:
    """Starts once more, with the user who may trade and wants it, and takes that tier alone away."""
    stage = Stage(base, servers, TRADER, tier="brokerage")
    with stage.up() as program:
        say("the brokerage tier")
        up_at = stage.wait_until_up()
        _add(report, "start: both tiers", "s", [up_at - program.started_at])
        measure_losses(report, stage, rounds, BROKERAGE)


def measure_ibeam(report: Report, base: Path, servers: Servers, drops: int) -> None:
    """Measures IBeam, and compares what both were measured for."""
    say(f"{peer_name(IBEAM)}: cold start (at most {ibeam.CAP_S:.0f} s)")
    with ibeam.running_ibeam(base, servers) as peer:
        cold = ibeam.cold_start(peer)
        session = _add_waited(report, "IBeam, cold start: session", [cold.session])
        authenticated = _add_waited(report, "IBeam, cold start: says authenticated", [cold.authenticated])
        if not cold.session.capped:
            for name, read in peer.memory().items():
                _add_memory(report, f"IBeam's {name}", f"after {start.REQUESTS} requests", [read], None)
        lost = []
        for number, after_look_s in enumerate(ibeam.phases(drops), 1):
            say(f"IBeam: lost sessions {number}/{drops}, {after_look_s:.0f} s after a look")
            lost.append(ibeam.lose(peer, servers, after_look_s))
        say("IBeam: its gateway's Java killed")
        killed = _add_waited(report, "IBeam, gateway's Java killed: served again", [ibeam.kill_java(peer)])
        _add_waited(report, "IBeam, session dropped: noticed", [noticed for noticed, _ in lost])
        back = _add_waited(report, "IBeam, session dropped: served again", [served for _, served in lost])
    for name, theirs, ours, at_least in (
        ("IBeam / ours, cold start: session", session, "cold start: session", 5.0),
        ("IBeam says authenticated / our first positions", authenticated, "cold start: first positions", None),
        ("IBeam / ours, session dropped: served again", back, f"{PUSHED}: served again", 10.0),
        ("IBeam / ours, session dropped silently: served again", back, f"{SILENT}: served again", None),
        ("IBeam / ours, Java killed: served again", killed, f"{JAVA_KILLED}: served again", None),
    ):
        report.ratios.append(Ratio(name=name, numerator=theirs, denominator=report.figure(ours), at_least=at_least))


def run(report: Report, *, rounds: int, peers: bool, drops: int) -> None:
    """Takes all measurements into `report`. Raises BenchError if one cannot be taken; those before it stand."""
    with tempfile.TemporaryDirectory(prefix="ibkr-bench-") as scratch, simulated_servers() as servers:
        base = Path(scratch)
        base.chmod(0o711)
        stage = Stage(base / "ours", servers)
        measure_cold_starts(report, stage, rounds)
        with stage.up():
            stage.wait_until_up()
            measure_commands(report, stage, rounds)
            measure_idle(report, stage)
            measure_losses(report, stage, rounds, PORTFOLIO)
        measure_fetching(report, base, rounds)
        measure_brokerage(report, base / "brokerage", servers, rounds)
        if MONTH.exists():
            report.figures += month_figures(json.loads(MONTH.read_bytes()))
        if peers:
            measure_ibeam(report, base / "ibeam", servers, drops)


@contextlib.contextmanager
def _cleaning_up() -> Iterator[None]:
    """Ends everything that was started, also on Ctrl-C and SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    become_subreaper()
    try:
        yield
    finally:
        end_orphans()


def run_month(days: float, seed: int, file: Path) -> int:
    """Lives through a month of each tier, side by side; returns 1 if something happened that must not."""
    # Neither the simulator nor the login is needed for the other benchmarks.
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from bench.verdict import live, table

    say(f"{days:g} days of virtual time, seed {seed}, both tiers")
    about = facts.read_facts()
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(live, tier, days=days, seed=seed) for tier in ("portfolio", "brokerage")]
        verdicts = [future.result() for future in futures]
    document = {"schema": 1, "facts": about, "months": [one.as_json() for one in verdicts]}
    file.write_text(json.dumps(document, indent=2) + "\n")
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    print(f"seed: {seed}\n\n{table(verdicts)}")
    print(f"written to {file}")
    problems = [f"{one.tier}: {problem}" for one in verdicts for problem in one.problems]
    for problem in problems:
        print(f"must not happen: {problem}", file=sys.stderr)
    return 1 if problems else 0


def main() -> int:
    """Runs the benchmarks; returns 1 if a target was missed, 70 if something could not be measured."""
    parser = argparse.ArgumentParser(prog="bin/bench", description="Measures ibkr-tools against the simulator.")
    parser.add_argument("--peers", action="store_true", help="measure IBeam too, in the same run (5 minutes more)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of starts and losses (default: 5)")
    parser.add_argument("--peer-drops", type=int, default=2, metavar="N", help="losses for IBeam (default: 2)")
    parser.add_argument(
        "--month", action="store_true", help="a month in virtual time instead, without browser and Java"
    )
    parser.add_argument("--history", action="store_true", help="ten years of history instead; only Python is needed")
    parser.add_argument("--days", type=float, default=30, metavar="N", help="of the month (default: 30)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the month's losses (default: 1)")
    parser.add_argument(
        "--readme", action="store_true", help="measure nothing: put the figures of the last run into README.md"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="default: bench/results.json, or named like the option"
    )
    options = parser.parse_args()
    if options.rounds < 1 or options.peer_drops < 1 or options.days < 1:
        parser.error("less than one round or day measures nothing")
    if options.readme:
        readme.write(options.json or RESULTS)
        return 0
    if facts.is_busy():
        say("the machine is busy with something else: these figures will be of both")
    if options.month:
        return run_month(options.days, options.seed, options.json or MONTH)
    file = options.json or (HISTORY if options.history else RESULTS)
    report = Report(facts=facts.read_facts())
    error: BenchError | None = None
    try:
        with _cleaning_up():
            if options.history:
                history.measure(report, options.rounds)
            else:
                run(report, rounds=options.rounds, peers=options.peers, drops=options.peer_drops)
    except BenchError as caught:
        error = caught
    file.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    print(report.as_text())
    print(f"written to {file}")
    for name in report.missed:
        print(f"target missed: {name}", file=sys.stderr)
    if error:
        print(f"error: {error}", file=sys.stderr)
        return 70
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
