"""For how long a read is tried again. It imports nothing: the command line needs it for a help text."""

DEFAULT_RETRY_S = 30.0
"""For how long one read is tried again, in seconds, if nothing else is said."""

MAX_RETRY_S = 3600.0
"""The longest time for which one read may be tried again, in seconds: an hour."""
