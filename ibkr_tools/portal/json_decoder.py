"""Decodes the JSON of IBKR's answers, and of what is saved of them. Pure."""

from typing import Any

import msgspec


def decode_json(body: bytes) -> Any:
    """Returns what JSON says; a number that no double holds, such as 1e400, is an infinity: a mark, not a number.

    Raises:
        msgspec.DecodeError: the body is no JSON.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        if "out of range" not in str(error):
            raise
        return msgspec.json.Decoder(float_hook=float).decode(body)
