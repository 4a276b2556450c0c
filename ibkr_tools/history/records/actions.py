"""What happens to positions without a trade: corporate actions, transfers, dividends that are due. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ibkr_tools.flex.statement_xml import Row
from ibkr_tools.history.records.row_fields import details, level_of, moment_of, number_of, text_of
from ibkr_tools.history.records.statement_context import StatementContext
from ibkr_tools.number_format import exact_sum


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """What a split, merger, spin-off or the like did to one instrument; the others have rows of their own.

    `type` is IBKR's (FS, TC, SO …). `quantity` is what came, negative what went; `proceeds` is cash that came.
    """

    account: str
    day: date
    number: int
    type: str
    action_id: str
    conid: str
    symbol: str
    asset_class: str
    description: str
    currency: str
    rate: Decimal | None
    quantity: Decimal | None
    amount: Decimal | None
    proceeds: Decimal | None
    value: Decimal | None
    realized: Decimal | None
    happened_at: str
    code: str
    transaction_id: str
    generated_at: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """A position or cash that came from another account or went to one; what went is negative.

    `type` is IBKR's: INTERNAL is one between accounts of the same owner; `counterpart` is the other account's number.
    `amount_in_base` is position and cash together in the base currency, None where one has no rate.
    """

    account: str
    day: date
    number: int
    type: str
    direction: str
    counterpart: str
    company: str
    conid: str
    symbol: str
    asset_class: str
    description: str
    currency: str
    rate: Decimal | None
    quantity: Decimal | None
    price: Decimal | None
    position_amount: Decimal | None
    cash_amount: Decimal | None
    amount_in_base: Decimal | None
    transaction_id: str
    generated_at: str


@dataclass(frozen=True, slots=True)
class DividendAccrual:
    """A dividend that was due and not yet paid at the end of a day; amounts are in `currency`, `tax` is subtracted."""

    account: str
    day: date
    number: int
    conid: str
    symbol: str
    currency: str
    rate: Decimal | None
    ex_day: str
    pay_day: str
    quantity: Decimal | None
    gross_rate: Decimal | None
    gross_amount: Decimal | None
    tax: Decimal | None
    fee: Decimal | None
    net_amount: Decimal | None
    net_in_base: Decimal | None
    code: str
    action_id: str
    generated_at: str


def corporate_actions(context: StatementContext, rows: Sequence[Row]) -> list[CorporateAction]:
    """Returns what the rows of CorporateActions have, each once: the details where there are any."""
    found = []
    for number, row in enumerate(details(rows)):
        day = context.booked_on(row, "reportDate", "dateTime")
        found.append(
            CorporateAction(
                account=context.account,
                day=day,
                number=number,
                type=text_of(row, "type"),
                action_id=text_of(row, "actionID"),
                conid=text_of(row, "conid"),
                symbol=text_of(row, "symbol"),
                asset_class=text_of(row, "assetCategory"),
                description=text_of(row, "actionDescription") or text_of(row, "description"),
                currency=text_of(row, "currency"),
                rate=context.rate(row, day),
                quantity=number_of(row, "quantity"),
                amount=number_of(row, "amount"),
                proceeds=number_of(row, "proceeds"),
                value=number_of(row, "value"),
                realized=number_of(row, "fifoPnlRealized"),
                happened_at=moment_of(row, "dateTime"),
                code=text_of(row, "code"),
                transaction_id=text_of(row, "transactionID"),
                generated_at=context.generated_at,
            )
        )
    return found


def transfers(context: StatementContext, rows: Sequence[Row]) -> list[Transfer]:
    """Returns what the rows of Transfers have; the lots of what was transferred are none of their own."""
    of_transfers = [row for row in rows if row.element == "Transfer" and "LOT" not in level_of(row)]
    found = []
    for number, row in enumerate(details(of_transfers)):
        day = context.booked_on(row, "reportDate", "date", "dateTime")
        position, cash = number_of(row, "positionAmount"), number_of(row, "cashTransfer")
        in_base = number_of(row, "positionAmountInBase")
        if in_base is None:
            in_base = context.in_base(position, row, day)
        cash_in_base = context.in_base(cash, row, day)
        lacks_a_rate = (bool(position) and in_base is None) or (bool(cash) and cash_in_base is None)
        found.append(
            Transfer(
                account=context.account,
                day=day,
                number=number,
                type=text_of(row, "type"),
                direction=text_of(row, "direction"),
                counterpart=text_of(row, "account"),
                company=text_of(row, "company"),
                conid=text_of(row, "conid"),
                symbol=text_of(row, "symbol"),
                asset_class=text_of(row, "assetCategory"),
                description=text_of(row, "description"),
                currency=text_of(row, "currency"),
                rate=context.rate(row, day),
                quantity=number_of(row, "quantity"),
                price=number_of(row, "transferPrice"),
                position_amount=position,
                cash_amount=cash,
                amount_in_base=None if lacks_a_rate else exact_sum([in_base, cash_in_base]),
                transaction_id=text_of(row, "transactionID"),
                generated_at=context.generated_at,
            )
        )
    return found


def dividend_accruals(context: StatementContext, rows: Sequence[Row]) -> list[DividendAccrual]:
    """Returns the dividends that the rows of OpenDividendAccruals have, as of the statement's last day."""
    found = []
    for number, row in enumerate(details(rows)):
        net = number_of(row, "netAmount")
        found.append(
            DividendAccrual(
                account=context.account,
                day=context.last_day,
                number=number,
                conid=text_of(row, "conid"),
                symbol=text_of(row, "symbol"),
                currency=text_of(row, "currency"),
                rate=context.rate(row, context.last_day),
                ex_day=moment_of(row, "exDate")[:10],
                pay_day=moment_of(row, "payDate")[:10],
                quantity=number_of(row, "quantity"),
                gross_rate=number_of(row, "grossRate"),
                gross_amount=number_of(row, "grossAmount"),
                tax=number_of(row, "tax"),
                fee=number_of(row, "fee"),
                net_amount=net,
                net_in_base=context.in_base(net, row, context.last_day),
                code=text_of(row, "code"),
                action_id=text_of(row, "actionID"),
                generated_at=context.generated_at,
            )
        )
    return found
