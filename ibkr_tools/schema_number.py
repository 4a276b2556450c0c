"""The number that each file of ours says its form by. A file of another number is named as one, and not guessed at."""

import msgspec


class _Numbered(msgspec.Struct):
    schema: int | None = None


def read_schema(data: bytes) -> int | None:
    """Returns the number that a JSON file has, None if it is no object or has none."""
    try:
        return msgspec.json.decode(data, type=_Numbered).schema
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def describe_other(data: bytes, known: int) -> str | None:
    """Says that a file is of another number than `known`; None: it is not, or has none.

    Args:
        data: the file's content.
        known: the number that this version writes and reads.
    """
    schema = read_schema(data)
    return None if schema in {None, known} else f"is of schema {schema}, this version knows {known}"
