"""The JSON bodies of session calls, as functions of the state. Shapes: docs/reference/session.md."""

from typing import Any

from ibkr_tools.simulator.options import UserKind
from ibkr_tools.simulator.simulated_accounts import Account
from ibkr_tools.simulator.simulated_sessions import Session, World

__all__ = ["auth_status", "brokerage_accounts", "one_user", "sts_args", "system_frame", "tickle", "validate"]

MAC = "F4:03:43:00:00:01"
SERVER = {"serverName": "JifN10001", "serverVersion": "Build 10.44.1d, Mar 3, 2026 1:55:32 PM"}


def auth_status(world: World, session: Session) -> dict[str, Any]:
    """Return the auth status object; without `competing` (a setting) the jar stumbles."""
    competing = {"competing": session.is_competing} if world.behaviour.competing else {}
    if not session.is_authenticated:
        return {"authenticated": False, **competing, "connected": world.behaviour.connected,
                "message": "", "MAC": MAC}  # fmt: skip
    return {"authenticated": True, "established": True, **competing, "connected": True, "message": "",
            "MAC": MAC, "serverInfo": dict(SERVER), "hardware_info": f"1c4558e8|{MAC}"}  # fmt: skip


def tickle(world: World, session: Session) -> dict[str, Any]:
    """Return the answer of `/tickle`, in the shape that is set."""
    answer = {"session": session.session_id, "ssoExpires": world.expires_in_ms(session),
              "collission": session.is_competing, "userId": session.user.user_id,
              "hmds": {"error": "no bridge"}, "iserver": {"authStatus": auth_status(world, session)}}  # fmt: skip
    match world.behaviour.tickle:
        case "no-iserver":
            del answer["iserver"]
        case "iserver-error":
            answer["iserver"] = {"error": "not authenticated"}
        case "no-auth-status":
            answer["iserver"] = {"tickle": True}
        case "older":
            del answer["hmds"]
            status = {key: value for key, value in auth_status(world, session).items()
                      if key in ("authenticated", "competing", "connected", "message", "MAC")}  # fmt: skip
            answer["iserver"] = {"tickle": True, "authStatus": status}
    return answer


def validate(world: World, session: Session) -> dict[str, Any]:
    """Return the answer of `/sso/validate`."""
    user = session.user
    return {"USER_ID": user.user_id, "USER_NAME": user.username, "RESULT": True,
            "AUTH_TIME": int(session.created_at * 1000), "SF_ENABLED": False, "IS_FREE_TRIAL": False,
            "CREDENTIAL": user.username, "IP": "198.51.100.7", "EXPIRES": world.expires_in_ms(session),
            "QUALIFIED_FOR_MOBILE_AUTH": None, "LANDING_APP": "UNIVERSAL", "IS_MASTER": False,
            "lastAccessed": int(session.seen_at * 1000), "LOGIN_TYPE": 2 if user.paper else 1,
            "PAPER_USER_NAME": "demo-paper", "region": "NJ",
            "features": {"env": "PROD", "wlms": True, "realtime": True, "bond": True, "optionChains": True,
                         "calendar": True, "newMf": True}}  # fmt: skip


def one_user(session: Session, accounts: list[Account]) -> dict[str, Any]:
    """Return the answer of `/one/user`; its `uar` map tells what the user may do."""
    trading = session.user.kind is UserKind.TRADING
    return {"username": session.user.username, "features": {}, "wbId": "",
            "uar": {"portfolioAnalyst": True, "userInfo": True, "messageCenter": True, "accountDetails": True,
                    "tradingRestrictions": trading, "tws": trading, "fyi": True, "voting": trading, "forum": trading,
                    "recentTransactions": True},
            "props": {"isIBAMClient": False, "ReadOnlySession": None},
            "accts": {account.account_id: {"isIBAMClient": False, "clearingStatus": "O",
                                           "openDate": 1_772_812_800_000, "isFAClient": session.user.advisor,
                                           "isFunded": True,
                                           "tradingPermissions": ["STK", "CASH"] if trading else []}
                      for account in accounts},
            "hasBrokerageAccessInd": trading, "hfcipEligibleInd": False, "fa": session.user.advisor, "has2fa": False,
            "islite": False, "ispaper": session.user.paper,
            "applicants": [{"id": 1, "type": "INDIVIDUAL", "businessType": "INDEPENDENT", "nlcode": "en_US",
                            "legalCountry": {"name": "Germany", "alpha3": "DEU"}}]}  # fmt: skip


def brokerage_accounts(session: Session, accounts: list[Account]) -> dict[str, Any]:
    """Return the answer of `/iserver/accounts`, also the `args` of the socket's `act` frame."""
    names = [account.account_id for account in accounts]
    properties = {"hasChildAccounts": False, "supportsCashQty": True, "liteUnderPro": False, "noFXConv": False,
                  "isProp": False, "supportsFractions": True, "allowCustomerTime": False, "autoFx": False}  # fmt: skip
    return {"accounts": names, "acctProps": {name: dict(properties) for name in names},
            "aliases": {name: name for name in names},
            "allowFeatures": {"showGFIS": True, "showEUCostReport": False, "allowFXConv": True,
                              "allowFA": session.user.advisor, "allowDynAccount": session.user.advisor,
                              "allowCrypto": True, "snapshotRefreshTimeout": 30,
                              "allowedAssetTypes": "STK,CFD,OPT,FOP,WAR,FUT,CASH,IND,BOND,FUND,CMDTY,CRYPTO"},
            "chartPeriods": {"STK": ["*"], "OPT": ["2h", "1d", "2d", "1w", "1m"], "CASH": ["*"]}, "groups": [],
            "profiles": [], "selectedAccount": names[0], "serverInfo": dict(SERVER),
            "sessionId": f"{session.session_id[:8]}.0000001e", "isFT": False,
            "isPaper": session.user.paper}  # fmt: skip


def system_frame(session: Session) -> dict[str, Any]:
    """Return the first frame of a WebSocket that has a session."""
    return {"topic": "system", "success": session.user.username, "isFT": False, "isPaper": session.user.paper}


def sts_args(session: Session) -> dict[str, Any]:
    """Return the `args` of an `sts` frame."""
    return {"authenticated": session.is_authenticated, "competing": session.is_competing,
            "connected": True, "established": session.is_authenticated, "message": "", "fail": "", **SERVER,
            "username": session.user.username}  # fmt: skip
