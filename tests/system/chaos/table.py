"""What chaos prints in the end: a line for each kind of fault, and one for all."""

from collections.abc import Iterable, Sequence
from statistics import median

from tests.system.chaos.rounds import Result
from tests.system.chaos.scene import Scene


def _times(seconds: Iterable[float | None]) -> str:
    known = [one for one in seconds if one is not None]
    return f"{median(known):8.1f} {max(known):7.1f}" if known else f"{'-':>8} {'-':>7}"


def table(results: Sequence[Result]) -> list[str]:
    """Returns the table: kind of fault, rounds, median and longest time to notice and to be back, logins."""
    head = f"{'fault':<44} {'rounds':>6} {'noticed s':>16} {'back s':>16} {'logins':>6} {'failed':>6}"
    lines = [head, f"{'':<44} {'':>6} {'median':>8} {'max':>7} {'median':>8} {'max':>7}"]
    for fault in dict.fromkeys(result.fault for result in results):
        own = [result for result in results if result.fault is fault]
        lines.append(
            f"{fault.name:<44} {len(own):>6} {_times(one.notice_s for one in own)} {_times(one.back_s for one in own)}"
            f" {sum(one.logins for one in own):>6} {sum(bool(one.failures) for one in own):>6}"
        )
    return lines


def total(results: Sequence[Result], scene: Scene) -> str:
    """Returns the last line."""
    counted = scene.count()
    failed = sum(bool(result.failures) for result in results)
    wrong = sum(result.wrong_status for result in results)
    return (
        f"{len(results)} rounds, {failed} failures, {counted['submitted']} passwords submitted"
        f" ({counted['logins']} logins), {wrong} wrong statuses; a person was asked {scene.persons} times,"
        f" {scene.nights} nights passed"
    )
