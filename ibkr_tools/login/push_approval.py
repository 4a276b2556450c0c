"""Whether somebody has approved a push: by what IBKR answers the page, and by what the page has come to say."""

import json

from ibkr_tools.login.browser_protocol import LoginBrowser, PageChanging
from ibkr_tools.login.page_snapshot import AUTHENTICATOR, PageSnapshot, second_factor_element
from ibkr_tools.login.page_vocabulary import says
from ibkr_tools.login.redaction import unredacted
from ibkr_tools.page_elements import SecondFactor

__all__ = ["PushApproval"]

_PUSH = second_factor_element(SecondFactor.NOTIFICATION)


class PushApproval:
    """Notices the approval of one push; `is_given` stays true."""

    def __init__(self) -> None:
        self.is_given = False
        self._before: tuple[str, str] | None = None

    def look(self, snapshot: PageSnapshot, browser: LoginBrowser) -> bool:
        """Takes the next snapshot; says whether this was the one that shows the approval."""
        texts = unredacted(snapshot.visible.get(_PUSH, "")), unredacted(snapshot.text)
        self._before = self._before or texts
        if self.is_given:
            return False
        news = " | ".join(_news(before, now) for before, now in zip(self._before, texts, strict=True))
        is_said = says(news, "approved") and not says(news, "declined")
        self.is_given = is_said or _lets_in(browser)
        return self.is_given


def _news(before: str, now: str) -> str:
    """Returns what a text says and did not say before: without the words that both begin and end with."""
    old, new = before.split(), now.split()
    most = min(len(old), len(new))
    begin = next((at for at in range(most) if old[at] != new[at]), most)
    end = next((at for at in range(most - begin) if old[-1 - at] != new[-1 - at]), most - begin)
    return " ".join(new[begin : len(new) - end])


def _lets_in(browser: LoginBrowser) -> bool:
    """Says whether IBKR's last answer to the page lets the user in, and asks for no second factor any more."""
    try:
        answer = json.loads(unredacted(browser.last_answer(AUTHENTICATOR) or "{}"))
    except (PageChanging, json.JSONDecodeError):
        return False
    return isinstance(answer, dict) and answer.get("auth_res") in (True, "true") and not answer.get("sftypes")
