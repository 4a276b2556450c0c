"""What a fault is: a blow, what the status has to say about it, and how it is lifted."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.system.chaos.scene import Scene

Blow = Callable[[Scene], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault.

    `blow`: strikes on entering, lifts on leaving. `loses`: the session is certainly gone (True), must be kept and
    nobody logs in (False), or neither is certain (None). `until`: what must be true before the fault is lifted, within
    `until_s`; None: it is lifted at once, the rest heals by itself. `notice_s`: by then the status no longer says that
    a session that is gone is up. `back_s`: from the lifting to a session and a fetch.
    `share`: how often it falls in a long run, compared with the others. `tier`: for whom.
    """

    name: str
    blow: Blow
    loses: bool | None
    until: Callable[[Scene], bool] | None = None
    until_s: float = 90
    notice_s: float = 50
    back_s: float = 60
    share: int = 2
    tier: str = "portfolio"


def blow(strike: Callable[[Scene], Iterator[None]]) -> Blow:
    """Turns a generator into a blow: what is before `yield` strikes, what is after it lifts, whatever comes between."""

    def whole(scene: Scene) -> Iterator[None]:
        steps = strike(scene)
        next(steps)
        try:
            yield
        finally:
            next(steps, None)

    return contextmanager(whole)


def once(strike: Callable[[Scene], object]) -> Blow:
    """Turns a function into a blow that needs no lifting."""

    def whole(scene: Scene) -> Iterator[None]:
        strike(scene)
        yield

    return contextmanager(whole)


def said(*states: str) -> Callable[[Scene], bool]:
    """Returns the condition that the status names one of these states, and why."""
    return lambda scene: scene.says(*states)
