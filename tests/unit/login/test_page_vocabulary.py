"""What the words of IBKR's page mean, in the languages it has."""

import re

import pytest

from ibkr_tools.login.page_vocabulary import PAGE_VOCABULARY, says


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Please review and confirm your account information", "review"),
        ("Annual Account Review", "review"),
        ("Is your financial information still correct?", "review"),
        ("Bitte bestätigen Sie Ihre Angaben", "review"),
        ("Jährliche Überprüfung", "review"),
        ("Révision annuelle de votre compte", "review"),
        ("Actualice sus datos", "review"),
        ("年度审核", "review"),
        ("Vérifiez vos informations.", "review"),
        ("Confirme sus datos para continuar.", "review"),
        ("Verifica annuale dei dati", "review"),
        ("Controleer uw gegevens", "review"),
        ("Confirme os seus dados", "review"),
        ("请确认您的个人资料", "review"),
        ("Passkeyを作成", "passkey"),
        ("Utilisez votre clé d'accès", "passkey"),
        ("Erstellen Sie einen Passkey.", "passkey"),
        ("Cree una llave de acceso.", "passkey"),
        ("Crea una chiave di accesso", "passkey"),
        ("パスキーを作成してください", "passkey"),
    ],
)
def test_text_is_understood(text: str, meaning: str) -> None:
    assert says(text, meaning)


@pytest.mark.parametrize(
    "text",
    [
        "Client login succeeds",
        "Invalid username password combination",
        "A notification was sent to your phone.",
        "Enter the security code from your authenticator app",
        "We use cookies. Read our privacy information.",
        "Our systems are down for scheduled maintenance.",
    ],
)
def test_other_texts_of_the_page_mean_neither(text: str) -> None:
    assert not says(text, "review", "passkey")


@pytest.mark.parametrize("text", ["Skip", "Not now", "Später", "Plus tard", "Ahora no", "稍后再说", "後で"])
def test_control_declines(text: str) -> None:
    assert re.fullmatch(f"(?:{PAGE_VOCABULARY['decline']})", text, re.IGNORECASE)


@pytest.mark.parametrize("text", ["Continue", "Create a passkey", "Weiter", "OK", "Log in"])
def test_control_that_accepts_does_not_decline(text: str) -> None:
    for meaning in ("decline", "other-way"):
        assert not re.fullmatch(f"(?:{PAGE_VOCABULARY[meaning]})", text, re.IGNORECASE)
