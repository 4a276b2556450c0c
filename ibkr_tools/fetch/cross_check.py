"""Which answers of a snapshot are read again because they contradict others; see `plausibility`. No I/O."""

from collections.abc import Callable, Sequence

from ibkr_tools.errors import DataError, IbkrError, ImplausibleResponse
from ibkr_tools.fetch.plausibility import (
    Contradiction,
    Evidence,
    corroborating_resource,
    evidence_kind,
    find_contradictions,
)
from ibkr_tools.fetch.scheduler import ResourceJob

RECHECK_DELAYS_S = (1.0, 3.0)
"""The delay before each repeat of a contradicting read, in seconds."""

Discrepancy = tuple[str, Contradiction]
"""An account, and what is wrong with one of its answers."""


def evidence_by_account(jobs: Sequence[ResourceJob]) -> dict[str, dict[str, Evidence]]:
    """Returns what has come about each account, by kind."""
    by_account: dict[str, dict[str, Evidence]] = {}
    for job in jobs:
        kind = evidence_kind(job.call)
        if job.is_dropped or kind is None or job.evidence is None or job.call.account is None:
            continue
        by_kind = by_account.setdefault(job.call.account, {})
        by_kind[kind] = by_kind[kind] + job.evidence if kind in by_kind else job.evidence
    return by_account


def find_discrepancies(
    jobs: Sequence[ResourceJob], read_corroboration: Callable[[str, str], Evidence | None]
) -> list[Discrepancy]:
    """Returns what cannot be true; an empty answer that stands alone is compared with another resource.

    Args:
        jobs: all of the snapshot, done.
        read_corroboration: reads a resource of an account, by their names.
    """
    discrepancies = []
    for account, by_kind in evidence_by_account(jobs).items():
        kinds = set(by_kind)
        if (resource := corroborating_resource(by_kind)) is not None and (
            corroboration := read_corroboration(resource, account)
        ) is not None:
            by_kind[resource] = corroboration
        discrepancies += [
            (account, contradiction) for contradiction in find_contradictions(by_kind) if contradiction.kind in kinds
        ]
    return discrepancies


def contradicting_jobs(jobs: Sequence[ResourceJob], discrepancies: Sequence[Discrepancy]) -> list[ResourceJob]:
    """Returns the jobs whose answers contradict others."""
    wrong = {(account, contradiction.kind) for account, contradiction in discrepancies}
    return [job for job in jobs if not job.is_dropped and (job.call.account, evidence_kind(job.call)) in wrong]


def discrepancy_error(discrepancies: Sequence[Discrepancy]) -> IbkrError:
    """Returns the error that says what is wrong; a later try may succeed unless an answer is about another account."""
    text = "; ".join(
        f"{contradiction.kind} of {account} {contradiction.description}" for account, contradiction in discrepancies[:3]
    )
    if all(contradiction.is_transient for _, contradiction in discrepancies):
        return ImplausibleResponse(f"IBKR's answers contradict each other: {text}")
    return DataError(f"IBKR's answers contradict each other: {text}")
