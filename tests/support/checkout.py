"""Where this checkout is: tests read its documents and units, and run its programs."""

from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
