"""The authenticator app's secret: what IBKR shows at enrolment, understood, or told apart from what is none. Pure."""

import re

from pyotp import parse_uri
from pyotp.totp import TOTP

from ibkr_tools import secret_text
from ibkr_tools.config.secrets import Secret
from ibkr_tools.errors import ConfigError

MIN_CODE_VALIDITY_S = 10.0
"""A code that is valid for less than this is not sent: typing it and IBKR's answer take their time."""

MIN_SECRET_BYTES = 10
"""The shortest secret that any site hands out; what is shorter is a code, or half a secret."""

_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015\u2212]")
"""Blanks and dashes, of whatever kind a page shows them."""

_HINT = "Copy the secret that IBKR shows once, when the authenticator app is set up; see docs/second-factor.md."


def parse_totp(secret: Secret) -> TOTP:
    """Understands what IBKR shows at enrolment: base32 (spaces and lower case do not matter) or an otpauth address.

    Raises:
        ConfigError: it is neither, or has in it what nobody types; the message shows nothing of it.
    """
    text = secret.reveal().strip()
    try:
        secret_text.require_typable(text, blanks=True)
    except secret_text.UntypableText as error:
        raise ConfigError(f"the authenticator's secret is not base32: {error}", hint=_HINT) from None
    totp: TOTP | None = None
    length = 0
    try:
        totp = _from_address(text) if text.lower().startswith("otpauth:") else _from_base32(text)
        length = len(totp.byte_secret())
    except ValueError:
        pass
    if length < MIN_SECRET_BYTES or totp is None:
        raise ConfigError(f"the authenticator's secret is not base32 of 16 letters or more{_explain(text)}", hint=_HINT)
    if totp.interval < 2 * MIN_CODE_VALIDITY_S:
        raise ConfigError(f"codes of the authenticator's secret change every {totp.interval} s: too fast")
    return totp


def _from_address(text: str) -> TOTP:
    otp = parse_uri(text)
    # Counters, and Steam's own codes, are other things.
    if type(otp) is not TOTP:
        raise ConfigError("the authenticator's secret is an otpauth address, but not of type totp", hint=_HINT)
    return otp


def _from_base32(text: str) -> TOTP:
    if _first_invalid_character(text):
        # Some letters become others when they are made capital.
        raise ValueError
    return TOTP(_SEPARATORS.sub("", text).rstrip("=").upper())


def _first_invalid_character(text: str) -> int | None:
    """Returns where the first letter stands that base32 has not, counted from 1; None without any."""
    match = re.search(r"[^A-Za-z2-7=]", _SEPARATORS.sub("A", text))
    return match.start() + 1 if match else None


def _explain(text: str) -> str:
    if text.lower().startswith("otpauth:"):
        return ": the address has no such secret in it"
    if re.fullmatch(r"[0-9]{6,8}", text):
        return ": it looks like one of the app's codes, not like what makes them"
    place = _first_invalid_character(text)
    return f": character {place} of it is none of A to Z and 2 to 7" if place else ""
