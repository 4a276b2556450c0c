"""Loads what all tests share."""

pytest_plugins = ["tests.support.layers"]
