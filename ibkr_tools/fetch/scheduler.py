"""Which page of which call is read next, over losses of the session and answers that are read again. No I/O."""

from collections.abc import Iterable, Sequence

import msgspec

from ibkr_tools.errors import IbkrError
from ibkr_tools.fetch.assembly import CallResult, PartResult, all_calls
from ibkr_tools.fetch.pagination import Paginator


class PageRequest(msgspec.Struct, frozen=True):
    """The request of one page of one call's list."""

    result: CallResult
    paginator: Paginator
    page_number: int

    @property
    def is_obsolete(self) -> bool:
        """Says whether nobody waits for the page any more: its list has ended before it, or is read again."""
        return self.result.is_done or self.paginator is not self.result.paginator

    def __str__(self) -> str:
        call = self.result.call
        return f"{call}, page {self.page_number}" if call.endpoint.pagination else str(call)


class Scheduler:
    """The order in which the pages of a snapshot are read.

    Once the session is lost nothing more is read, until what is under way has ended and `resume` is called.

    Attributes:
        results: of all calls, in the order of the plan.
        session_error: the first error that says that the session is lost; None: it is not.
    """

    def __init__(self, parts: Iterable[PartResult]) -> None:
        self.results: Sequence[CallResult] = tuple(all_calls(parts))
        self.session_error: IbkrError | None = None

    @property
    def pending(self) -> list[CallResult]:
        """The calls of which a page is left to read."""
        return [result for result in self.results if not result.is_done]

    def next_request(self) -> PageRequest | None:
        """Returns the next page to read: one that is certain to exist before one that may not exist."""
        if self.session_error is not None:
            return None
        pending = self.pending
        for prefetch in (False, True):
            for result in pending:
                if (number := result.paginator.next_page(prefetch=prefetch)) is not None:
                    return PageRequest(result, result.paginator, number)
        return None

    def lose_session(self, error: IbkrError) -> None:
        """Notes that the session is lost; what has come whole stays."""
        self.session_error = self.session_error or error

    def resume(self) -> None:
        """Begins with the next session: all lists that are not whole are read from their start."""
        self.session_error = None
        self.restart(self.pending)

    def restart(self, results: Iterable[CallResult]) -> None:
        """Has calls read again."""
        for result in results:
            result.restart()
