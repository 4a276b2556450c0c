"""How the simulator shows each state of the login page, for tests in Chromium."""

from dataclasses import dataclass, field
from typing import Any

from ibkr_tools.login.page_snapshot import LOGIN_PATH
from ibkr_tools.login.page_states import PageState

__all__ = ["PAGE_STATE_CASES", "PageStateCase"]


@dataclass(frozen=True, kw_only=True)
class PageStateCase:
    """A state, and what the simulator does to show it.

    `page` are its page's settings, `fault` is a fault of it; `path` is opened, and with `submits` user name and
    password are submitted there.
    """

    state: PageState
    page: dict[str, Any] = field(default_factory=dict)
    fault: dict[str, Any] = field(default_factory=dict)
    path: str = LOGIN_PATH
    submits: bool = False

    def __str__(self) -> str:
        return f"{self.state.name}-{self.page or self.fault or self.path}"[:60]


def _login_fault(kind: str, **more: object) -> dict[str, Any]:
    return {"path": "/sso/Login", "kind": kind, **more}


PAGE_STATE_CASES = [
    PageStateCase(state=PageState.PENDING, fault=_login_fault("hang")),
    PageStateCase(state=PageState.UNREACHABLE, fault=_login_fault("close")),
    PageStateCase(state=PageState.DENIED, fault=_login_fault("status", status=404, body="Access Denied")),
    PageStateCase(state=PageState.RESTRICTED, path="/sso/restricted/verification"),
    PageStateCase(state=PageState.RESTRICTED, page={"document": '<form class="form-email">An e-mailed code</form>'}),
    PageStateCase(state=PageState.UNSTYLED, page={"unstyled": True}),
    PageStateCase(state=PageState.CONSENT, page={"consent": True}),
    PageStateCase(state=PageState.PROMO, page={"promo_before": True}),
    PageStateCase(state=PageState.PASSKEY, page={"second_factor": "fido"}, submits=True),
    PageStateCase(state=PageState.PASSKEY, page={"document": "<h1>Create your passkey</h1><button>Go on</button>"}),
    PageStateCase(state=PageState.SECOND_FACTOR, page={"second_factor": "silver"}, submits=True),
    PageStateCase(state=PageState.LOADING, page={"spinner": "before"}),
    PageStateCase(state=PageState.ERROR, page={"notice": "Your last login was in 1999"}),
    PageStateCase(state=PageState.FINISHED, page={"dispatcher": "302-nothing"}, submits=True),
    PageStateCase(state=PageState.TASKS, path="/sso/tasks"),
    PageStateCase(state=PageState.CREDENTIALS),
    PageStateCase(state=PageState.USERNAME_STEP, page={"two_steps": True}),
    PageStateCase(
        state=PageState.INCOMPLETE, page={"form_delay_ms": 60_000}, fault={"path": "/sso/lib/*", "kind": "hang"}
    ),
    PageStateCase(state=PageState.MAINTENANCE, page={"instead": "maintenance"}),
    PageStateCase(state=PageState.BLOCKED, page={"instead": "edge"}),
    PageStateCase(state=PageState.TOO_MANY, page={"instead": "429"}),
    PageStateCase(state=PageState.SERVER_ERROR, fault=_login_fault("status", status=503)),
    PageStateCase(state=PageState.BLANK, page={"blank": True}),
    PageStateCase(state=PageState.UNKNOWN, page={"hide": [".loginformWrapper"]}),
]
