"""Which source counts for each day, as runs of days and day by day. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from ibkr_tools.history.records import Coverage, Source

_TRUST = {Source.SNAPSHOT: 0, Source.PORTFOLIO_ANALYST: 1, Source.STATEMENT: 2}
_SOURCES = {trust: source for source, trust in _TRUST.items()}


@dataclass(frozen=True, slots=True, order=True)
class Generation:
    """How new a source is: the trust in its kind first, then when it was made, then the digest of its file.

    Of two that were made in the same second the one with the larger digest counts, whichever comes first.
    """

    trust: int
    generated_at: str
    digest: str

    @property
    def source(self) -> Source:
        """Returns the kind of the source."""
        return _SOURCES[self.trust]


def generation_of(source: Source, generated_at: str, digest: str) -> Generation:
    """Returns how new a source of a kind is that was made at a time (ISO 8601) and has a digest."""
    return Generation(_TRUST[source], generated_at, digest)


def covered_runs(account: str, section: str, days: Mapping[date, Generation]) -> Iterator[Coverage]:
    """Yields the days of an account's section in runs that one source covers, in their order."""
    run: tuple[date, date, Generation] | None = None
    for day, generation in sorted(days.items()):
        if run and run[2] == generation and day - run[1] == timedelta(days=1):
            run = (run[0], day, generation)
            continue
        if run:
            yield _covered(account, section, *run)
        run = (day, day, generation)
    if run:
        yield _covered(account, section, *run)


def _covered(account: str, section: str, first: date, last: date, generation: Generation) -> Coverage:
    return Coverage(account, section, first, last, generation.source, generation.generated_at, generation.digest)


def covered_days(coverage: Iterable[Coverage]) -> dict[str, dict[date, Generation]]:
    """Returns what counts for each day of a section, by account; the other way round as `covered_runs`."""
    found: dict[str, dict[date, Generation]] = {}
    for item in coverage:
        generation = generation_of(item.source, item.generated_at, item.digest)
        days = found.setdefault(item.account, {})
        for number in range((item.to_day - item.day).days + 1):
            days[item.day + timedelta(days=number)] = generation
    return found
