"""The configuration: every problem at once, and the schema agrees with the loader."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.config import example
from ibkr_tools.config import schema as module
from ibkr_tools.config.loader import config_problems, load_config, read_alerts_alone
from ibkr_tools.config.schema import json_schema
from ibkr_tools.config.secrets import Secret, read_password
from ibkr_tools.errors import ConfigError
from tests.support.checkout import CHECKOUT

MINIMAL: dict[str, Any] = {"username": "demo-reader", "account": "U1234567"}
SECTIONS = {"gateway", "session", "login", "fetch", "flex", "history", "alerts", "metrics"}
EXAMPLE: dict[str, Any] = json.loads((CHECKOUT / "config.example.json").read_text())
COMPLETE: dict[str, Any] = json.loads(msgspec.json.encode(module.Config(**MINIMAL))) | {"password": "hunter2 hunter2"}
COMPLETE["flex"]["token"] = ""
"""Every key that there is, with its default."""

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def written(tmp_path: Path, document: object, *, mode: int = 0o640) -> Path:
    """Writes a configuration: JSON of an object, or a text as it is."""
    path = tmp_path / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    path.chmod(mode)
    return path


def refusal(tmp_path: Path, document: object, *, mode: int = 0o640) -> ConfigError:
    """Returns the error that a configuration is refused with."""
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, document, mode=mode))
    return caught.value


def test_the_example_has_what_nobody_else_can_know(tmp_path: Path) -> None:
    """What is required, and the password; everything else has a default."""
    config = load_config(written(tmp_path, EXAMPLE), allow_example=True)
    assert config == module.Config(username="readonlyuser", account="U1234567")
    assert set(EXAMPLE) == {*json_schema()["$defs"]["Config"]["required"], "password"}


def test_every_key_can_be_written_with_its_default(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, COMPLETE)) == module.Config(**MINIMAL)
    defined = json_schema()["$defs"]
    for name, definition in (("Config", COMPLETE), *((name, COMPLETE[name]) for name in sorted(SECTIONS))):
        title = "Config" if name == "Config" else f"{name.title()}Config"
        assert set(defined[title]["properties"]) - {"$schema"} == set(definition), name


def test_user_and_account_are_enough(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, MINIMAL))
    assert config.session.tier == "portfolio"
    assert config.gateway.upstream == "https://api.ibkr.com"


def test_an_editor_may_name_the_schema(tmp_path: Path) -> None:
    load_config(written(tmp_path, {**MINIMAL, "$schema": "./config.schema.json"}))


def test_every_problem_is_named_at_once_with_suggestions(tmp_path: Path) -> None:
    message = str(
        refusal(
            tmp_path,
            {
                "usrname": "x",
                "account": "1234567",
                "gateway": {"port": "5000", "prot": 1, "upstream": "api.ibkr.com", "heap_mb": 1},
                "session": {"tier": "portfolios"},
                "login": [],
                "fetch": {"resources": ["positions", "order_status"], "accounts": ["U1234567", "a/b"]},
                "password": 5,
            },
        )
    )
    for expected in (
        "12 problems:",
        "usrname: unknown key; did you mean 'username'?",
        "username: missing",
        "account: Expected an account number: capital letters and digits, such as U1234567, got '1234567'; did you",
        "gateway.port: Expected `int`, got `str`",
        "gateway.prot: unknown key; did you mean 'port'?",
        "got 'api.ibkr.com'; did you mean 'https://api.ibkr.com'?",
        "gateway.heap_mb: Expected `int` >= 32, got 1",
        "session.tier: Expected one of portfolio, brokerage, got 'portfolios'",
        "login: expected an object",
        "fetch.resources[1]: Expected one of user, accounts, ",
        "fetch.accounts[1]: Expected an account number or an alias, got 'a/b'; '/' cannot be in it",
        "password: expected a text",
    ):
        assert expected in message


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("gateway", "directory", "~nobody/gw", "a path such as /etc"),
        ("gateway", "directory", "a\0b", "a path such as /etc"),
        ("login", "password_file", "~root", "~NAME is nobody's"),
        ("login", "driver", "", "a text with something in it"),
        ("gateway", "java", "ja\0va", "without a NUL character, got 'ja\\x00va'"),
    ],
)
def test_what_the_kernel_would_not_take_is_told(
    tmp_path: Path, section: str, key: str, value: str, expected: str
) -> None:
    config = {"username": "x", "account": "U1234567", section: {key: value}}
    message = str(refusal(tmp_path, config))
    assert f"{section}.{key}: Expected " in message
    assert expected in message


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{\n  "username": "a",\n  "account" "U1234567"\n}', "line 3, column 13"),
        ('{"username": "a",}', "line 1, column 18"),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("\ufeff{}", "line 1, column 1"),
        ("[" * 100_000, "not JSON"),
        ('{"username": "\\ud800"}', "not JSON"),
    ],
)
def test_malformed_json_is_told_with_its_place(tmp_path: Path, text: str, where: str) -> None:
    assert where in str(refusal(tmp_path, text))


@pytest.mark.parametrize("text", ["[]", "5", '"text"', "null"])
def test_json_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    assert "expected an object" in str(refusal(tmp_path, text))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.write_bytes(b'{"username": "\xff\xfe"}')
    with pytest.raises(ConfigError, match="not JSON"):
        load_config(path)


def test_a_missing_file_and_a_directory_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not there") as caught:
        load_config(tmp_path / "config.json")
    assert f"copy {CHECKOUT}/config.example.json there" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="directory"):
        load_config(tmp_path)


def test_a_password_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, {**MINIMAL, "password": "hunter2"}, mode=0o644)
    assert "every user of this machine can read it" in error.message
    assert error.hint
    assert error.hint.startswith("chmod o=")
    load_config(written(tmp_path, {**MINIMAL, "password": "hunter2"}, mode=0o640))
    load_config(written(tmp_path, MINIMAL, mode=0o644))
    load_config(written(tmp_path, {**MINIMAL, "password": ""}, mode=0o644))


@pytest.mark.parametrize(
    "document",
    [
        {**MINIMAL, "pasword": "hunter2"},
        {**MINIMAL, "password": ["hunter2"]},
        {**MINIMAL, "password": {"hunter2": "hunter2"}},
        {"password": "hunter2"},
        {**MINIMAL, "hunter2": "x"},
        {**MINIMAL, "hunter2": {"hunter2": ["hunter2"]}},
        {**MINIMAL, "login": {"hunter2": True}},
        {**MINIMAL, "login": "hunter2"},
        {**MINIMAL, "login": {"password": "hunter2"}},
        {**MINIMAL, "login": {"password_file": "hunter2\0"}},
        {**MINIMAL, "login": {"password_file": "~hunter2"}},
        {**MINIMAL, "login": {"second_factor": {"totp_file": "~hunter2"}}},
        {**MINIMAL, "login": {"second_factor": {"totp_secret": "hunter2"}}},
        {**MINIMAL, "login": {"second_factor": {"command": "hunter2"}}},
        {**MINIMAL, "login": {"selectors": {"hunter2": ["hunter2"]}}},
        {**MINIMAL, "alerts": {"command": "hunter2"}},
        {**MINIMAL, "alerts": {"command": ["hunter2\0"]}},
        {**MINIMAL, "username": "hunter2" * 20},
        {**MINIMAL, "Hunter2 ": "hunter2"},
        '{"password": "hunter2" "username"',
        '{"password": "hunter2\u0001\n"}',
        '{"password": hunter2}',
        "hunter2",
        '"hunter2"',
    ],
)
def test_no_error_shows_the_password(tmp_path: Path, document: object) -> None:
    """Not even where it stands under a wrong key, as a key, or next to a mistake."""
    error = refusal(tmp_path, document)
    assert "hunter2" not in f"{error} {error.hint}".lower()
    assert error.__suppress_context__ or error.__context__ is None


def test_wrong_key_that_may_be_anything_is_told_by_its_line(tmp_path: Path) -> None:
    """Also where the same word stands before it as a value, or in another way of writing."""
    text = '{\n"username": "hun\\"ter2",\n"account": "U1234567",\n"login": {\n  "hun\\u0022ter2" : 1}}'
    assert "login: a key that is not known (line 5)" in str(refusal(tmp_path, text))
    near = '{"username": "a",\n"account": "U1234567",\n"Passw0rd": 1}'
    assert "the file: a key that is not known (line 3); did you mean 'password'?" in str(refusal(tmp_path, near))


@pytest.mark.parametrize("mode", [0o600, None])
def test_password_in_the_place_of_its_file_is_not_shown(tmp_path: Path, mode: int | None) -> None:
    """Whatever the kernel makes of it: the key is named."""
    for wrong in ("hunter2", "hunter2" * 100, f"{tmp_path}/config.json/hunter2"):
        path = written(tmp_path, {**MINIMAL, "login": {"password_file": wrong}}, mode=mode or 0o640)
        with pytest.raises(ConfigError, match=r"login\.password_file") as caught:
            read_password(path, load_config(path), {})
        assert "hunter2" not in f"{caught.value} {caught.value.hint}"
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


# The example.


def test_the_example_is_known_for_what_it_is() -> None:
    assert (EXAMPLE["username"], EXAMPLE["password"]) == (example.EXAMPLE_USERNAME, example.EXAMPLE_PASSWORD)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["username: is still the example's", "password: is still the example's"]),
        ({"username": "somebody"}, ["password: is still the example's"]),
        ({"password": "real"}, ["username: is still the example's"]),
        ({"username": " ReadOnlyUser\n", "password": "real"}, ["username: is still the example's"]),
        ({"username": "somebody", "password": " the password  of that user\n"}, ["password: is still the example's"]),
    ],
)
def test_the_example_is_refused(tmp_path: Path, changes: dict[str, str], expected: list[str]) -> None:
    error = refusal(tmp_path, {**EXAMPLE, **changes})
    assert error.exit_code == 78
    assert [line.strip().split(";")[0] for line in error.message.splitlines()[1:]] == expected


@pytest.mark.parametrize("place", ["credential", "password_file", "kept", "config.json"])
@pytest.mark.parametrize("around", ["{}", " {}\n", "\t{}  "])
def test_the_examples_password_is_none_wherever_it_stands(tmp_path: Path, place: str, around: str) -> None:
    text = around.format(example.EXAMPLE_PASSWORD)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)} if place == "credential" else {}
    names = {"credential": "ibkr-password", "password_file": "own", "kept": "password"}
    login = {"password_file": str(tmp_path / "own")} if place == "password_file" else {}
    path = written(tmp_path, {**MINIMAL, "login": login, **({"password": text} if place == "config.json" else {})})
    if place in names:
        (tmp_path / names[place]).touch(mode=0o600)
        (tmp_path / names[place]).write_text(text)
    config = load_config(path, allow_example=True)
    with pytest.raises(ConfigError, match="the password is still the example's") as caught:
        read_password(path, config, environ)
    assert caught.value.exit_code == 78


def test_the_schema_is_a_schema_and_takes_the_example() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    VALIDATOR.validate(EXAMPLE)
    VALIDATOR.validate(COMPLETE)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10_000_000),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer()),
    st.sampled_from(["", "U1234567", "DU12345", "portfolio", "brokerage", "positions", "java", "x" * 65]),
    st.sampled_from(["https://api.ibkr.com", "http://127.0.0.1:5080", "ftp://x", "https://a\n", "U1234567\n"]),
    st.text(max_size=5),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=3), SCALARS, max_size=2))


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """A configuration in which some keys were changed, added or left out; now and then something else altogether."""
    if draw(st.integers(0, 30)) == 0:
        return draw(VALUES)
    document = json.loads(json.dumps(COMPLETE))
    for _ in range(draw(st.integers(0, 3))):
        section = draw(st.sampled_from([document, *(document[name] for name in sorted(SECTIONS))]))
        if not isinstance(section, dict):
            continue
        key = draw(st.sampled_from([*sorted(section), "$schema", "prot", "password"]))
        if draw(st.booleans()):
            section.pop(key, None)
            for name in SECTIONS:
                document.setdefault(name, {})
        else:
            section[key] = draw(VALUES if key not in SECTIONS else st.one_of(st.just({}), VALUES))
            for name in SECTIONS:
                if not isinstance(document.get(name), dict):
                    return document
    return document


@given(documents())
def test_loader_and_schema_agree(document: Any) -> None:
    """What an editor marks as wrong is refused, and what it takes is loaded."""
    found = list(config_problems(document))
    errors = [error.message for error in VALIDATOR.iter_errors(document)]
    assert bool(found) == bool(errors), (found, errors)
    if not found:
        plain = {key: value for key, value in document.items() if key not in {"password", "$schema"}}
        if "flex" in plain:
            plain["flex"] = {key: value for key, value in plain["flex"].items() if key != "token"}
        assert isinstance(msgspec.convert(plain, module.Config, strict=True), module.Config)


# The password.

STRANGE = [
    "simple",
    "$HOME `id` !! <b>&amp;",
    "\"double\" 'single' \\back",
    "Grüße 密码 🔑",
    "  spaces  ",
    "#x",
]


def with_file(tmp_path: Path, content: bytes, *, mode: int = 0o600) -> tuple[Path, module.Config]:
    """Writes a password file and a configuration that names it."""
    secret = tmp_path / "secret"
    secret.write_bytes(content)
    secret.chmod(mode)
    path = written(tmp_path, {**MINIMAL, "login": {"password_file": str(secret)}})
    return path, load_config(path)


@pytest.mark.parametrize("password", STRANGE)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_password_is_taken_as_it_stands(tmp_path: Path, password: str, end: str) -> None:
    path, config = with_file(tmp_path, (password + end).encode())
    assert read_password(path, config, {}).reveal() == password


@pytest.mark.parametrize("content", [b"secret\n\n", b"secret\r", b"secret\r\r\n", b"secret\nmore\n", b"\nsecret\n"])
def test_only_one_line_end_is_dropped(tmp_path: Path, content: bytes) -> None:
    """A second one would be sent along."""
    path, config = with_file(tmp_path, content)
    with pytest.raises(ConfigError, match="not what a person typed") as caught:
        read_password(path, config, {})
    assert "secret" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("password", STRANGE)
def test_the_key_in_the_configuration_is_taken_as_it_stands(tmp_path: Path, password: str) -> None:
    path = written(tmp_path, {**MINIMAL, "password": password})
    assert read_password(path, load_config(path), {}).reveal() == password


def test_credential_then_file_then_key(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "ibkr-password").write_text("from credential\n")
    (tmp_path / "secret").write_text("from file\n")
    (tmp_path / "secret").chmod(0o600)
    document = {**MINIMAL, "password": "from key", "login": {"password_file": str(tmp_path / "secret")}}
    path = written(tmp_path, document)
    config = load_config(path)
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert read_password(path, config, environ).reveal() == "from credential"
    (credentials / "ibkr-password").unlink()
    assert read_password(path, config, environ).reveal() == "from file"
    (tmp_path / "secret").unlink()
    assert read_password(path, config, environ).reveal() == "from key"


def test_a_person_as_root_reads_what_systemd_hands_to_the_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file beside the configuration; whoever may not read it goes on as if it were not there."""
    path = written(tmp_path, {**MINIMAL, "password": "from key"})
    kept = tmp_path / "password"
    kept.touch(mode=0o600)
    kept.write_text("kept by root\n")
    assert read_password(path, load_config(path), {}).reveal() == "kept by root"
    read_bytes = Path.read_bytes

    def refuse(file: Path) -> bytes:
        if file == kept:
            raise PermissionError(13, "Permission denied")
        return read_bytes(file)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert read_password(path, load_config(path), {}).reveal() == "from key"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_password_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path, config = with_file(tmp_path, b"hunter2", mode=mode)
    with pytest.raises(ConfigError, match="others can read the password") as caught:
        read_password(path, config, {})
    assert "hunter2" not in str(caught.value)


def test_a_password_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path, config = with_file(tmp_path, b"\xff\xfe hunter2")
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        read_password(path, config, {})
    assert "hunter2" not in repr(caught.value.__context__) or caught.value.__suppress_context__


def test_without_any_password_the_places_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, MINIMAL)
    with pytest.raises(ConfigError, match=r"no credential, no login\.password_file"):
        read_password(path, load_config(path), {})


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>20}".format, lambda secret: f"{secret}"])
def test_a_secret_does_not_show_itself(show: Any) -> None:
    assert "hunter2" not in show(Secret("hunter2"))
    assert "hunter2" not in show([Secret("hunter2")])
    assert "hunter2" not in repr(show)


def test_a_secret_is_not_pickled_or_encoded_by_accident() -> None:
    with pytest.raises(TypeError):
        json.dumps(Secret("hunter2"))


@pytest.mark.parametrize(
    "text",
    [
        '{"username": 5, "nonsense": "x", "alerts": {"command": ["/bin/tell"]}}',
        '{"username": "a" "account": "U1234567", "alerts": {"command": ["/bin/tell"]}}',
        '{"alerts" : {"command": ["/bin/tell"]},',
        '{"username": "readonlyuser", "alerts": {"command": ["/bin/tell"]}} garbage',
    ],
)
def test_how_a_person_is_told_is_read_of_a_wrong_configuration(tmp_path: Path, text: str) -> None:
    """A wrong key or value elsewhere, no JSON elsewhere, still the example."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigError):
        load_config(path)
    alerts = read_alerts_alone(path)
    assert alerts is not None
    assert alerts.command == ("/bin/tell",)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"alerts": {"command": ["/bin/tell"}',
        '{"alerts": {"command": "/bin/tell"}}',
        '{"alerts": {"program": ["/bin/tell"]}}',
        '{"alerts": {"command": ["/bin/a"]}, "alerts": {"command": ["/bin/b"]}}',
        '{"alerts": ' + "[" * 100_000,
    ],
)
def test_what_is_wrong_itself_tells_nobody(tmp_path: Path, text: str) -> None:
    assert read_alerts_alone(written(tmp_path, text)) is None


def test_a_missing_configuration_tells_nobody(tmp_path: Path) -> None:
    assert read_alerts_alone(tmp_path / "none") is None
