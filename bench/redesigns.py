"""Logins on redesigned pages: how many are survived, by which way, how fast, and what became of the others.

Each round has a page of its own seed, an installation of its own, and real Chromium against the simulator as gateway.
"""

import argparse
import base64
import contextlib
import hashlib
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from loguru import logger

from bench.redesign_peer import PeerRound, play_peer
from ibkr_tools.config.loader import load_config
from ibkr_tools.directories import Directories
from ibkr_tools.errors import IbkrError
from ibkr_tools.login.login_log import LoginLog
from ibkr_tools.login.login_runner import run_login
from ibkr_tools.portal.client import PortalClient
from ibkr_tools.simulator import Simulator
from ibkr_tools.simulator.redesign import Redesign, choose_redesign
from ibkr_tools.status import utc_now
from tests.support.no_rate_limit import NoRateLimit
from tests.support.peers import IBEAM, peer_name
from tests.support.simulation import gateway_options

TASKS = ("live", "live", "live", "paper", "code")
"""What the user of a round is: one who trades live, on paper, or with an authenticator app; by the seed."""

COUNTERS = ("submitted", "logins", "races", "misplaced")


@dataclass(frozen=True, kw_only=True)
class Round:
    """How one login ended.

    Attributes:
        redesign: the page; None: today's.
        task: one of `TASKS`.
        outcome: as the login log and the status name it.
        why: in a sentence.
        seconds: from the start of the login to its end.
        ways: by what the elements were found that no selector finds, by their names.
        counted: what the servers counted: `COUNTERS`.
    """

    redesign: Redesign | None
    task: str
    outcome: str
    why: str
    seconds: float
    ways: dict[str, str]
    counted: dict[str, int]

    @property
    def is_survived(self) -> bool:
        """Whether there is a session."""
        return self.outcome == "succeeded"

    @property
    def way(self) -> str:
        """The weakest way by which an element was found."""
        return "structure" if "structure" in self.ways.values() else "role" if self.ways else "selectors"


@contextlib.contextmanager
def _installation() -> Iterator[tuple[Directories, Simulator]]:
    root = Path(tempfile.mkdtemp(prefix="ibkr-tools-redesigns-"))
    root.chmod(0o755)
    try:
        options = gateway_options(root, positions=1)
        assert options.certificate is not None
        certificate = x509.load_pem_x509_certificate(options.certificate.read_bytes())
        der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        directories = Directories(configuration=root / "conf", runtime=root / "run", state=root / "state")
        tls = directories.gateway / "tls"
        tls.mkdir(parents=True)
        shutil.copy(options.certificate, tls / "gateway.pem")
        (tls / "gateway.spki").write_text(base64.b64encode(hashlib.sha256(der).digest()).decode() + "\n")
        with Simulator(options) as simulator:
            yield directories, simulator
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _configure(directories: Directories, port: int, task: str, secret: str) -> Path:
    file = directories.config_file
    file.parent.mkdir(mode=0o700, exist_ok=True)
    config: dict[str, Any] = {
        "username": "demo-paper" if task == "paper" else "demo-reader",
        "account": "U1234567",
        "password": "demo-password",
        "gateway": {"port": port},
        "session": {"paper": task == "paper"},
    }
    if task == "code":
        kept = file.with_name("totp")
        kept.touch(mode=0o600)
        kept.write_text(secret + "\n")
        config["login"] = {"second_factor": {"method": "totp", "totp_file": str(kept)}}
    file.touch(mode=0o600)
    file.write_text(json.dumps(config))
    return file


def play(seed: int) -> Round:
    """Logs in on the page of a seed, in a new installation."""
    redesign, task = choose_redesign(seed), TASKS[seed % len(TASKS)]
    if task == "paper" and redesign.paper == "none":
        # Nobody can log in on paper there.
        task = "live"
    return _play(redesign, task, {"redesign": seed})


def play_today(*, silent: bool) -> Round:
    """Logs in on today's page, in a new installation; `silent`: it does not talk to the servers at its start."""
    return _play(None, "live", {"silent": silent})


def _play(redesign: Redesign | None, task: str, page: dict[str, Any]) -> Round:
    secret = pyotp.random_base32()
    steps: list[str] = []
    with _installation() as (directories, simulator):
        if task == "code":
            page |= {"second_factor": "silver", "second_factor_secret": secret}
        simulator.control.page(**page)
        file = _configure(directories, simulator.port, task, secret)
        before = simulator.control.state()["counters"]
        began = time.monotonic()
        sink = logger.add(lambda line: steps.append(str(line)), level="DEBUG", format="{message}")
        try:
            with PortalClient(simulator.port, directories.certificate, NoRateLimit(), read_timeout_s=5) as client:
                result = run_login(load_config(file), directories, file, unattended=False, client=client)
            outcome, why = result.outcome.value, result.why
        except IbkrError as error:
            last = LoginLog(directories.login).last_outcome(utc_now())
            outcome, why = (last.value if last else type(error).__name__), error.message
        finally:
            logger.remove(sink)
        seconds = time.monotonic() - began
        after = simulator.control.state()["counters"]
    return Round(
        redesign=redesign,
        task=task,
        outcome=outcome,
        why=why,
        seconds=seconds,
        ways=_ways(steps),
        counted={name: after[name] - before[name] for name in COUNTERS},
    )


def _ways(steps: Sequence[str]) -> dict[str, str]:
    """Returns what the login said about elements that it recognised."""
    ways: dict[str, str] = {}
    for step in steps:
        if match := re.search(r"changed its page: (.+) was recognised by (\w+)", step):
            ways[match[1]] = match[2]
    return ways


WIDTH = 22


def row(name: str, rounds: Sequence[Round | PeerRound]) -> str:
    """Returns one row of the table: how many rounds, how many were survived, and in which time."""
    seconds = [each.seconds for each in rounds if each.is_survived]
    times = f"{statistics.median(seconds):7.2f}s {max(seconds):7.2f}s" if seconds else f"{'-':>8} {'-':>8}"
    return f"{name:<{WIDTH}} {len(rounds):>6} {len(seconds):>9} {times}"


def report_today(talking: Sequence[Round], silent: Sequence[Round]) -> str:
    """Returns what a page costs that never talks at its start: both medians, and their difference."""
    lines = [row("today's page", talking), row("the same, silent", silent)]
    if all(each.is_survived for each in [*talking, *silent]):
        medians = [statistics.median(each.seconds for each in rounds) for rounds in (talking, silent)]
        lines.append(f"a page that never talks at its start takes {medians[1] - medians[0]:+.2f} s")
    return "\n".join(lines)


def report(rounds: Sequence[Round], peer: Sequence[PeerRound] = ()) -> str:
    """Returns the table: what was survived, by which way, in which time, and every miss; beside that, a peer's row."""
    lines = [f"{'way':<{WIDTH}} {'rounds':>6} {'survived':>9} {'median':>8} {'slowest':>8}"]
    lines += [row(way, [each for each in rounds if each.way == way]) for way in ("selectors", "role", "structure")]
    if peer:
        seeds = {each.seed for each in peer}
        same = [each for each in rounds if each.redesign is not None and each.redesign.seed in seeds]
        lines += ["", row("ours, on these", same), row(f"{peer_name(IBEAM)}, on these", peer)]
    survived = sum(each.is_survived for each in rounds)
    counted = {name: sum(each.counted[name] for each in rounds) for name in COUNTERS}
    more = sum(each.counted["submitted"] > 1 for each in rounds)
    lines += [
        "",
        (
            f"{survived} of {len(rounds)} survived ({100 * survived / len(rounds):.1f} %); passwords submitted: "
            f"{counted['submitted']}, too early: {counted['races']}, in another field: {counted['misplaced']}; "
            f"logins with more than one: {more}"
        ),
        f"outcomes: {', '.join(f'{name} {count}' for name, count in Counter(e.outcome for e in rounds).most_common())}",
    ]
    for each in rounds:
        if not each.is_survived and each.redesign is not None:
            lines += [
                "",
                f"seed {each.redesign.seed}, {each.task}: {each.outcome} after {each.seconds:.1f} s: {each.why}",
            ]
            lines.append(f"  {each.redesign}")
            lines.append(f"  recognised: {each.ways or 'nothing'}; counted: {each.counted}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays the rounds; 0 if at least 95 % were survived and nothing was typed or submitted that should not be."""
    parser = argparse.ArgumentParser(prog="bin/redesigns", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="so many pages (default: %(default)s)")
    parser.add_argument("--seed", type=int, required=True, help="of the first page; the others follow")
    parser.add_argument("--today", type=int, default=5, help="logins on today's page, and as many on the same silent")
    parser.add_argument("--peers", action="store_true", help="have IBeam log in on the first pages too")
    parser.add_argument("--peer-rounds", type=int, default=20, metavar="N", help="on so many (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="show the log of each login")
    options = parser.parse_args(arguments)
    logger.remove()
    if options.verbose:
        logger.add(sys.stderr, level="DEBUG")
    rounds = []
    for seed in range(options.seed, options.seed + options.rounds):
        rounds.append(play(seed))
        last = rounds[-1]
        print(f"{seed}: {last.task}, {last.outcome} by {last.way} in {last.seconds:.1f} s", file=sys.stderr, flush=True)
    peer = []
    for seed in range(options.seed, options.seed + min(options.rounds, options.peer_rounds * options.peers)):
        peer.append(play_peer(seed))
        how = "a session" if peer[-1].is_survived else peer[-1].why
        print(f"{seed}: {peer_name(IBEAM)}, {how} after {peer[-1].seconds:.1f} s", file=sys.stderr, flush=True)
    # In turn: what the machine does meanwhile befalls both.
    today = [(play_today(silent=False), play_today(silent=True)) for _ in range(options.today)]
    print(report(rounds, peer))
    if today:
        print("\n" + report_today([talking for talking, _ in today], [silent for _, silent in today]))
    survived = sum(each.is_survived for each in rounds)
    is_clean = all(each.counted["misplaced"] == 0 and each.counted["submitted"] <= 1 for each in rounds)
    return 0 if is_clean and survived >= 0.95 * len(rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
