"""The document of a redesigned login page: built anew from a `Redesign`, with nothing of today's names. Pure."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, assert_never
from xml.etree.ElementTree import Element, SubElement, tostring

from ibkr_tools.simulator.redesign import Redesign
from ibkr_tools.simulator.redesign_texts import TEXTS

__all__ = ["RedesignedPage", "render_redesign"]

SCRIPT_PATH = "/sso/assets/app.js"
FRAME_PATH = "/sso/frame"
_SCRIPT = files("ibkr_tools.simulator").joinpath("redesign.js").read_text("utf-8")
_OTHER_WORDS = ("auth", "client", "entry", "panel", "field", "cell", "gate", "line", "unit", "block")
_STYLE = """
* { box-sizing: border-box }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; background: #f4f2ee; color: #1c1c1c }
header, footer { display: flex; gap: 16px; align-items: center; padding: 12px 24px; background: #fff }
main { max-width: 420px; margin: 40px auto; padding: 24px; background: #fff; position: relative }
input, select { font: inherit; padding: 8px; border: 1px solid #999 }
a, button, [role=button], [role=switch], [role=tab] { cursor: pointer }
iframe { width: 480px; height: 620px; border: 0; display: block; margin: 0 auto }
"""


@dataclass(frozen=True, kw_only=True)
class RedesignedPage:
    """What the simulator serves: the document, the frame in it (empty without one) and the script, as text."""

    document: str
    frame: str
    script: str


@dataclass
class _Builder:
    redesign: Redesign
    dice: random.Random
    parts: dict[str, str] = field(default_factory=dict)

    def text(self, meaning: str) -> str:
        return self.dice.choice(TEXTS[meaning][self.redesign.language])

    def name(self) -> str:
        """Makes a name that says nothing: of the build, or of another vocabulary."""
        if self.redesign.names == "hashed":
            return f"{self.dice.choice('abcdefgh')}{self.dice.getrandbits(36):09x}"
        return f"{self.dice.choice(_OTHER_WORDS)}-{self.dice.choice(_OTHER_WORDS)}-{self.dice.randrange(100)}"

    def add(self, parent: Element, tag: str, text: str = "", **attributes: str) -> Element:
        """Appends an element; attributes are written with `_` for `-`."""
        element = SubElement(parent, tag, {key.replace("_", "-"): value for key, value in attributes.items()})
        element.text = text or None
        if self.redesign.names != "none":
            element.set("class", self.name())
        return element

    def part(self, role: str, element: Element) -> Element:
        """Lets the script find the element; the mark is as meaningless as the rest."""
        mark = f"data-{self.dice.choice('klmnpqr')}{self.dice.getrandbits(24):06x}"
        element.set(mark, "")
        self.parts[role] = f"[{mark}]"
        return element

    def wrap(self, parent: Element) -> Element:
        for _ in range(self.dice.randint(0, self.redesign.wrappers)):
            parent = self.add(parent, self.dice.choice(("div", "span", "section")))
        return parent


def render_redesign(redesign: Redesign, *, settings: dict[str, Any]) -> RedesignedPage:
    """Returns the page of a redesign; `settings` are those of the script, such as `script_delay_ms`."""
    builder = _Builder(redesign, random.Random(redesign.seed ^ 0x5EED))
    header, main, footer = Element("header"), Element("main"), Element("footer")
    _header(builder, header)
    _login(builder, main)
    _footer(builder, footer)
    form = f'{_html(main)}<script src="{SCRIPT_PATH}" defer></script>'
    inner, frame = form, ""
    match redesign.container:
        case "document":
            pass
        case "shadow":
            inner = _shadow(form)
        case "nested-shadow":
            inner = _shadow(_shadow(form))
        case "frame":
            inner = f'<iframe src="{FRAME_PATH}" title="{builder.text("title")}"></iframe>'
            frame = _document(redesign, form)
        case _:
            assert_never(redesign.container)
    shown = {
        **settings,
        "parts": builder.parts,
        "redesign": {key: getattr(redesign, key) for key in ("mounts", "two_steps", "busy", "error", "talks_first")},
        "paper": redesign.paper,
        "picker": redesign.picker,
        "texts": {name: builder.text(name) for name in ("refused", "method")},
    }
    script = _SCRIPT.replace("/*SETTINGS*/{}", json.dumps(shown))
    document = _document(redesign, _html(header) + inner + _html(footer))
    return RedesignedPage(document=document, frame=frame, script=script)


def _html(element: Element) -> str:
    return tostring(element, encoding="unicode", method="html")


def _document(redesign: Redesign, body: str) -> str:
    return (
        f'<!DOCTYPE html><html lang="{redesign.language}"><head><meta charset="utf-8">'
        '<title>Interactive Brokers</title><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def _shadow(inner: str) -> str:
    root = f'<template shadowrootmode="open"><style>{_STYLE}</style>{inner}</template>'
    return f"<x-client-entry>{root}</x-client-entry>"


def _header(builder: _Builder, header: Element) -> None:
    builder.add(header, "strong", "Interactive Brokers")
    if "search" in builder.redesign.decoys:
        search = builder.add(header, "form", action="/sso/Login", role="search")
        builder.add(search, "input", type="search", name="q", placeholder=builder.text("search"))
        builder.add(search, "button", builder.text("search"), type="submit")
    if "language" in builder.redesign.decoys:
        languages = builder.add(header, "select", aria_label="Language")
        for language in ("English", "Deutsch", "日本語"):
            builder.add(languages, "option", language)
    if "menu" in builder.redesign.decoys:
        builder.add(header, "a", builder.text("submit"), href="/sso/Login")
    if "account" in builder.redesign.decoys:
        builder.add(header, "button", builder.text("account"), type="button")


def _footer(builder: _Builder, footer: Element) -> None:
    decoys = builder.redesign.decoys
    if "newsletter" in decoys:
        newsletter = builder.add(footer, "form", action="/sso/Login")
        builder.add(newsletter, "input", type="email", name="mail", placeholder=builder.text("newsletter"))
        builder.add(newsletter, "button", builder.text("subscribe"), type="submit")
    if "hidden-form" in decoys:
        hidden = builder.add(footer, "form", action="/sso/Login", style="display: none")
        builder.add(hidden, "input", type="text", name="user", autocomplete="username")
        builder.add(hidden, "input", type="password", name="pass", autocomplete="current-password")
        builder.add(hidden, "button", builder.text("submit"), type="submit")
    if "off-screen" in decoys:
        trap = builder.add(footer, "div", style="position: absolute; left: -9999px; top: 0", aria_hidden="true")
        builder.add(trap, "input", type="text", name="website", tabindex="-1")
        builder.add(trap, "input", type="password", tabindex="-1")
    builder.add(footer, "small", "Simulated servers: no real login.")


def _login(builder: _Builder, main: Element) -> None:
    redesign = builder.redesign
    builder.add(main, "h1", builder.text("title"))
    block = builder.part("credentials", builder.add(main, "form" if redesign.form else "div"))
    if redesign.form:
        block.set("action", "/sso/Login")
    (_error if redesign.error_first else _nothing)(builder, block)
    (_paper if redesign.paper_first else _nothing)(builder, block)
    attributes = {} if redesign.input_type is None else {"type": redesign.input_type}
    autocomplete = {"autocomplete": "username" if redesign.autocomplete else "off"}
    _labelled(builder, block, "username", "username", {**attributes, **autocomplete})
    _password(builder, block)
    (_nothing if redesign.paper_first else _paper)(builder, block)
    if redesign.two_steps:
        _control(builder, builder.wrap(block), "next", builder.text("continue"))
    _control(builder, builder.wrap(block), "submit", builder.text("submit"))
    _beside_the_form(builder, block)
    (_nothing if redesign.error_first else _error)(builder, block)
    _second_factor(builder, main)
    style = "display: none; position: absolute; inset: 0; background: #fffd"
    builder.part("busy", builder.add(main, "div", builder.text("wait"), style=style))
    builder.part("finished", builder.add(main, "p", builder.text("wait"), style="display: none"))


def _nothing(_builder: _Builder, _parent: Element) -> None:
    """Adds nothing: what stands above the fields does not stand below them too."""


def _password(builder: _Builder, block: Element) -> None:
    redesign = builder.redesign
    holder = builder.part("password-holder", builder.add(block, "div"))
    autocomplete = {"autocomplete": "current-password" if redesign.autocomplete else "off"}
    _labelled(builder, holder, "password", "password", {"type": "password", **autocomplete})
    if "show" in redesign.decoys:
        builder.add(holder, "button", builder.text("show"), type="button")
    if "new-password" in redesign.decoys:
        hidden, text = builder.add(block, "div", hidden=""), builder.text("new-password")
        builder.add(hidden, "input", type="password", autocomplete="new-password", placeholder=text)


def _beside_the_form(builder: _Builder, block: Element) -> None:
    decoys = builder.redesign.decoys
    if "remember" in decoys:
        builder.add(builder.add(block, "label", builder.text("remember")), "input", type="checkbox")
    if "other-way" in decoys:
        builder.add(block, "button", builder.text("other-way"), type="button")
    if "forgotten" in decoys:
        builder.add(block, "a", builder.text("forgotten"), href="/sso/forgotten")


def _labelled(builder: _Builder, parent: Element, role: str, meaning: str, attributes: dict[str, str]) -> None:
    """Adds a field, told apart in the way of the redesign."""
    text, labelling = builder.text(meaning), builder.redesign.labelling
    place = builder.wrap(parent)
    own_id = builder.name()
    if labelling in ("label", "labelledby"):
        label = builder.add(place, "label" if labelling == "label" else "span", text)
        label.set("for" if labelling == "label" else "id", own_id)
    elif labelling == "wrapped":
        place = builder.add(place, "label", text)
    elif labelling == "beside":
        builder.add(place, "div", text)
    entry = builder.part(role, builder.add(place, "input", **attributes))
    match labelling:
        case "label":
            entry.set("id", own_id)
        case "labelledby":
            entry.set("aria-labelledby", own_id)
        case "placeholder" | "aria-label":
            entry.set(labelling, text)
        case _:
            pass
    if builder.redesign.names != "none":
        entry.set("name", builder.name())


_CONTROLS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "button": ("button", {"type": "submit"}),
    "typeless": ("button", {}),
    "input": ("input", {"type": "submit"}),
    "link": ("a", {"href": "#"}),
    "role": ("div", {"role": "button", "tabindex": "0"}),
    "div": ("div", {"tabindex": "0", "style": "cursor: pointer"}),
    "element": ("x-action", {"tabindex": "0", "style": "cursor: pointer; display: block"}),
}
"""What submits a form, by the redesign's word for it: element and attributes."""


def _control(builder: _Builder, parent: Element, role: str, text: str) -> None:
    tag, attributes = _CONTROLS[builder.redesign.submit]
    text = text if builder.redesign.submit_text else "→"
    if tag == "input":
        control = builder.add(parent, tag, **attributes, value=text)
    else:
        control = builder.add(parent, tag, text, **attributes)
    builder.part(role, control)


def _error(builder: _Builder, block: Element) -> None:
    attributes = {"alert": {"role": "alert"}, "live": {"aria_live": "polite"}}.get(builder.redesign.error, {})
    builder.part("error", builder.add(block, "div", style="display: none; color: #b00020", **attributes))


def _paper(builder: _Builder, block: Element) -> None:
    place, live, paper = builder.wrap(block), builder.text("live"), builder.text("paper")
    match builder.redesign.paper:
        case "none":
            return
        case "checkbox":
            control = builder.add(builder.add(place, "label", paper), "input", type="checkbox")
        case "select":
            control = builder.add(place, "select", aria_label=builder.text("mode"))
            for value, text in (("a", live), ("b", paper)):
                builder.add(control, "option", text, value=value)
        case "radio":
            control = _paper_radios(builder, place, live, paper)
        case "switch":
            control = builder.add(place, "button", paper, type="button", role="switch", aria_checked="false")
        case "tabs":
            control = builder.add(place, "div", role="tablist")
            for value, text in (("true", live), ("false", paper)):
                builder.add(control, "button", text, type="button", role="tab", aria_selected=value)
        case _:
            assert_never(builder.redesign.paper)
    builder.part("paper", control)


def _paper_radios(builder: _Builder, place: Element, live: str, paper: str) -> Element:
    name = builder.name()
    group = builder.add(place, "div", role="radiogroup", aria_label=builder.text("mode"))
    for value, text in (("a", live), ("b", paper)):
        radio = builder.add(builder.add(group, "label", text), "input", type="radio", value=value, name=name)
        if value == "a":
            radio.set("checked", "")
    return group


def _second_factor(builder: _Builder, main: Element) -> None:
    code = builder.part("code", builder.add(main, "form", style="display: none"))
    attributes = {"autocomplete": "one-time-code"} if builder.redesign.code_autocomplete else {"maxlength": "6"}
    _labelled(builder, code, "code-field", "code", {"type": "text", "inputmode": "numeric", **attributes})
    _control(builder, code, "code-submit", builder.text("submit"))
    picker = builder.part("picker", builder.add(main, "div", style="display: none"))
    builder.add(picker, "p", builder.text("method"))
