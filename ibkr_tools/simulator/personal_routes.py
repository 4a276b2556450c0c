"""Who owns an account. All people are made up. Source: docs/reference/user-answers.md."""

from typing import Any

from aiohttp import web

from ibkr_tools.simulator.context import context_of, reply, session_of
from ibkr_tools.simulator.request_parsing import BAD_ACCOUNT, Route

__all__ = ["ROUTES"]

PERSON: dict[str, Any] = {"firstName": "Jörg", "lastName": "Šimůnek", "entityType": "INDIVIDUAL",
                          "entityName": "Jörg Šimůnek", "dateOfBirth": "1990-01-15"}  # fmt: skip


async def signatures(request: web.Request) -> web.Response:
    """Name the owners of an account."""
    session = session_of(request)
    account = context_of(request).account(session, request.match_info["account"])
    if account is None:
        return reply(BAD_ACCOUNT, 400)
    owner = {"roleId": "OWNER", "hasRightCodeInd": True, "userName": session.user.username, "entity": PERSON}
    return reply({"accountId": account.account_id, "users": [owner],
                  "applicant": {"signatures": [PERSON["entityName"]]}})  # fmt: skip


ROUTES: list[Route] = [
    ("GET", "/acesws/{account}/signatures-and-owners", signatures),
]
