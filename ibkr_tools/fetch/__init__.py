"""Turns the account into one snapshot, complete or failed, and the snapshot into files and tables."""
