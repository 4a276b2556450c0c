"""Makes one instrument of what many statements say about it. Pure."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from ibkr_tools.history.records import Instrument
from ibkr_tools.history.records.reference import DESCRIBING_FIELDS

_Newness = tuple[date, str, str]


class InstrumentMerge:
    """The instruments of all accounts: of each field what the newest statement says that has it.

    The last day of a statement counts before the time at which it was made: one of a past year that is made today has
    the symbols of then.
    """

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], _Newness] = {}
        self._fields: dict[tuple[str, str], dict[str, tuple[_Newness, str]]] = {}

    def add(self, instruments: Iterable[Instrument], digest: str) -> None:
        """Takes the instruments of a statement of the file with this digest."""
        for instrument in instruments:
            key = (instrument.account, instrument.conid)
            newness = (instrument.day, instrument.generated_at, digest)
            self._newest[key] = max(newness, self._newest.get(key, newness))
            known = self._fields.setdefault(key, {})
            for name in DESCRIBING_FIELDS:
                if text := getattr(instrument, name):
                    known[name] = max((newness, text), known.get(name, (newness, text)))

    def instruments(self) -> list[Instrument]:
        """Returns the instruments, by account and conid."""
        made = []
        for (account, conid), fields in sorted(self._fields.items()):
            day, generated_at, _ = self._newest[account, conid]
            texts: dict[str, Any] = {name: fields[name][1] if name in fields else "" for name in DESCRIBING_FIELDS}
            made.append(Instrument(account=account, conid=conid, day=day, generated_at=generated_at, **texts))
        return made
