"""A stand-in for IBKR's servers, good enough for IBKR's own gateway program. Not a broker: nothing here trades.

It runs behind the gateway (plain HTTP) or as the gateway (TLS); a control port switches trouble on and off.
Needs the extra `simulator`; `docs/simulator.md` shows how to play with it.
"""

from ibkr_tools.simulator.control_client import ControlClient, ControlError
from ibkr_tools.simulator.options import DEFAULT_USERS, SimulatorOptions, User, UserKind, account_numbers
from ibkr_tools.simulator.server import Simulator, serve

__all__ = [
    "DEFAULT_USERS",
    "ControlClient",
    "ControlError",
    "Simulator",
    "SimulatorOptions",
    "User",
    "UserKind",
    "account_numbers",
    "serve",
]
