"""Benchmarks: what a user waits for and what stays in memory, measured against the simulator and IBKR's real jar."""
