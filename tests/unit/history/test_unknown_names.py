"""What IBKR has added since is named, once each; what is known is not."""

from ibkr_tools.flex.statement_xml import read_statements
from ibkr_tools.history.unknown_names import unknown_names
from tests.support.flex_statements import Sections, document, statement, week


def names(sections: Sections) -> list[str]:
    return unknown_names(read_statements(document(statement(sections))))


def test_the_week_is_known() -> None:
    assert names(week()) == []


def test_what_is_new_is_named_once() -> None:
    sections: Sections = {
        "NewThings": [("NewThing", {"a": "1"}), ("NewThing", {"a": "2"})],
        "CashTransactions": [("CashTransaction", {"type": kind}) for kind in ("Magic", "Magic", "Dividends", "")],
        "Trades": [("Trade", {"transactionType": "TimeTravel"}), ("Trade", {"transactionType": "ExchTrade"})],
        "Transfers": [("Transfer", {"type": "FOP"}), ("Transfer", {"type": "PIGEON"})],
        "CorporateActions": [("CorporateAction", {"type": "FS"}), ("CorporateAction", {"type": "ZZ"})],
    }
    assert names(sections) == [
        "section NewThings",
        "cash transaction of the type 'Magic'",
        "Trade of the transactionType 'TimeTravel'",
        "Transfer of the type 'PIGEON'",
        "CorporateAction of the type 'ZZ'",
    ]
