"""IBKR's Java gateway on this machine: its files, its certificate, its process; not its session."""
