"""The columns of lists: which of IBKR's names CSV has, in which order, and which names mean the same. Pure."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence

from ibkr_tools.errors import UsageError

__all__ = ["ALL_COLUMNS", "COLUMN_ALIASES", "DEFAULT_COLUMNS", "column_value", "select_columns"]

ALL_COLUMNS = "all"
"""What asks for every column that came."""

POSITION_COLUMNS = tuple(
    """
    acctId model conid contractDesc assetClass currency position mktPrice mktValue avgCost avgPrice unrealizedPnl
    realizedPnl expiry putOrCall strike multiplier undConid ticker name listingExchange sector group
    """.split()  # noqa: SIM905
)

DEFAULT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "positions": POSITION_COLUMNS,
    "positions2": POSITION_COLUMNS,
    "position": POSITION_COLUMNS,
    "positions_by_conid": POSITION_COLUMNS,
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

_POSITION_ALIASES = {
    "acctId": ("acctId", "account"),
    "contractDesc": ("contractDesc", "description"),
    "assetClass": ("assetClass", "secType"),
    "mktPrice": ("mktPrice", "marketPrice"),
    "mktValue": ("mktValue", "marketValue"),
}
"""Where IBKR answers past its cache (`--fresh`), and where rows are found by account, the names are others."""

COLUMN_ALIASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    **{name: _POSITION_ALIASES for name, columns in DEFAULT_COLUMNS.items() if columns is POSITION_COLUMNS},
    "accounts": {"id": ("id", "accountId")},
    "trades": {"account": ("account", "accountCode")},
    "orders": {"acct": ("acct", "account")},
    "ledger": {"account": ("account", "acctcode"), "interest": ("interest", "accruals")},
}
"""By resource and column: where the value is; the first that is there and not null counts."""


def column_value(record: Mapping[str, bytes], resource: str, column: str) -> bytes:
    """Returns the JSON of a column of a row; `null` where there is nothing."""
    names = COLUMN_ALIASES.get(resource, {}).get(column, (column,))
    return next((record[name] for name in names if record.get(name, b"null") != b"null"), b"null")


def select_columns(resource: str, requested: str | None, available: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Returns the columns to write.

    Args:
        resource: whose rows they are; empty for those of a jq program.
        requested: what `--columns` says: names with commas between them, or `all`; None: the default ones, if any.
        available: returns the columns that the rows have.

    Raises:
        UsageError: a name that is neither a default column of this resource nor in any row, or is asked for twice.
    """
    default = DEFAULT_COLUMNS.get(resource, ())
    if requested is None:
        return default or available()
    if requested.strip() == ALL_COLUMNS:
        return available()
    names = [name.strip() for name in requested.split(",")]
    known: Iterable[str] = ()
    for number, name in enumerate(names):
        if name in names[:number]:
            raise UsageError(f"--columns: {name} is there twice")
        if name in default:
            continue
        known = known or available()
        if name not in known:
            close = difflib.get_close_matches(name, [*default, *known], n=1)
            suggestion = f" (did you mean {close[0]!r}?)" if close else ""
            hint = "`--columns all` prints every column that came."
            raise UsageError(f"--columns: no column {name!r} in {resource or 'these rows'}{suggestion}", hint=hint)
    return names
