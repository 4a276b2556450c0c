"""What IBKR's login page says, in the languages it has: the patterns of `recognition.js`, and of `says`. Pure.

Patterns are JavaScript's and Python's, without regard to case, on text in NFKC whose blanks are single. `submit` and
`continue` are matched from the beginning of what a control says, first against all of it; `decline` and `other-way`
against all of it; the others anywhere in a text.

Languages: English, German, French, Spanish, Italian, Dutch, Portuguese, Russian, Polish, Hungarian, Chinese (both
scripts), Japanese, Korean, Arabic, Hebrew.
"""

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PAGE_VOCABULARY", "says"]


def _any_of(*patterns: str) -> str:
    return "|".join(patterns)


PAGE_VOCABULARY: Mapping[str, str] = MappingProxyType(
    {
        "username": _any_of(
            r"\buser ?-?(name|id)\b",
            r"\blog-?in ?(name|id)\b",
            r"\b(account|client|customer) (name|id)\b",
            "benutzer",
            r"nutzer(name|kennung)|anmeldename|zugangsnummer",
            "utilisateur",
            "identifiant",
            r"\busuario\b",
            r"\bnome utente\b|\bid utente\b",
            "gebruikersnaam",
            r"\bnome de (usuário|utilizador)\b|\butilizador\b",
            "пользовател|логин",
            "użytkownik|felhasználó",
            "用户名|用戶名|使用者|账号|帳號|賬號|账户名|帳戶名|用户 ?id|用戶 ?id",
            "ユーザ|ログイン ?id",
            "사용자|아이디",
            "اسم المستخدم|שם משתמש|שם המשתמש",
        ),
        "password": _any_of(
            "pass ?(word|wort|code)",
            "kennwort",
            "mot de passe",
            "contraseña|\\bclave\\b",
            "wachtwoord",
            "senha|palavra-passe",
            "парол",
            "hasło|jelszó",
            "密码|密碼",
            "パスワード|暗証番号",
            "비밀번호|암호",
            "كلمة (ال)?(مرور|سر)|סיסמ",
        ),
        # Of a password or a user name that is being made up.
        "new": _any_of(
            r"\b(new|confirm|repeat|again|choose|create)\b|re-?(enter|type)",
            r"\bneues?\b|wiederhol|bestätig",
            "nouveau|confirme|répét|choisi",
            "nuev[ao]|confirma|repit",
            "nuova|conferma|ripeti|nieuw|herhaal|nova|repita",
            "нов(ый|ого)|подтверд|повторите",
            r"\bnowe\b|powtórz|potwierdź|\búj\b|ismét|megerősít",
            "新|確認|确认|再次|再入力|设置|設定",
            "새 ?비밀|확인|جديدة|تأكيد|חדשה|אימות סיסמ",
        ),
        "search": _any_of(
            "search|\\bsuche|recherch|\\bbusca|\\bcerca|zoek|pesquis|поиск|szukaj|keresés",
            "搜|検索|검색|بحث|חיפוש",
        ),
        "newsletter": _any_of(
            r"newsletter|\be-?mail|\bmail\b|courriel|lettre d|boletín|correo|почт",
            "邮箱|郵箱|电子邮件|電子郵件|メール|이메일|البريد|דוא",
        ),
        "code": _any_of(
            r"\bcodes?\b",
            "passcode|one.?time|(authenticator|verification|security) |captcha|characters you see",
            "sicherheitscode|einmal(code|passwort|kennwort)|bestätigungscode",
            "código|codice|código",
            r"\bкод\b|одноразов|\bkod\b|\bkód",
            "代码|代碼|验证码|驗證碼|安全码|安全碼|动态密码|動態密碼",
            "コード|ワンタイム",
            "코드|인증번호|رمز|קוד",
        ),
        "submit": _any_of(
            "(simulated |secure |paper |client )?(log|sign) ?-?(in|on)( securely)?",
            "anmelden|einloggen|anmeldung|login starten",
            "(se )?connecter|connexion|s.identifier|valider|envoyer",
            "iniciar sesión|acceder|entrar|ingresar|enviar",
            "accedi|entra|inloggen|aanmelden|iniciar sessão",
            "войти|вход|отправить|подтвердить",
            "zaloguj( się)?|bejelentkezés|belépés",
            "登录|登入|登錄|提交",
            "ログイン(する)?|サインイン(する)?|送信(する)?",
            "로그인|تسجيل الدخول|دخول|התחבר(ות)?|כניסה|היכנס",
            "submit|ok|go|verify|absenden|bestätigen|confirm|confirmer|confirmar|conferma|invia|确认|確認|验证|驗證",
        ),
        "continue": _any_of(
            "continue|next|proceed",
            "weiter|fortfahren|nächste[rs]?( schritt)?",
            "continuer|suivant",
            "continuar|siguiente",
            "continua|avanti|doorgaan|volgende|próximo|seguinte|avançar",
            "продолжить|далее|dalej|kontynuuj|tovább|folytatás",
            "继续|繼續|下一步",
            "続ける?|次へ(進む)?|次に進む",
            "다음|계속|التالي|متابعة|המשך|הבא",
        ),
        # What stands beside a form and is not for it.
        "aside": _any_of(
            r"\bQR\b|QR-?code|passkey|biometr|face ?id|touch ?id|fingerprint|\bapple\b|\bgoogle\b|\bphone\b|\bmobile\b",
            "二维码|二維碼|QRコード|パスキー|扫码|掃碼|指纹|指紋|通行密[钥鑰]|ключ[а-я]* доступа",
            "(sign|log) ?-?in (with|using|via|by) (?!.*(password|user))",
            "(anmelden|einloggen) (mit|über) (?!.*(passwort|benutzer))|(connecter|connexion) (avec|via|par) ",
            r"sesión (con|mediante) |accedi con |inloggen met |войти (через|с помощью) |\bSSO\b",
            "forgot|trouble|problem|need help|vergessen|oublié|olvid|dimenticat|vergeten|esquec|忘|お忘れ|お困り",
            r"забыли|zapomnia|nie pamięt|elfelejt|잊|찾기|نسيت|שכחת",
            r"\bshow\b|\bhide\b|\breveal\b|visibility|anzeigen|einblenden|ausblenden|verbergen|afficher|masquer|mostrar",
            "ocultar|mostra|nascondi|показать|скрыть|pokaż|ukryj|显示|顯示|隐藏|隱藏|表示|非表示|إظهار|إخفاء|הצג|הסתר",
            r"\btoggle\b|keyboard|\bhelp\b|\bhilfe\b|\bclear\b|\breset\b",
            "open an? (\\w+ )?account|create an? (\\w+ )?account|create account|sign ?up|register|enrol|apply",
            "konto eröffnen|registrier|ouvrir un compte|créer un compte|abrir una cuenta|registrar|crear una cuenta",
            "inscri|apri un conto|registrati|открыть сч[её]т|регистрац|зарегистрир|otwórz|zarejestruj|regisztrá",
            "开户|開戶|注册|註冊|口座開設|新規登録|会員登録|계좌 ?개설|회원가입|فتح حساب|إنشاء حساب|פתיחת חשבון|הרשמה",
            "subscri|abonn|suscri|订阅|訂閱|購読",
            "cancel|back|abbrechen|zurück|annuler|retour|cancelar|volver|annulla|indietro|отмена|назад|anuluj|wstecz|mégse",
            "取消|返回|キャンセル|戻る|취소|뒤로|إلغاء|رجوع|ביטול|חזרה",
            "resend|erneut senden|renvoyer|reenviar|отправить (код )?(ещё|еще|снова|повторно)|重新发送|重新發送|再送",
        ),
        "paper": _any_of(
            r"\bpaper\b|simul|\bdemo\b|übungs|entraînement|práctica|демо|учебн|симул",
            "模拟|模擬|ペーパー|シミュ|デモ|모의|تجريبي|דמו",
        ),
        "live": _any_of(
            r"\blive\b|\breal\b|réel|reale|echtgeld|\bproduction\b|реальн|боев",
            "真实|真實|实盘|實盤|实时|ライブ|本番|リアル|실거래|حقيقي|אמיתי",
        ),
        "method": _any_of(
            "ib ?key|authenticator|seamless|notification|push",
            r"\bsms\b|text message|textnachricht|message texte|mensaje de texto|短信|短訊",
            "security (code|device|card)|digital security|passcode|one.?time",
            "验证器|驗證器|認証アプリ|セキュリティ",
        ),
        # What is said of a password and a user name that are refused.
        "wrong": _any_of(
            r"\b(invalid|incorrect|wrong|unrecogni[sz]ed)\b|(does|do)( not|n.t) match|not recogni[sz]ed",
            r"ungültig|falsch|nicht korrekt|nicht richtig|stimm(t|en) nicht|invalide|erroné|incorrecte?",
            "no válid|no coincid|inválid|incorrect[ao]|errat|non valid|non corrett|onjuist|ongeldig",
            "невер|неправильн|недейств|nieprawidłow|błędn|érvénytelen|helytelen|hibás",
            "无效|無效|错误|錯誤|不正确|不正確|有误|有誤|不符|無効|正しくありません|間違|誤り|一致しません",
            "올바르지|잘못|일치하지|غير صحيح|خاطئ|שגוי|אינ. נכונ|לא נכונ",
        ),
        # What a page says that wants its reader to look through what IBKR knows of the account, as it does once a year.
        "review": _any_of(
            r"\b(review|confirm|verify|update|check)( and \w+)? (your|the) (\w+ ){0,2}"
            r"(information|details?|data|profile)\b",
            r"\b(annual|yearly|periodic) (\w+ )?(review|confirmation|verification|update)\b",
            r"\b(is|are) your (\w+ ){0,2}(information|details|data) (still )?(up.to.date|correct|current|accurate)",
            r"(über)?prüfen sie (bitte )?(ihre|die) (\w+ ?){0,2}(daten|angaben|informationen)",
            r"(bestätigen|aktualisieren) sie (bitte )?ihre (\w+ ?){0,2}(daten|angaben|informationen)",
            r"\bihre (\w+ ?){0,2}(daten|angaben|informationen) (bitte )?(über)?prüfen|"
            r"\bihre (\w+ ?){0,2}(daten|angaben|informationen) (bitte )?(bestätigen|aktualisieren)",
            r"jährliche (\w+ )?(überprüfung|bestätigung|prüfung)",
            r"(vérifi|confirm|actualis|révis)e[rz] (vos|les) (informations|données|coordonnées)",
            r"mett(re|ez) à jour (vos|les) (informations|données|coordonnées)",
            r"(révision|revue|vérification|confirmation) annuelle",
            r"(revis|confirm|verifiqu|verific|actuali[cz])(e|ar?) (su|sus|la|los) (información|datos)",
            r"(revisión|confirmación|verificación) anual",
            r"(verific|controll|conferm|aggiorn)(a|are|ate|hi|i) (i|le) (tuoi|suoi|vostri|tue|sue|vostre) "
            "(dati|informazioni)",
            r"(revisione|verifica|conferma) annuale",
            r"(controleer|bevestig|herzie|actualiseer) (uw|je) (\w+ ?)?(gegevens|informatie)",
            r"jaarlijkse (controle|herziening|bevestiging)",
            r"(revise|confirme|verifique|atualize) (os |as )?(seus|suas) (dados|informações)",
            r"(revisão|confirmação|verificação) anual",
            "(确认|核实|更新|审核|审阅|检查|確認|核實|審核|審閱|檢查)(您的|你的)(账户|帳戶|个人|個人|联系|聯絡)?(信息|资料|資料|数据|數據)",
            "年度(审核|审查|复核|確認|确认|審核|審查|覆核)",
            "(お客様|ご?登録|口座|個人)の?(情報|内容)(の|を|が).{0,6}(確認|更新|見直)|年次(の)?(確認|見直し|レビュー)",
        ),
        "passkey": _any_of(
            r"\bpass-?keys?(?![a-z])|\bhauptschlüssel",
            r"\bsecurity keys?(?![a-z])|sicherheitsschlüssel|clés? de sécurité|llaves? de seguridad|セキュリティ ?キー",
            "clés? d.accès|llaves? de acceso|claves? de paso|chiav[ei] di accesso|toegangssleutel|chaves? de acesso",
            "通行密[钥鑰]|通行金鑰|安全密[钥鑰]|安全金鑰|パスキー",
        ),
        # What a control says that declines an offer, or leads from a passkey to another way.
        "decline": _any_of(
            "skip( for now| this( step)?)?|not now|((maybe|remind me|ask me|do (it|this)) )?later|no,? thank(s| you)",
            "(jetzt )?überspringen|(jetzt nicht|nicht jetzt)|(vielleicht |mich )?später( erinnern)?|nein,? danke",
            "passer( cette étape)?|ignorer|(me le rappeler )?plus tard|pas maintenant|non,? merci",
            "omitir|saltar|ahora no|(recordar(me)?(lo)? )?más tarde|no,? gracias",
            "salta|ignora|non ora|(ricordamelo )?più tardi|no,? grazie|overslaan|niet nu|nee,? (dank u|bedankt)",
            "pular|agora não|(lembrar-me )?mais tarde|não,? obrigad[oa]",
            "跳[过過]|(暂|暫|以)(不|后再说|後再說)|稍[后後](再说|再說|提醒我?)?|不,?[谢謝][谢謝]",
            "スキップ(する)?|(後|あと)で(通知|確認)?(する)?|今はしない|いいえ",
        ),
        "other-way": _any_of(
            "((use|enter|(sign|log) in with) )?(a |your |my )?password( instead)?",
            "(try|use) (another|a different) (way|method|option)|other (ways?|options?|methods?)( to (sign|log) in)?",
            "(stattdessen )?(mit )?(ein |ihr )?(passwort|kennwort)( verwenden| anmelden| eingeben)?",
            "(eine )?andere (anmelde)?(option|methode|möglichkeit)(en)?( verwenden| wählen)?",
            "utiliser (un |le |votre )?mot de passe( à la place)?|autres? (options?|moyens?|méthodes?)( de connexion)?",
            "usar (una |su |la )?contraseña( en su lugar)?|otr[ao]s? (opci[oó]n(es)?|métodos?|formas?)",
            "usa (la |una )?password|altr[oi] (metod[oi]|modi?)|wachtwoord gebruiken|andere manier|usar (a )?senha",
            "(使用|用)密[码碼](登录|登入)?|其他(登录|登入)?方式",
            "パスワードを使(う|用する?)|(他|ほか|別)の方法(を試す|で(ログイン|サインイン)(する)?)?",
        ),
        # What the page says when a push was approved, and when it was not.
        "approved": _any_of(
            r"\bapproved\b|\bsuccess|\bauthenticated\b|communicating with (the|our) server|(logg|sign)ing you in",
            "genehmigt|freigegeben|erfolgreich|bestätigt|(kommunikation|verbindung) mit dem server|mit dem server komm",
            "approuvée?|acceptée?|réussie?|succès|communication avec le serveur",
            "aprobad[ao]|éxito|correctamente|comunica(ndo|ción) con el servidor",
            "approvat[oa]|riuscit[oa]|successo|goedgekeurd|gelukt|geslaagd|aprovad[ao]|sucesso",
            "已(批准|确认|確認|核准)|成功|承認され|完了|サーバーと通信",
        ),
        "declined": _any_of(
            r"\bnot (been |yet )?approved|declin|\bdenied|reject|expired|timed? ?out|\bfail",
            r"abgelehnt|\bnicht\b|fehlgeschlagen|abgelaufen|refus|échou|expiré|rechaz|denegad|caducad",
            "rifiutat|negat[oa]|scadut|geweigerd|afgewezen|verlopen|recusad|negad[oa]|expirad",
            "拒[绝絕]|失[败敗]|[过過]期|拒否|期限",
        ),
        "busy": _any_of(
            "please wait|loading|checking|verifying|signing in|logging in",
            "bitte warten|wird geladen|veuillez patienter|chargement|espere|cargando|attendere|caricamento",
            "подождите|загрузка|proszę czekać|kérjük, várjon",
            "请稍候|請稍候|加载|載入|登录中|登入中|お待ち|読み込み|잠시만|يرجى الانتظار|אנא המתן",
        ),
    }
)
"""Pattern by meaning."""


def says(text: str, *meanings: str) -> bool:
    """Says whether a text has one of these meanings, in any of the languages."""
    normal = " ".join(unicodedata.normalize("NFKC", text).split())
    return any(re.search(PAGE_VOCABULARY[meaning], normal, re.IGNORECASE) for meaning in meanings)
