"""The columns of lists: which of IBKR's names CSV has, in which order, and which names mean the same. Pure."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence

from ibkr_tools.errors import UsageError

__all__ = ["ALL", "FIXED", "SAME", "choose", "raw_of"]

ALL = "all"
"""What asks for every column that came."""

POSITIONS = tuple(
    """
    acctId model conid contractDesc assetClass currency position mktPrice mktValue avgCost avgPrice unrealizedPnl
    realizedPnl expiry putOrCall strike multiplier undConid ticker name listingExchange sector group
    """.split()  # noqa: SIM905
)

FIXED: Mapping[str, tuple[str, ...]] = {
    "positions": POSITIONS,
    "positions2": POSITIONS,
    "position": POSITIONS,
    "positions_by_conid": POSITIONS,
    "accounts": (
        "id", "accountTitle", "displayName", "accountAlias", "currency", "type", "tradingType", "clearingStatus",
        "faclient", "desc",
    ),
    "summary": ("account", "key", "amount", "currency", "value", "isNull", "timestamp"),
    "ledger": (
        "account", "currency", "cashbalance", "settledcash", "stockmarketvalue", "stockoptionmarketvalue",
        "futuremarketvalue", "futureoptionmarketvalue", "corporatebondsmarketvalue", "tbondsmarketvalue",
        "tbillsmarketvalue", "funds", "moneyfunds", "warrantsmarketvalue", "issueroptionsmarketvalue",
        "commoditymarketvalue", "cryptocurrencyvalue", "dividends", "interest", "futuresonlypnl", "unrealizedpnl",
        "realizedpnl", "netliquidationvalue", "exchangerate", "timestamp",
    ),
    "allocation": ("account", "by", "name", "long", "short"),
    "consolidated_allocation": ("by", "name", "long", "short"),
    "trades": (
        "account", "execution_id", "trade_time", "trade_time_r", "conid", "symbol", "contract_description_1",
        "sec_type", "side", "size", "price", "net_amount", "commission", "exchange", "order_ref", "order_description",
    ),
    "orders": (
        "acct", "orderId", "conid", "ticker", "secType", "description1", "side", "orderType", "price", "totalSize",
        "filledQuantity", "remainingQuantity", "avgPrice", "timeInForce", "status", "cashCcy", "orderDesc",
        "lastExecutionTime_r", "order_ref",
    ),
}  # fmt: skip
"""Of the lists that people look at most: IBKR sends the same row with 21 fields today and with 48 tomorrow."""

_OF_POSITIONS = {
    "acctId": ("acctId", "account"),
    "contractDesc": ("contractDesc", "description"),
    "assetClass": ("assetClass", "secType"),
    "mktPrice": ("mktPrice", "marketPrice"),
    "mktValue": ("mktValue", "marketValue"),
}
"""Where IBKR answers past its cache (`--fresh`), and where rows are found by account, the names are others."""

SAME: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    **{name: _OF_POSITIONS for name, columns in FIXED.items() if columns is POSITIONS},
    "accounts": {"id": ("id", "accountId")},
    "trades": {"account": ("account", "accountCode")},
    "orders": {"acct": ("acct", "account")},
    "ledger": {"account": ("account", "acctcode"), "interest": ("interest", "accruals")},
}
"""By resource and column: where the value is; the first that is there and not null counts."""


def raw_of(record: Mapping[str, bytes], resource: str, column: str) -> bytes:
    """Returns the JSON of a column of a row; `null` where there is nothing."""
    names = SAME.get(resource, {}).get(column, (column,))
    return next((record[name] for name in names if record.get(name, b"null") != b"null"), b"null")


def choose(resource: str, asked: str | None, came: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Returns the columns to write.

    Args:
        resource: whose rows they are; empty for those of a jq program.
        asked: what `--columns` says: names with commas between them, or `all`; None: the fixed ones, if there are any.
        came: returns the columns that the rows have.

    Raises:
        UsageError: a name that is neither fixed for this resource nor in any row, or is asked for twice.
    """
    fixed = FIXED.get(resource, ())
    if asked is None:
        return fixed or came()
    if asked.strip() == ALL:
        return came()
    names = [name.strip() for name in asked.split(",")]
    known: Iterable[str] = ()
    for number, name in enumerate(names):
        if name in names[:number]:
            raise UsageError(f"--columns: {name} is there twice")
        if name in fixed:
            continue
        known = known or came()
        if name not in known:
            close = difflib.get_close_matches(name, [*fixed, *known], n=1)
            meant = f" (did you mean {close[0]!r}?)" if close else ""
            hint = "`--columns all` prints every column that came."
            raise UsageError(f"--columns: no column {name!r} in {resource or 'these rows'}{meant}", hint=hint)
    return names
