"""What `ibkr-tools fetch positions --jq '.positions|length'` does, as a user of ibind 0.2.2 would write it.

Runs in ibind's own environment: fetch_with_ibind.py URL CERTIFICATE ACCOUNT.
"""

import sys

from ibind import IbkrClient

PAGE = 100


def main(url: str, certificate: str, account: str) -> None:
    client = IbkrClient(url=url, cacert=certificate, account_id=account)
    rows: list[object] = []
    for page in range(1000):
        batch = client.positions(page=page).data
        rows += batch
        if len(batch) < PAGE:
            break
    print(len(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
