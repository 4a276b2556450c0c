"""The elements of IBKR's login page: their names in the configuration, and how each is found. Data alone.

Selectors are CSS, or `text:` and a pattern for what a button says in any case; they are tried in order, and the first
visible element counts. Another way to find an element is another column of these tables.
Source: docs/reference/login-page.md, collected from the projects named in docs/login.md, May 2026 and earlier.
"""

from enum import StrEnum
from typing import Self

__all__ = ["CHALLENGES", "CHANNEL_TEXT", "LOGIN_TYPE", "RECOGNISED_ELEMENTS", "PageElement", "SecondFactor"]

Selectors = tuple[str, ...]

LOGIN_TYPE: Selectors = ("input[name=loginType]", ".xyz-logintype")
"""The hidden field of the form that says which mode is asked for: 1 live, 2 paper."""

CHALLENGES: Selectors = (".xyz-goldchallenge", ".xyz-bronzechallenge", ".xyzblock-bronze")
"""What the answer to gold and bronze depends on."""

CHANNEL_TEXT: Selectors = (".xyz-otp-select-text",)
"""What asks for the code by text message."""


class SecondFactor(StrEnum):
    """What the page asks for after the password, in words; the choice comes before what is chosen from.

    `blocks`: what shows it. `code_fields`: where an answer is typed; empty: there is no such field.
    """

    blocks: Selectors
    code_fields: Selectors

    PICKER = "a choice between several methods", (".xyzblock-multiplesf", ".xyz-multipleselect"), ()
    OTP_SELECTOR = "a choice of how to send a code", (".xyzblock-otpselector",), ()
    SILVER = (
        "a six-digit code (authenticator app or SMS)",
        (".xyzblock-silver", "#xyz-field-silver-response"),
        ("#xyz-field-silver-response", "input[name=silver-response]", ".xyz-silver-response"),
    )
    NOTIFICATION = (
        "approval on the phone (IB Key)",
        (".xyzblock-notification", ".login-step-notification", ".xyzblock-ibkey", ".xyzblock-enablepush"),
        (),
    )
    GOLD = (
        "a challenge and response (IB Key or device)",
        (".xyzblock-gold", ".xyzblock-manualibkey", "#xyz-field-gold-response"),
        ("#xyz-field-gold-response", ".xyz-gold-response"),
    )
    BRONZE = (
        "the security code card",
        (".xyzblock-bronze", "#xyz-field-bronze-response"),
        ("#xyz-field-bronze-response", ".xyz-bronze-response"),
    )
    TEMP = (
        "a temporary or e-mailed passcode",
        (".xyzblock-temp", "#xyz-field-temp-response"),
        ("#xyz-field-temp-response", "input[name=temp-response]", ".xyz-temp-response"),
    )
    FIDO = "a passkey", (".xyzblock-fido",), ()
    QR = "a QR code", (".xyzblock-qrcode",), ()
    OLD = (
        "a second factor of the old page",
        ("#twofactbase", "#chlginput", "input[autocomplete=one-time-code]"),
        ("input[autocomplete=one-time-code]",),
    )

    def __new__(cls, value: str, blocks: Selectors, code_fields: Selectors) -> Self:
        """Makes a member of one row."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.blocks = blocks
        member.code_fields = code_fields
        return member


class PageElement(StrEnum):
    """What is looked for on the page or acted on, by its name in `login.selectors` of the configuration.

    `meaning`: what it is, in the words of docs/login.md. `selectors`: the built-in ones.
    """

    meaning: str
    selectors: Selectors

    USERNAME = (
        "username",
        "the field of the user name",
        (
            "#xyz-field-username",
            "input[name=username]",
            ".xyz-username",
            ".loginformWrapper input[type=text]",
            "input[name=user_name]",
        ),
    )
    PASSWORD = (
        "password",
        "the field of the password",
        ("#xyz-field-password", "input[name=password]", ".xyz-password"),
    )
    SUBMIT = (
        "submit",
        "the form's button",
        (
            ".xyz-button-login",
            "form.xyzform-username button[type=submit]",
            ".xyzblock-username-submit button[type=submit]",
            "form.xyzform-submit button[type=submit]",
            "#submitForm",
        ),
    )
    CONTINUE = (
        "continue",
        "the button after the user name, if the password comes later",
        (".xyzblock-username-submit button", "form.xyzform-username button[type=submit]"),
    )
    LOADING = "loading", '"please wait"', (".xyzblock.xyzblock-loading.position-absolute", ".xyzblock-loading")
    FINISHED = "finished", '"done"', (".xyzblock-finished", ".xyzblock-success")
    ERROR = (
        "error",
        "the text of an error",
        (
            ".xyzblock-error .xyz-errormessage",
            ".xyz-errormessage",
            ".xyz-error",
            "[role=alert]",
            ".is-invalid ~ .invalid-feedback",
            ".page-validate .v-email-failed",
            ".alert.alert-danger.margin-top-10",
            "#ERRORMSG",
        ),
    )
    BULLETIN = "bulletin", "a note about maintenance", (".gstat",)
    CONSENT = (
        "consent",
        "a cookie layer, to hide",
        ("#cookie-modal", "#cookie-header-banner", ".modal-backdrop", "#onetrust-banner-sdk"),
    )
    PROMO = "promo", "what skips an advert", (".ibkey-promo-skip",)
    RESTRICTED = (
        "restricted",
        "what shows that IBKR wants an e-mailed code",
        ("form.form-email", "input[name=email-code]", "text:^(skip verification|continue login)$"),
    )
    TASKS = (
        "tasks",
        "what shows that a new user has something to confirm",
        (
            "#reg-content",
            "#applicationForm",
            "#amContents",
            "#toggleSkipLoginTaskButton",
            "#completeLoginTaskButton",
            "#getContinueButtonActionButton",
        ),
    )
    PAPER_SWITCH = (
        "paper-switch",
        "what is visible of the live/paper switch",
        (".xyz-paperswitch", "label[for=toggle1]", ".toggle-wrapper"),
    )
    PAPER_CHECKBOX = (
        "paper-checkbox",
        "the box of that switch, which may be hidden",
        ("#toggle1", "input[name=paperSwitch]", ".xyz-paper-switch[type=checkbox]"),
    )
    METHOD_PICKER = "method-picker", "the choice between second factors", SecondFactor.PICKER.blocks
    CODE = (
        "code",
        "the field of a second factor's code",
        tuple(selector for kind in SecondFactor for selector in kind.code_fields),
    )
    CODE_SUBMIT = (
        "code-submit",
        "the button of that code",
        tuple(f".xyzform-{block} button[type=submit]" for block in ("silver", "gold", "bronze", "temp")),
    )
    PUSH = "push", "the note that a push was sent", SecondFactor.NOTIFICATION.blocks

    def __new__(cls, value: str, meaning: str, selectors: Selectors) -> Self:
        """Makes a member of one row."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.selectors = selectors
        return member


RECOGNISED_ELEMENTS = frozenset(
    {
        PageElement.USERNAME,
        PageElement.PASSWORD,
        PageElement.SUBMIT,
        PageElement.CONTINUE,
        PageElement.CODE,
        PageElement.CODE_SUBMIT,
        PageElement.METHOD_PICKER,
        PageElement.PROMO,
    }
)
"""What is recognised by role or structure where no selector finds it; see `login/recognition.js`."""
