"""Keeps the session alive, notices its loss, decides what to do; holds no password and starts no browser."""
