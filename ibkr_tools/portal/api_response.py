"""An answer of the API. Data alone."""

from typing import Any

import msgspec


class ApiResponse(msgspec.Struct, frozen=True):
    """One good answer: decoded, and as it came, for whoever wants numbers as IBKR wrote them.

    `age_s` is the age of an answer from the response cache, in seconds; 0 for one that has just come. Where nothing
    came (204), the payload is None and the body `null`. `took_s` is the time from request to answer, in seconds.
    """

    payload: Any
    body: bytes
    age_s: float = 0.0
    took_s: float = 0.0
