"""Which scripts of a page handle what happens to its nodes, as Chromium's own protocol tells it.

Source: the domains Runtime and DOMDebugger of the Chrome DevTools Protocol.
"""

from collections.abc import Callable
from typing import Any

__all__ = ["is_handled_by_file"]

HANDLED_EVENTS = frozenset(
    {"click", "submit", "pointerdown", "pointerup", "mousedown", "mouseup", "touchend", "keydown", "keypress", "keyup"}
)
"""What a page may take for the submission of its form, by the names of the DOM."""

_OBJECT_GROUP = "ibkr-tools"
_IS_INLINE = """function () {
  const source = Function.prototype.toString.call(this);
  return [...document.scripts].some((script) => !script.src && script.textContent.includes(source)) ||
    /^function on[a-z]+\\(event\\) \\{/.test(source);
}"""
"""Says of a function whether it stands in the document itself, in a script or in an attribute."""

Command = Callable[..., dict[str, Any]]
"""Gives Chromium a command of its protocol, by its name and parameters; returns the answer."""


def is_handled_by_file(command: Command, expression: str) -> bool:
    """Says whether a script file handles clicks, keys or submissions at one of the nodes of `expression`, an array."""
    nodes = command("Runtime.evaluate", expression=expression, objectGroup=_OBJECT_GROUP)["value"]["result"]
    try:
        return any(_has_handler_of_file(command, node) for node in _items(command, nodes))
    finally:
        command("Runtime.releaseObjectGroup", objectGroup=_OBJECT_GROUP)


def _items(command: Command, array: dict[str, Any]) -> list[str]:
    if "objectId" not in array:
        return []
    answer = command("Runtime.getProperties", objectId=array["objectId"], ownProperties=True)["value"]
    values = [item.get("value", {}) for item in answer["result"] if item["name"].isdigit()]
    return [value["objectId"] for value in values if "objectId" in value]


def _has_handler_of_file(command: Command, node: str) -> bool:
    listeners = command("DOMDebugger.getEventListeners", objectId=node)["value"]["listeners"]
    handlers = [listener.get("handler", {}) for listener in listeners if listener["type"] in HANDLED_EVENTS]
    return any("objectId" in handler and not _is_inline(command, handler["objectId"]) for handler in handlers)


def _is_inline(command: Command, function: str) -> bool:
    answer = command("Runtime.callFunctionOn", objectId=function, functionDeclaration=_IS_INLINE, returnByValue=True)
    return answer["value"]["result"].get("value") is not False
