"""Redesigns of the login page: a seed changes how it is built, not its roles and steps. Pure."""

import random
from typing import Literal

import msgspec

from ibkr_tools.simulator.redesign_texts import LANGUAGES

__all__ = ["Redesign", "choose_redesign"]

Labelling = Literal["label", "wrapped", "placeholder", "aria-label", "labelledby", "beside", "nothing"]
Names = Literal["hashed", "other", "none"]
Control = Literal["button", "typeless", "input", "link", "role", "div", "element"]
PaperControl = Literal["none", "checkbox", "select", "radio", "switch", "tabs"]
Container = Literal["document", "shadow", "nested-shadow", "frame"]
ErrorKind = Literal["alert", "live", "plain", "described", "toast"]
Busy = Literal["aria-busy", "overlay", "disabled", "nothing"]
Decoy = Literal[
    "search",
    "newsletter",
    "new-password",
    "hidden-form",
    "off-screen",
    "forgotten",
    "account",
    "show",
    "language",
    "menu",
    "remember",
    "other-way",
]

DECOYS: tuple[Decoy, ...] = (
    "search",
    "newsletter",
    "new-password",
    "hidden-form",
    "off-screen",
    "forgotten",
    "account",
    "show",
    "language",
    "menu",
    "remember",
    "other-way",
)


class Redesign(msgspec.Struct, frozen=True):
    """One way to build the page.

    `labelling`: how a field is told apart. `names`: what ids, names and classes look like. `autocomplete`: whether the
    fields say what they are for. `input_type`: the one of the user name's field; null: without. `submit`: what the
    control is that submits; `submit_text`: whether it says so, or shows an arrow. `form`: whether there is a form
    element. `two_steps`: the password is asked for after the user name. `mounts`: what is not shown is not in the
    document, instead of hidden. `wrappers`: so many elements around each field. `error_first`: the error stands above
    the fields. `talks_first`: the page talks to IBKR before anything is submitted.
    """

    seed: int
    language: str
    labelling: Labelling
    names: Names
    autocomplete: bool
    input_type: Literal["text"] | None
    submit: Control
    submit_text: bool
    form: bool
    two_steps: bool
    mounts: bool
    wrappers: int
    error_first: bool
    error: ErrorKind
    busy: Busy
    container: Container
    paper: PaperControl
    paper_first: bool
    code_autocomplete: bool
    picker: Literal["select", "buttons", "radio"]
    decoys: tuple[Decoy, ...]
    talks_first: bool


def choose_redesign(seed: int) -> Redesign:
    """Returns the redesign of a seed, always the same."""
    dice = random.Random(seed)  # reproducible, nothing secret
    decoys = tuple(decoy for decoy in DECOYS if dice.random() < 0.4)
    return Redesign(
        seed=seed,
        language=dice.choice(LANGUAGES),
        labelling=dice.choice(("label", "wrapped", "placeholder", "aria-label", "labelledby", "beside", "nothing")),
        names=dice.choice(("hashed", "other", "none")),
        autocomplete=dice.random() < 0.4,
        input_type=dice.choice(("text", "text", None)),
        submit=dice.choice(("button", "button", "typeless", "input", "link", "role", "div", "element")),
        form=dice.random() < 0.7,
        two_steps=dice.random() < 0.25,
        mounts=dice.random() < 0.4,
        wrappers=dice.randrange(5),
        error_first=dice.random() < 0.5,
        error=dice.choice(("alert", "live", "plain", "described", "toast")),
        busy=dice.choice(("aria-busy", "overlay", "disabled", "nothing")),
        container=dice.choice(("document", "document", "document", "shadow", "nested-shadow", "frame")),
        paper=dice.choice(("none", "checkbox", "select", "radio", "switch", "tabs")),
        paper_first=dice.random() < 0.5,
        code_autocomplete=dice.random() < 0.6,
        picker=dice.choice(("select", "buttons", "radio")),
        decoys=decoys,
        talks_first=dice.random() < 0.6,
        submit_text=dice.random() < 0.9,
    )
