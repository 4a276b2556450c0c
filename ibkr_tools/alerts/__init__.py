"""Delivers the alerts of the outbox by a person's own command: one when something needs them, one when it is over."""
