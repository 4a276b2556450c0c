"""Keeps one read-only Interactive Brokers user signed in, and turns the account into files and filters."""

__version__ = "0.1.0"
