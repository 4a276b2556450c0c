"""Lost sessions of the portfolio tier come back: IBKR's real gateway, real logins, both kinds of user."""

import time

import pytest

from bench.loss import Blow, Kind, Loss, lose_at_once
from tests.gateway.conftest import Begin
from tests.support.patience import slowdown
from tests.support.simulation import wait_until
from tests.support.stages import READER, TRADER, Scene

pytestmark = [pytest.mark.gateway, pytest.mark.browser]

KINDS: dict[Kind, tuple[float, float]] = {
    "sts": (3.0, 30.0),
    "close": (3.0, 30.0),
    "silent": (33.0, 60.0),
    "expired": (3.0, 30.0),
    "fetch": (5.0, 30.0),
    "java-killed": (5.0, 45.0),
}
"""Until when a loss must have been noticed and served again, on a quiet machine; seconds."""


@pytest.fixture(params=[READER, TRADER])
def ours(request: pytest.FixtureRequest, begin: Begin) -> Scene:
    """A session in the portfolio tier, of a user who cannot have another one and of a user who can."""
    return begin(request.param)


def settle(ours: Scene) -> None:
    """Waits until nothing looks at a new session any more, and everybody may ask for the accounts again."""
    began_s = time.monotonic()
    wait_until(lambda: ours.stage.session()["last_tickle_at"] is not None and time.monotonic() - began_s > 6)


def keeps_out_of_the_brokerage_tier(ours: Scene) -> None:
    """Says that whatever was done for that tier, the jar did by itself: once after each login."""
    assert ours.session_control() == {}
    assert ours.handshakes() <= ours.logins
    assert not ours.logged("asked for the brokerage tier")


def logged_in_once_more(ours: Scene) -> None:
    """Says that one login followed the loss; another one only where the jar itself has logged its session out."""
    logouts = ours.asked("GET /v1/portal/logout")
    assert logouts <= (ours.stage.username == TRADER), "only the timer of a brokerage tier does so, and only once"
    assert 2 <= ours.logins <= 2 + logouts


@pytest.mark.parametrize("kind", KINDS)
def test_lost(ours: Scene, kind: Kind) -> None:
    """However it is lost: one login, the same account is served again, and nobody is thrown out of TWS."""
    noticed_s, served_s = KINDS[kind]
    settle(ours)
    loss = lose_at_once(ours.stage, kind)
    ours.print(kind, loss)
    assert loss.noticed_s < noticed_s * slowdown()
    assert max(loss.served_s, loss.status_s) < served_s * slowdown()
    logged_in_once_more(ours)
    assert ours.control.state()["counters"]["failures"] == 0
    keeps_out_of_the_brokerage_tier(ours)


def test_java_hangs(begin: Begin) -> None:
    """Without systemd's watchdog the gateway's parent ends a Java that has not answered for as long."""
    ours = begin(READER)
    loss = lose_at_once(ours.stage, "java-hung")
    ours.print("java-hung", loss)
    assert loss.noticed_s < 8 * slowdown()
    assert max(loss.served_s, loss.status_s) < 60 * slowdown()
    assert ours.logins == 2


def test_servers_that_hang(ours: Scene) -> None:
    """No answer is not a lost session: it is the same one afterwards, and nobody has logged in."""
    before = ours.session_ids
    loss = lose_at_once(ours.stage, "servers-hang")
    ours.print("servers-hang", loss)
    assert max(loss.served_s, loss.status_s) < 45 * slowdown()
    assert ours.session_ids == before
    assert ours.logins == 1
    keeps_out_of_the_brokerage_tier(ours)


def test_the_jar_has_given_up(begin: Begin) -> None:
    """A login that takes longer than the jar's patience, and a jar that makes no more of it: the session is served."""
    ours = begin(TRADER)
    wait_until(lambda: ours.brokerage == ["up"])
    ours.control.page(dispatcher_delay_ms=15_000)
    loss = Blow(ours.stage).strike(ours.lose_the_jar)
    ours.print("the jar has given up meanwhile", loss)
    assert ours.logged("giving up")
    logged_in_once_more(ours)
    keeps_out_of_the_brokerage_tier(ours)


def test_another_program_takes_the_brokerage_tier(begin: Begin) -> None:
    """Who wants the portfolio tier only does not care, until the jar logs out by itself; then one login heals it."""
    ours = begin(TRADER)
    wait_until(lambda: ours.brokerage == ["up"])

    def steal() -> None:
        ours.control.drop("brokerage")
        wait_until(lambda: ours.asked("GET /v1/portal/logout") == 1, 35)

    loss = Blow(ours.stage).strike(steal)
    ours.print("brokerage tier stolen, then the jar's own logout", loss)
    assert loss.noticed_s < 35 * slowdown()
    assert loss.served_s < loss.noticed_s + 30 * slowdown()
    assert ours.logins == 2
    keeps_out_of_the_brokerage_tier(ours)


def lose_before_the_timer(ours: Scene) -> Loss:
    """Loses the session so that the next one begins right before the jar's timer of the lost one ends."""
    began_at = time.time()
    wait_until(lambda: ours.stage.servers.first(began_at, "/v1/portal/tickle", 200) is not None, 60)
    # Right after one call of the timer: a slow machine's browser has the time until the next.
    timer_at = (ours.stage.servers.first(began_at, "/v1/portal/tickle", 200) or 0.0) + 30
    submitted = ours.control.submitted()
    ours.control.page(verdict_delay_ms=1000)

    def lose() -> None:
        ours.control.drop()
        wait_until(lambda: ours.control.submitted() > submitted, 20, 0.01)
        # The verdict takes a second more: the session begins a second before the timer ends, and what the login asks
        # about it is answered after that. The jar's own handshake takes 3.2 s, and has to be under way.
        ours.control.page(verdict_delay_ms=0, dispatcher_delay_ms=max(0, int((timer_at - time.time() - 2.0) * 1000)))
        ours.control.fault("/v1/api/tickle", "slow", delay_s=1.8)

    loss = Blow(ours.stage).strike(lose)
    ours.control.clear_faults()
    return loss


def test_the_timer_of_the_old_session_logs_the_new_one_out(begin: Begin) -> None:
    """The jar's own call comes between the login and our proof of it: the login goes through the page once more."""
    ours = begin(TRADER)
    # The moment is two seconds long, and a busy machine may miss it; then the session is lost once more.
    losses = list[Loss]()
    while len(losses) < 3 and not ours.logged("The gateway has logged the new session out"):
        losses.append(lose_before_the_timer(ours))
        ours.print("the new session logged out by the jar", losses[-1])
    assert ours.logged("The gateway has logged the new session out")
    assert ours.logins == 1 + len(losses) + ours.asked("GET /v1/portal/logout")
    # Both logins of the last loss take as long as the first one was held back.
    assert losses[-1].status_s < 90 * slowdown()
    keeps_out_of_the_brokerage_tier(ours)
