"""Numbers that several programs have to agree on before any of them has read a configuration."""

SIMULATOR_PORT = 5080
"""Where the simulator stands in for IBKR's servers, on 127.0.0.1."""

SIMULATOR_CONTROL_PORT = 5081
"""Where the simulator takes orders, on 127.0.0.1."""
