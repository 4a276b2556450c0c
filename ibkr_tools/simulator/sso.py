"""The login page and its endpoints: Login, Authenticator, Dispatcher, ping.

Source: docs/reference/login-page.md#steps.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from importlib.resources import files

import msgspec
from aiohttp import web

from ibkr_tools.simulator.context import Context, context_of, empty, reply
from ibkr_tools.simulator.password_authentication import Outcome
from ibkr_tools.simulator.redesign import choose_redesign
from ibkr_tools.simulator.redesign_page import FRAME_PATH, SCRIPT_PATH, RedesignedPage, render_redesign
from ibkr_tools.simulator.simulated_sessions import Session

__all__ = ["INVALID", "ROUTES", "WRONG_MODE_LIVE", "WRONG_MODE_PAPER"]

INVALID = "Invalid username password combination"
WRONG_MODE_LIVE = (
    "You have selected the Live Account Mode, but the specified user is a Paper Trading user. "
    "Please select the correct Login mode."
)
WRONG_MODE_PAPER = (
    "You have selected the Paper Account Mode, but the specified user is a Live Account user. "
    "Please select the correct Login mode."
)
SUCCESS = "Client login succeeds"
DUPLICATE = (
    '<form class="xyzform-old" style="display:none"><button type="submit" '
    'class="btn btn-lg btn-primary xyz-button-login">Login</button></form>'
)
RESTRICTED = (
    "<!DOCTYPE html><title>Verification Needed</title><h1>Verification Needed</h1>"
    '<form class="form-email"><input name="email-code"><button>Continue login</button></form>'
    '<a href="#">Skip Verification</a>'
)
TASKS = (
    "<!DOCTYPE html><title>Interactive Brokers</title><h1>Complete your login</h1>"
    '<div id="amContents"><p>Confirm your e-mail address.</p>'
    '<button id="completeLoginTaskButton">Continue</button></div>'
)
EDGE = (
    "<!DOCTYPE html><title>Access Denied</title><h1>Access Denied</h1>You don't have permission to access "
    '"http://api.ibkr.com/sso/Login" on this server.<p>Reference #18.5d2f1602.1700000000.1a2b3c4d</p>'
)
MAINTENANCE = "<!DOCTYPE html><title>Maintenance</title><h1>Our systems are down for scheduled maintenance.</h1>"
DECORATION = """
<style>
  @font-face { font-family: Brand; src: url(/portal.proxy/brand.woff2) }
  .brand { font-family: Brand; background: url(/portal.proxy/background.png) }
</style>
<aside class="brand"><img src="/portal.proxy/logo.png" srcset="/portal.proxy/logo@2x.png 2x" alt="">
<picture><source srcset="/portal.proxy/banner.webp"><img src="/portal.proxy/banner.png" alt=""></picture>
<video src="/portal.proxy/tour.mp4" poster="/portal.proxy/tour.png" preload="auto"></video>
<object data="/portal.proxy/seal.svg" type="image/svg+xml"></object>
<iframe src="/portal.proxy/news.html" title="News"></iframe></aside>
<script async src="/portal.proxy/analytics.js"></script>
<script>
  document.head.insertAdjacentHTML("beforeend", '<link rel="icon" href="/portal.proxy/icon.png">' +
    '<link rel="manifest" href="/portal.proxy/manifest.json"><link rel="preload" as="font" crossorigin ' +
    'href="/portal.proxy/preloaded.woff2"><link rel="prefetch" href="/portal.proxy/next.js">');
  fetch("/portal.proxy/v1/gstat/bulletins", {method: "POST", body: "{}"}).then((answer) => answer.json())
    .catch(() => undefined);
  navigator.sendBeacon("/portal.proxy/beacon", "event=boot");
  new EventSource("/portal.proxy/events");
</script>
"""
"""What a page can do without; nothing of it is there unless a test orders a fault for it."""
TOO_MANY_WAIT_S = 120
SHAPES = {
    "wrapper": ('<label for="toggle1">', "<span>", "</span></label>", "</span></span>"),
    "label": ('class="toggle-wrapper xyz-paperswitch"', "", "toggle-checkbox xyz-paper-switch", "toggle-checkbox"),
}
"""What to replace in the page by what, so that the live/paper switch has this shape."""
_PAGE = files("ibkr_tools.simulator").joinpath("page.html").read_text("utf-8")
_SCRIPT = files("ibkr_tools.simulator").joinpath("page.js").read_text("utf-8")


async def login_page(request: web.Request) -> web.Response:
    """Serve the page as it is set to look now, or what comes instead."""
    page = context_of(request).world.page
    if page.redirect:
        return web.Response(status=302, headers={"Location": page.redirect})
    instead = page.instead
    if page.document:
        return web.Response(text=page.document, content_type="text/html", charset="utf-8")
    if instead == "429":
        return web.Response(status=429, text="Too Many Requests", headers={"Retry-After": str(TOO_MANY_WAIT_S)})
    if instead:
        text, status = (EDGE, 403) if instead == "edge" else (MAINTENANCE, 200)
        return web.Response(status=status, text=text, content_type="text/html")
    response = web.Response(text=_render_page(context_of(request)), content_type="text/html", charset="utf-8")
    response.set_cookie("URL_PARAM", "forwardTo=22", path="/sso")
    return response


async def script(request: web.Request) -> web.Response:
    """Serve the login script."""
    page = context_of(request).world.page
    known = {"script_delay_ms", "restricted", "promo", "consent", "consent_returns", "paper_clears_fields"}
    known |= {"picker", "picker_options", "promo_before", "two_steps", "spinner", "resets", "init_again_ms", "notice"}
    known |= {"tasks", "paper_remounts", "echo", "silent", "hangs", "document_after", "after_approval"}
    shown = {key: value for key, value in msgspec.to_builtins(page).items() if key in known}
    text = _SCRIPT.replace("/*SETTINGS*/{}", json.dumps(shown))
    return web.Response(text=_renamed(text, page.rename), content_type="application/javascript", charset="utf-8")


async def never(request: web.Request) -> web.Response:
    """Answer nothing, until the browser hangs up."""
    await context_of(request).stopping.wait()
    return empty(204)


async def redesign_frame(request: web.Request) -> web.Response:
    """Serve what a redesigned page shows in a frame."""
    page = _render_redesign(context_of(request))
    return web.Response(text=page.frame if page else "", content_type="text/html", charset="utf-8")


async def redesign_script(request: web.Request) -> web.Response:
    """Serve the script of a redesigned page."""
    page = _render_redesign(context_of(request))
    text = page.script if page else ""
    return web.Response(text=text, content_type="application/javascript", charset="utf-8")


async def authenticator(request: web.Request) -> web.Response:
    """Take one step of the login: INIT, COMPLETEAUTH or COMPLETETWOFACT."""
    context, form = context_of(request), await request.post()
    page, authenticator = context.world.page, context.authenticator
    fields = {name: str(value) for name, value in form.items()}
    action, nonce, user = fields.get("ACTION"), fields.get("A", ""), fields.get("USER", "")
    if action == "INIT":
        await asyncio.sleep(page.init_delay_ms / 1000)
        if not user:
            return reply({"proto": "6", "paper": fields.get("LOGIN_TYPE") == "2"})
        salt, challenge = authenticator.begin(nonce, user, paper=fields.get("LOGIN_TYPE") == "2")
        return reply({"s": salt, "B": challenge, "hash": "SHA-256", "proto": "6", "lp": True})
    if action == "COMPLETEAUTH":
        await asyncio.sleep(page.auth_delay_ms / 1000)
        outcome = authenticator.complete(nonce, user, fields.get("M1", ""))
        await asyncio.sleep(page.verdict_delay_ms / 1000)
        accepted = outcome == "accepted"
        return reply({"auth_res": accepted, "reached_max_login": outcome == "locked",
                      "sftypes": (page.second_factor or "") if accepted else "",
                      "message": "" if accepted else page.error_text or _refusal(outcome, fields)})  # fmt: skip
    if action == "COMPLETEAUTH_1" and authenticator.is_proven(nonce):
        authenticator.factors.choose(nonce, fields.get("SF", ""))
        return reply({"challenge": "271 828"})
    if action == "COMPLETETWOFACT" and authenticator.is_proven(nonce):
        return _second_factor(context, nonce, fields)
    return reply({"auth_res": False, "message": INVALID})


def _second_factor(context: Context, nonce: str, fields: dict[str, str]) -> web.Response:
    page, authenticator = context.world.page, context.authenticator
    now = context.world.now() + context.world.behaviour.clock_skew_s
    if fields.get("PUSH") == "true":
        push = authenticator.factors.push_state(page, nonce)
        passed, answer = push == "approved", {"push": push}
    else:
        passed = authenticator.factors.accepts(page, nonce, fields.get("RESPONSE", ""), now=now)
        answer = {"message": "" if passed else page.second_factor_error}
    if passed:
        authenticator.pass_second_factor(nonce)
    return reply({"auth_res": passed, **answer})


async def dispatcher(request: web.Request) -> web.Response:
    """Finish the login: IBKR answers 302 and cookies, which the gateway turns into 200 and its own text."""
    context, form = context_of(request), await request.post()
    page, world = context.world.page, context.world
    await asyncio.sleep(page.dispatcher_delay_ms / 1000)
    user = context.authenticator.redeem(str(form.get("A", "")), second_factor=page.second_factor is not None)
    if user is None or page.dispatcher == "200-form":
        return await login_page(request)
    if page.dispatcher == "302-nothing":
        return web.Response(text=SUCCESS)
    session = world.open_session(user)
    if page.dispatcher.startswith("200-"):
        response = web.Response(
            text=RESTRICTED if page.dispatcher == "200-restricted" else TASKS, content_type="text/html"
        )
        _set_cookies(response, session)
        return response
    location = "/portal/?loginType=" + ("2" if user.paper else "1") + "&forwardTo=22"
    if page.dispatcher == "302-loop":
        response = web.Response(status=302, text=SUCCESS, headers={"Location": "/sso/Dispatcher"})
    elif world.options.is_gateway:
        # With a body in IBKR's answer the browser gets the 302 itself, though the jar counts it as a login.
        status, text = (302, SUCCESS) if page.dispatcher == "302-body" else (200, SUCCESS)
        response = web.Response(status=status, text=text, headers={"Location": location})
    else:
        body = "<html>Found</html>" if page.dispatcher == "302-body" else None
        response = web.Response(status=302, text=body, headers={"Location": location})
    _set_cookies(response, session)
    return response


async def ping(request: web.Request) -> web.Response:
    """Keep the SSO tier alive."""
    world = context_of(request).world
    session = world.find(request.cookies.get("XYZAB"))
    if session is None:
        return empty(401)
    world.touch(session)
    return reply({"result": "true"})


async def bulletins(request: web.Request) -> web.Response:
    """Tell about maintenance."""
    text = context_of(request).world.page.maintenance
    return reply({"bulletins": [{"id": "1", "message": text}] if text else []})


async def report(request: web.Request) -> web.Response:
    """Take the page's telemetry: a redesigned page tells what is typed into fields that are not for a password."""
    form, authenticator = await request.post(), context_of(request).authenticator
    if form.get("event") == "typed":
        authenticator.note_typed(str(form.get("value")))
    return reply({})


async def restricted(_request: web.Request) -> web.Response:
    """Show the page that wants a person with a mailbox."""
    return web.Response(text=RESTRICTED, content_type="text/html")


async def tasks(request: web.Request) -> web.Response:
    """Show the page that wants a user to confirm something, or whatever is set to come after the password."""
    text = context_of(request).world.page.document_after or TASKS
    return web.Response(text=text, content_type="text/html", charset="utf-8")


async def loop(_request: web.Request) -> web.Response:
    """Lead in circles."""
    return web.Response(status=302, headers={"Location": "/sso/Dispatcher"})


def _render_redesign(context: Context) -> RedesignedPage | None:
    page = context.world.page
    if page.redesign is None:
        return None
    known = {"script_delay_ms", "error_text", "picker_options", "document_after"}
    settings = {key: value for key, value in msgspec.to_builtins(page).items() if key in known}
    redesign = choose_redesign(page.redesign)
    if page.silent:
        redesign = msgspec.structs.replace(redesign, talks_first=False)
    return render_redesign(redesign, settings=settings)


def _render_page(context: Context) -> str:
    page = context.world.page
    if redesigned := _render_redesign(context):
        return _decorated(redesigned.document) if page.decorated else redesigned.document
    if page.blank:
        return "<!DOCTYPE html><html><head><title></title></head><body></body></html>"
    text = _PAGE.replace("/*FORM_DELAY*/0", str(page.form_delay_ms))
    if page.hangs == "frame":
        text = text.replace("</footer>", '<iframe src="/sso/never" title=""></iframe></footer>')
    if page.unstyled:
        text = text[: text.index("<style>")] + text[text.index("</style>") :]
    if shape := SHAPES.get(page.paper_shape):
        text = text.replace(shape[0], shape[1]).replace(shape[2], shape[3])
    if page.hide:
        text = text.replace("/*HIDDEN*/", f"{', '.join(page.hide)} {{ display: none !important }}")
    if page.duplicate_submit:
        text = text.replace("<!--DUPLICATE-->", DUPLICATE)
    if not page.paper_switch:
        text = text[: text.index("<!--PAPER-->")] + text[text.index("<!--/PAPER-->") :]
    return _renamed(_decorated(text) if page.decorated else text, page.rename)


def _decorated(text: str) -> str:
    return text.replace("</body>", f"{DECORATION}</body>")


def _renamed(text: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
    return text


def _refusal(outcome: Outcome, fields: dict[str, str]) -> str:
    if outcome != "wrong-mode":
        return INVALID
    return WRONG_MODE_PAPER if fields.get("LOGIN_TYPE") == "2" else WRONG_MODE_LIVE


def _set_cookies(response: web.Response, session: Session) -> None:
    response.set_cookie("XYZAB", session.token, path="/")
    response.set_cookie("XYZAB_AM.LOGIN", session.token, path="/")
    response.set_cookie("USERID", str(session.user.user_id), path="/")


ROUTES: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
    ("GET", "/sso/Login", login_page),
    ("GET", "/sso/lib/xyz.bundle.min.js", script),
    ("GET", "/sso/never", never),
    ("GET", FRAME_PATH, redesign_frame),
    ("GET", SCRIPT_PATH, redesign_script),
    ("POST", "/sso/Authenticator", authenticator),
    ("POST", "/sso/Dispatcher", dispatcher),
    ("GET", "/sso/Dispatcher", loop),
    ("GET", "/sso/ping", ping),
    ("POST", "/sso/report", report),
    ("*", "/portal.proxy/v1/gstat/bulletins", bulletins),
    ("GET", "/sso/restricted/verification", restricted),
    ("GET", "/sso/tasks", tasks),
]
