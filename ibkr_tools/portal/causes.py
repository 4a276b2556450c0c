"""What stands behind an error of the HTTP libraries: the kernel's or TLS's own one, wherever they hide it."""

import ssl


def _causes(error: BaseException) -> list[BaseException]:
    """Lists an error and what stands behind it, where requests and urllib3 hide it."""
    found: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        item = queue.pop()
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            queue += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]
    return found


def is_stranger(error: BaseException) -> bool:
    """Says whether TLS itself failed; a connection that merely ended during it is not the other program's fault."""
    ended = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
    return any(isinstance(cause, ssl.SSLError) and not isinstance(cause, ended) for cause in _causes(error))


def is_refused(error: BaseException) -> bool:
    """Says whether nothing listens."""
    return any(isinstance(cause, ConnectionRefusedError) for cause in _causes(error))


def is_timeout(error: BaseException) -> bool:
    """Says whether somebody was silent for too long."""
    return any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in _causes(error))
