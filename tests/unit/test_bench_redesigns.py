"""The tables of `bin/redesigns`: of the redesigned pages, of a peer on the first of them, and of today's page."""

from dataclasses import replace

from bench.redesign_peer import PeerRound
from bench.redesigns import Round, report, report_today
from ibkr_tools.simulator.redesign import choose_redesign

COUNTED = {"submitted": 1, "logins": 1, "races": 0, "misplaced": 0}
ROUND = Round(
    redesign=choose_redesign(1),
    task="live",
    outcome="succeeded",
    why="",
    seconds=4.0,
    ways={"username": "role"},
    counted=COUNTED,
)


def test_peer_stands_beside_ours_on_the_same_pages() -> None:
    """Of ours only the rounds count there that the peer had too."""
    rounds = [ROUND, replace(ROUND, redesign=choose_redesign(2), seconds=9.0)]
    peer = [PeerRound(seed=1, is_survived=False, seconds=30.0, why="Timeout", submitted=0)]
    lines = [line.split() for line in report(rounds, peer).splitlines()]
    assert ["ours,", "on", "these", "1", "1", "4.00s", "4.00s"] in lines
    assert [line[-4:] for line in lines if line[:1] == ["IBeam"]] == [["1", "0", "-", "-"]]
    assert "IBeam" not in report(rounds)


def test_cost_of_a_page_that_never_talks_is_the_difference_of_the_medians() -> None:
    talking = [replace(ROUND, redesign=None, ways={}, seconds=seconds) for seconds in (2.0, 3.0, 9.0)]
    silent = [replace(each, seconds=each.seconds + 1.25) for each in talking]
    assert report_today(talking, silent).endswith("takes +1.25 s")
    failed = [replace(talking[0], outcome="blank-page")]
    assert "takes" not in report_today(talking, failed)
