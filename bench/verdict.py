"""A month in figures: what is shown of it, and what must not have happened."""

import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from bench.figures import aligned
from bench.month import Month
from bench.plan import DAY_S
from bench.virtual import UPTIME_S
from bench.witness import Gap

PUSHED_S = 1.0
"""A loss that IBKR tells of; pacing allows one tickle a second, so that looking may have to wait for its turn."""

TICKLE_FLOOR_S = 30.0
VALIDATION_S = 2.0
"""From a tickle that says no to a second opinion."""

ONE_LOGIN_S = {"portfolio": 5.0, "brokerage": 9.0}
"""From the request to the first answer: three seconds of login, and what pacing adds; the brokerage tier needs the
jar's handshake too, three seconds."""

AFTER_OUTAGE_S = 960.0
"""From the end of a planned outage to the next answer: the longest wait between two logins, and one login."""

TICKLES_S = 60.0
GROWTH_MB = 4.0
LOCK_AFTER_FAILURES = 4


@dataclass(frozen=True, kw_only=True)
class Times:
    """How long something took, over all of its kind; seconds."""

    number: int
    median_s: float
    longest_s: float


def times(samples: Sequence[float]) -> Times:
    """Returns what is told of some samples; nothing took no time."""
    if not samples:
        return Times(number=0, median_s=0.0, longest_s=0.0)
    return Times(number=len(samples), median_s=statistics.median(samples), longest_s=max(samples))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One month of one tier. Seconds are virtual ones, but for `real_s`."""

    tier: str
    days: float
    seed: int
    availability: float
    availability_outside: float
    longest_gap_s: float
    after_outage: Times
    noticed: dict[str, Times]
    served: dict[str, Times]
    logins: int
    logins_most_a_day: int
    logins_in_vain: dict[str, int]
    submitted: int
    failed_submissions: int
    requests_a_minute: float
    requests_most_a_minute: int
    refused_by_pacing: int
    longest_tickle_pause_s: float
    status_writes: int
    memory_begin_mb: float
    memory_end_mb: float
    restarts: int
    messages: dict[str, int]
    states: dict[str, float]
    real_s: float
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Returns all of it."""
        return asdict(self)


def judge(month: Month, real_s: float) -> Verdict:
    """Returns what a month that is over was like."""
    witness, now_s = month.witness, month.end_s
    whole_s = now_s - UPTIME_S
    outage_s = sum(one.end_s - one.begin_s for one in witness.outages)
    outside = list(witness.outside())
    kinds = sorted({gap.cause for gap in outside})
    records = month.context.authenticator.records.values()
    ends = {one.name: one.end_s for one in witness.outages}
    back = [gap.end_s - ends[gap.outage] for gap in witness.gaps if gap.outage and gap.end_s]
    back = [one for one in back if one > 0]
    ok = month.logins.count("succeeded")
    return Verdict(
        tier=month.tier,
        days=month.days,
        seed=month.seed,
        availability=1 - witness.unserved_s(now_s, outside=False) / whole_s,
        availability_outside=1 - witness.unserved_s(now_s, outside=True) / (whole_s - outage_s),
        longest_gap_s=max((gap.length_s(now_s) for gap in outside), default=0.0),
        after_outage=times(back),
        noticed={kind: times([noticed_s(one) for one in outside if one.cause == kind]) for kind in kinds},
        served={kind: times([one.length_s(now_s) for one in outside if one.cause == kind]) for kind in kinds},
        logins=ok,
        logins_most_a_day=most_within(month.submitted_s, DAY_S),
        logins_in_vain=dict(Counter(one for one in month.logins if one != "succeeded")),
        submitted=sum(record.submitted for record in records),
        failed_submissions=sum(record.failures + record.wrong_mode for record in records),
        requests_a_minute=month.traffic.sent / (whole_s / 60),
        requests_most_a_minute=month.traffic.most_a_minute,
        refused_by_pacing=month.context.limiter.refused,
        longest_tickle_pause_s=witness.longest_tickle_pause_s,
        status_writes=month.status.writes,
        memory_begin_mb=month.memory_mb[0],
        memory_end_mb=month.memory_mb[-1],
        restarts=month.restarts,
        messages=dict(Counter(month.messages)),
        states=witness.states,
        real_s=real_s,
        problems=(
            *_of_gaps(month, outside),
            *(f"{one:.0f} s from the end of an outage to the next answer" for one in back if one > AFTER_OUTAGE_S),
            *_of_the_rest(month),
        ),
    )


def noticed_s(gap: Gap) -> float:
    """Returns after how many seconds the status said so; the whole gap if it never did."""
    return gap.length_s(gap.begin_s) if gap.noticed_s is None else gap.noticed_s - gap.begin_s


def most_within(moments_s: Sequence[float], span_s: float) -> int:
    """Returns the largest number of moments (in order) that fall into one span."""
    return max((sum(1 for one in moments_s if begin <= one < begin + span_s) for begin in moments_s), default=0)


def _of_gaps(month: Month, outside: Sequence[Gap]) -> list[str]:
    """Lists the gaps that were longer than the notice and one login."""
    found = []
    for gap in outside:
        at = f"{gap.cause} on day {(gap.begin_s - UPTIME_S) / DAY_S:.3f}"
        limit_s = (TICKLE_FLOOR_S if gap.cause == "silent" else PUSHED_S) + VALIDATION_S
        if noticed_s(gap) > limit_s:
            found.append(f"{at}: noticed after {noticed_s(gap):.1f} s")
        if gap.end_s is None:
            found.append(f"{at}: never served again")
        elif gap.length_s(0) - noticed_s(gap) > ONE_LOGIN_S[month.tier]:
            found.append(f"{at}: {gap.length_s(0) - noticed_s(gap):.1f} s from the notice to the next answer")
    return found


def _of_the_rest(month: Month) -> list[str]:
    """Lists what else must not have happened."""
    found = []
    record = month.context.authenticator.records[month.config.username]
    if (
        month.context.authenticator.is_locked(month.config.username)
        or most_within(record.failed_at, DAY_S) > LOCK_AFTER_FAILURES
    ):
        found.append("IBKR counted more failures than the budget allows")
    if month.login_log().budget(month.time.now()).locked:
        found.append("the budget is spent")
    if record.submitted != month.logins.count("succeeded"):
        found.append(f"{record.submitted} passwords for {month.logins.count('succeeded')} logins")
    if month.context.limiter.refused:
        found.append(f"{month.context.limiter.refused} requests were too many for IBKR")
    if month.witness.longest_tickle_pause_s > TICKLES_S:
        found.append(f"{month.witness.longest_tickle_pause_s:.0f} s between two tickles of a living session")
    if month.memory_mb[-1] - month.memory_mb[0] > GROWTH_MB:
        found.append(f"memory grew from {month.memory_mb[0]:.1f} to {month.memory_mb[-1]:.1f} MB")
    if len(month.losses) < month.days:
        found.append(f"only {len(month.losses)} losses hit a session")
    return found


def table(months: Sequence[Verdict]) -> str:
    """Returns the table for people, one column per tier."""
    kinds = sorted({kind for month in months for kind in month.served})
    rows = [("", *(month.tier for month in months))]

    def add(name: str, *cells: str) -> None:
        rows.append((name, *cells))

    add("days", *(f"{one.days:g}" for one in months))
    add("availability", *(f"{one.availability:.3%}" for one in months))
    add("  outside planned outages", *(f"{one.availability_outside:.3%}" for one in months))
    add("longest gap outside planned outages", *(f"{one.longest_gap_s:.1f} s" for one in months))
    add("back after a planned outage, median / longest", *(_times(one.after_outage) for one in months))
    for kind in kinds:
        add(f"lost ({kind})", *(str(one.served[kind].number if kind in one.served else 0) for one in months))
        add("  noticed, median / longest", *(_times(one.noticed.get(kind)) for one in months))
        add("  served again, median / longest", *(_times(one.served.get(kind)) for one in months))
    add("logins", *(str(one.logins) for one in months))
    add("  most within 24 h", *(str(one.logins_most_a_day) for one in months))
    add("  ended before the password", *(str(sum(one.logins_in_vain.values())) for one in months))
    add("passwords submitted / failed", *(f"{one.submitted} / {one.failed_submissions}" for one in months))
    add(
        "requests per minute to IBKR, mean / most",
        *(f"{one.requests_a_minute:.2f} / {one.requests_most_a_minute}" for one in months),
    )
    add("  refused by IBKR's pacing (429)", *(str(one.refused_by_pacing) for one in months))
    add("longest pause between tickles of a session", *(f"{one.longest_tickle_pause_s:.1f} s" for one in months))
    add("writes of the status", *(str(one.status_writes) for one in months))
    add("restarts of Java", *(str(one.restarts) for one in months))
    add("messages for a person", *(_counts(one.messages) for one in months))
    add(
        "resident memory, after 10 % / at the end",
        *(f"{one.memory_begin_mb:.1f} / {one.memory_end_mb:.1f} MB" for one in months),
    )
    add("took", *(f"{one.real_s:.0f} s" for one in months))
    return "\n".join(aligned(rows, numbers_last=True)) + "\n"


def _times(one: Times | None) -> str:
    return f"{one.median_s:.1f} / {one.longest_s:.1f} s" if one is not None and one.number else "-"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "none"


def live(tier: str, *, days: float, seed: int, log: Path | None = None) -> Verdict:
    """Returns what a month was like. Its runtime directory is in memory, as /run is, where the machine has such."""
    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=in_memory if in_memory.is_dir() else None, prefix="ibkr-month-") as root:
        began_s = monotonic()
        month = Month(Path(root), tier, days=days, seed=seed, log=log)
        month.run()
        return judge(month, monotonic() - began_s)
