"""Asking a page for something while it may still be changing, or the machine is busy."""

from typing import Any

from ibkr_tools.login.browser import Browser
from ibkr_tools.login.browser_protocol import PageChanging
from tests.support.patience import wait_until

__all__ = ["LOADED", "ask_page", "wait_for_answer"]

LOADED = "return document.readyState === 'complete' && location.protocol === 'https:'"


def ask_page(browser: Browser, script: str, *arguments: object) -> Any:
    """Returns what a script returns, None if the page went away meanwhile or the script ran into its time limit."""
    try:
        return browser.run(script, *arguments)
    except PageChanging:
        return None


def wait_for_answer(browser: Browser, script: str, *arguments: object, timeout_s: float = 20.0) -> Any:
    """Asks a page until what the script returns is true, and returns that."""
    answers: list[Any] = []

    def is_true() -> bool:
        answers.append(ask_page(browser, script, *arguments))
        return bool(answers[-1])

    wait_until(is_true, timeout_s)
    return answers[-1]
