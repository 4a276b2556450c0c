"""What IBKR's login page says, in the languages it has: the patterns of `recognition.js`. Data alone.

Patterns are JavaScript's, without regard to case, on text in NFKC whose blanks are single. `submit` and `continue` are
matched from the beginning of what a control says, first against all of it; the others anywhere in a label.

Languages: English, German, French, Spanish, Italian, Dutch, Portuguese, Chinese (both scripts), Japanese.
"""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PAGE_VOCABULARY"]


def _any_of(*patterns: str) -> str:
    return "|".join(patterns)


PAGE_VOCABULARY: Mapping[str, str] = MappingProxyType(
    {
        "username": _any_of(
            r"\buser ?-?(name|id)\b",
            r"\blog-?in ?(name|id)\b",
            "benutzer",
            r"nutzer(name|kennung)",
            "utilisateur",
            "identifiant",
            r"\busuario\b",
            r"\bnome utente\b",
            "gebruikersnaam",
            r"\bnome de usuário\b",
            "用户名|用戶名|使用者|账号|帳號|账户名|帳戶名",
            "ユーザ|ログイン ?id",
        ),
        "password": _any_of(
            "pass ?(word|wort|code)",
            "kennwort",
            "mot de passe",
            "contraseña|\\bclave\\b",
            "wachtwoord",
            "senha",
            "密码|密碼",
            "パスワード|暗証番号",
        ),
        "new": _any_of(
            r"\b(new|confirm|repeat|again)\b",
            r"\bneues?\b|wiederhol|bestätig",
            "nouveau|confirme|répét",
            "nuev[ao]|confirma|repit",
            "nuova|ripeti|nieuw|herhaal|nova|repita",
            "新|確認|确认|再次|再入力",
        ),
        "search": "search|\\bsuche|recherch|\\bbusca|\\bcerca|zoek|pesquis|搜|検索",
        "newsletter": r"newsletter|\be-?mail|\bmail\b|courriel|lettre d|boletín|correo|邮箱|郵箱|电子邮件|メール",
        "code": _any_of(
            r"\bcodes?\b",
            "passcode|one.?time|(authenticator|verification|security) ",
            "sicherheitscode|einmal(code|passwort|kennwort)|bestätigungscode",
            "código|codice|código",
            "代码|代碼|验证码|驗證碼|安全码|安全碼",
            "コード|ワンタイム",
        ),
        "submit": _any_of(
            "(simulated |secure |paper )?(log|sign) ?-?(in|on)( securely)?",
            "anmelden|einloggen|anmeldung|login starten",
            "(se )?connecter|connexion|s.identifier|valider|envoyer",
            "iniciar sesión|acceder|entrar|ingresar|enviar",
            "accedi|entra|inloggen|aanmelden|iniciar sessão",
            "登录|登入|登錄|提交",
            "ログイン(する)?|サインイン(する)?|送信(する)?",
            "submit|ok|go|absenden|bestätigen|confirm|confirmer|confirmar|确认|確認",
        ),
        "continue": _any_of(
            "continue|next|proceed",
            "weiter|fortfahren|nächste[rs]?( schritt)?",
            "continuer|suivant",
            "continuar|siguiente",
            "continua|avanti|doorgaan|volgende|próximo|seguinte|avançar",
            "继续|繼續|下一步",
            "続ける?|次へ(進む)?|次に進む",
        ),
        # What stands beside a form and is not for it.
        "aside": _any_of(
            r"\bQR\b|QR-?code|passkey|biometr|face ?id|touch ?id|fingerprint|\bapple\b|\bgoogle\b",
            "二维码|二維碼|QRコード|パスキー|扫码|指纹",
            "forgot|trouble|problem|need help|vergessen|oublié|olvid|dimenticat|vergeten|esquec|忘|お忘れ|お困り",
            r"\bshow\b|\bhide\b|\breveal\b|anzeigen|einblenden|ausblenden|afficher|masquer|mostrar|ocultar",
            "显示|顯示|隐藏|表示|非表示",
            "open an? account|create an? account|sign ?up|register|enrol|apply",
            "konto eröffnen|registrier|ouvrir un compte|créer un compte|abrir una cuenta|registrar|crear una cuenta",
            "开户|開戶|注册|註冊|口座開設|新規登録",
            "subscri|abonn|suscri|订阅|訂閱|購読",
            "cancel|back|abbrechen|zurück|annuler|retour|cancelar|volver|取消|返回|キャンセル|戻る",
            "resend|erneut senden|renvoyer|reenviar|重新发送|再送",
        ),
        "paper": r"\bpaper\b|simul|\bdemo\b|übungs|entraînement|práctica|模拟|模擬|ペーパー|シミュ|デモ",
        "live": r"\blive\b|\breal\b|réel|echtgeld|\bproduction\b|真实|真實|实盘|實盤|实时|ライブ|本番|リアル",
        "method": _any_of(
            "ib ?key|authenticator|seamless|notification|push",
            r"\bsms\b|text message|textnachricht|message texte|mensaje de texto|短信|短訊",
            "security (code|device|card)|digital security|passcode|one.?time",
            "验证器|驗證器|認証アプリ|セキュリティ",
        ),
        # What is said of a password and a user name that are refused.
        "wrong": _any_of(
            r"\b(invalid|incorrect|wrong)\b|ungültig|falsch|nicht korrekt|invalide|erroné|incorrecte?",
            "no válid|inválid|incorrect[ao]|errat|onjuist",
            "无效|無效|错误|錯誤|不正确|不正確|無効|正しくありません|間違",
        ),
        "busy": _any_of(
            "please wait|loading|checking|verifying|signing in|logging in",
            "bitte warten|wird geladen|veuillez patienter|chargement|espere|cargando",
            "请稍候|請稍候|加载|お待ち|読み込み",
        ),
    }
)
"""Pattern by meaning."""
