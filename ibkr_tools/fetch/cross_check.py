"""Which answers of a snapshot are asked for again because they contradict others; see `plausibility`. No I/O."""

from collections.abc import Callable, Sequence

from ibkr_tools.errors import DataError, IbkrError, ImplausibleResponse
from ibkr_tools.fetch.gather import Job
from ibkr_tools.fetch.plausibility import Contradiction, Evidence, contradictions, kind_of, witness_for

PAUSES_S = (1.0, 3.0)
"""Before each time that what contradicts is asked for again."""

Discrepancy = tuple[str, Contradiction]
"""An account, and what is wrong with one of its answers."""


def evidence_by_account(jobs: Sequence[Job]) -> dict[str, dict[str, Evidence]]:
    """Returns what has come about each account, by kind."""
    found: dict[str, dict[str, Evidence]] = {}
    for job in jobs:
        kind = kind_of(job.call)
        if job.is_dropped or kind is None or job.evidence is None or job.call.account is None:
            continue
        of_account = found.setdefault(job.call.account, {})
        of_account[kind] = of_account[kind] + job.evidence if kind in of_account else job.evidence
    return found


def find(jobs: Sequence[Job], ask_witness: Callable[[str, str], Evidence | None]) -> list[Discrepancy]:
    """Returns what cannot be true; silence that stands alone is compared with what another resource says.

    Args:
        jobs: all of the snapshot, done.
        ask_witness: asks for a resource of an account, by their names.
    """
    discrepancies = []
    for account, found in evidence_by_account(jobs).items():
        kinds = set(found)
        if (name := witness_for(found)) is not None and (witness := ask_witness(name, account)) is not None:
            found[name] = witness
        discrepancies += [(account, one) for one in contradictions(found) if one.kind in kinds]
    return discrepancies


def jobs_of(jobs: Sequence[Job], discrepancies: Sequence[Discrepancy]) -> list[Job]:
    """Returns the jobs whose answers contradict others."""
    wrong = {(account, one.kind) for account, one in discrepancies}
    return [job for job in jobs if not job.is_dropped and (job.call.account, kind_of(job.call)) in wrong]


def error_of(discrepancies: Sequence[Discrepancy]) -> IbkrError:
    """Returns the error that says what is wrong; a later try may succeed unless an answer is about another account."""
    text = "; ".join(f"{one.kind} of {account} {one.what}" for account, one in discrepancies[:3])
    if all(one.passes for _, one in discrepancies):
        return ImplausibleResponse(f"IBKR's answers contradict each other: {text}")
    return DataError(f"IBKR's answers contradict each other: {text}")
