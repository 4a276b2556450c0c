"""Fetching IBKR's distribution from IBKR."""

from pathlib import Path

from ibkr_tools import files
from ibkr_tools.errors import DistributionError
from ibkr_tools.gateway.distribution import PUBLIC_ZIP
from ibkr_tools.gateway.distribution_install import MAX_ZIP_BYTES

__all__ = ["PUBLIC_ZIP", "download"]

_CHUNK = 1 << 16


def download(url: str, to: Path, *, deadline_s: float = 600, max_bytes: int = MAX_ZIP_BYTES) -> None:
    """Fetches IBKR's zip to the file `to`, whole or not at all.

    Raises:
        DistributionError: not reachable, refused, too slow, too large, cut off, or not writable here.
    """
    import tempfile
    import time

    import requests

    from ibkr_tools.deadline_adapter import DeadlineAdapter

    by_hand = f"Fetch {url} with a browser and give the file: ibkr-tools gateway install FILE.zip"
    give_up_at = time.monotonic() + deadline_s
    received = 0
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, DeadlineAdapter(give_up_at))
    try:
        with (
            session,
            session.get(url, stream=True, headers={"Accept-Encoding": "identity"}) as response,
            tempfile.NamedTemporaryFile(dir=to.parent, prefix=f".{to.name}.") as temporary,
        ):
            response.raise_for_status()
            if url.startswith("https:") and not response.url.startswith("https:"):
                raise DistributionError(f"{url}: leads to an address without TLS", hint=by_hand)
            for chunk in response.iter_content(_CHUNK):
                received += len(chunk)
                if received > max_bytes:
                    raise DistributionError(f"{url}: more than {max_bytes // 1_000_000} MB", hint=by_hand)
                temporary.write(chunk)
            announced = response.headers.get("Content-Length", "")
            if announced.isdigit() and int(announced) != received:
                raise DistributionError(f"{url}: cut off after {received} of {announced} bytes", hint=by_hand)
            temporary.flush()
            temporary.seek(0)
            files.write_atomically(to, temporary.read(), mode=0o644)
    except requests.HTTPError as error:
        raise DistributionError(f"{url}: HTTP {error.response.status_code}", hint=by_hand) from error
    except requests.RequestException as error:
        if time.monotonic() >= give_up_at:
            raise DistributionError(f"{url}: not complete after {deadline_s:.0f} s", hint=by_hand) from error
        raise DistributionError(f"{url}: not reachable ({type(error).__name__})", hint=by_hand) from error
    except OSError as error:
        raise DistributionError(f"{to}: {error.strerror}") from error
