"""Which answers of a snapshot are read again because they contradict others; see `plausibility`. No I/O."""

from collections.abc import Callable, Sequence

from ibkr_tools.errors import DataError, IbkrError, ImplausibleResponse
from ibkr_tools.fetch.assembly import CallResult
from ibkr_tools.fetch.plan import ApiCall, account_call
from ibkr_tools.fetch.plausibility import (
    Contradiction,
    Evidence,
    corroborating_resource,
    evidence_kind,
    find_contradictions,
)

RECHECK_DELAYS_S = (1.0, 3.0)
"""The delay before each repeat of a contradicting read, in seconds."""

Discrepancy = tuple[str, Contradiction]
"""An account, and what is wrong with one of its answers."""


def evidence_by_account(results: Sequence[CallResult]) -> dict[str, dict[str, Evidence]]:
    """Returns what has come about each account, by kind."""
    by_account: dict[str, dict[str, Evidence]] = {}
    for result in results:
        kind, account = evidence_kind(result.call), result.call.account
        if result.is_dropped or kind is None or result.evidence is None or account is None:
            continue
        by_kind = by_account.setdefault(account, {})
        by_kind[kind] = by_kind[kind] + result.evidence if kind in by_kind else result.evidence
    return by_account


def find_discrepancies(
    results: Sequence[CallResult], read_corroboration: Callable[[ApiCall], Evidence | None]
) -> list[Discrepancy]:
    """Returns what cannot be true; an empty answer that stands alone is compared with another resource.

    Args:
        results: all of the snapshot, done.
        read_corroboration: reads another call about an account.
    """
    discrepancies = []
    for account, by_kind in evidence_by_account(results).items():
        kinds = set(by_kind)
        if (resource := corroborating_resource(by_kind)) is not None and (
            corroboration := read_corroboration(account_call(resource, account))
        ) is not None:
            by_kind[resource] = corroboration
        discrepancies += [
            (account, contradiction) for contradiction in find_contradictions(by_kind) if contradiction.kind in kinds
        ]
    return discrepancies


def contradicting_results(results: Sequence[CallResult], discrepancies: Sequence[Discrepancy]) -> list[CallResult]:
    """Returns the results of the calls whose answers contradict others."""
    wrong = {(account, contradiction.kind) for account, contradiction in discrepancies}
    return [
        result
        for result in results
        if not result.is_dropped and (result.call.account, evidence_kind(result.call)) in wrong
    ]


def discrepancy_error(discrepancies: Sequence[Discrepancy]) -> IbkrError:
    """Returns the error that says what is wrong; a later try may succeed unless an answer is about another account."""
    text = "; ".join(
        f"{contradiction.kind} of {account} {contradiction.description}" for account, contradiction in discrepancies[:3]
    )
    if all(contradiction.is_transient for _, contradiction in discrepancies):
        return ImplausibleResponse(f"IBKR's answers contradict each other: {text}")
    return DataError(f"IBKR's answers contradict each other: {text}")
