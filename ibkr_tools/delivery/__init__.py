"""Tells a person what is in the outbox: once when something needs them, once when it is over, by their own command."""
