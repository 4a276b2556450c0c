"""IBKR's Client Portal API as this machine's gateway serves it: requests, pacing, push, and what answers mean."""
