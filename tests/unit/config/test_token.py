"""The token of the Flex Web Service: where it comes from, how it leaves config.json, and what is wrong with it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ibkr_tools.config.loader import config_problems, load_config
from ibkr_tools.config.password_adoption import TOKEN, adopt, adopt_password, find_copies
from ibkr_tools.config.schema import json_schema
from ibkr_tools.config.secrets import TOKEN_CREDENTIAL, check_token, read_token
from ibkr_tools.errors import ConfigError

SECRET = "123456789012345678901234"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir(mode=0o750)
    return directory / "config.json"


def write(config: Path, *, mode: int = 0o640, **flex: Any) -> Path:
    config.write_text(json.dumps({"username": "reader", "account": "U1234567", "flex": flex}))
    config.chmod(mode)
    return config


def move(config: Path) -> str | None:
    return adopt(TOKEN, config, config.with_name("flex-token"))


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_it_is_moved_out_of_its_section(config: Path) -> None:
    text = '{"username": "reader",\n "flex": {\n  "query": "1",\n  "token": "%s",\n  "token_expires": null},\n "a": {}}'
    config.write_text(text % SECRET)
    kept = config.with_name("flex-token")
    assert move(config) == f"the token was moved from config.json to {kept}, which only its owner can read"
    assert kept.read_text() == f"{SECRET}\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert (
        config.read_text()
        == '{"username": "reader",\n "flex": {\n  "query": "1",\n  "token_expires": null},\n "a": {}}'
    )
    assert move(config) is None


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ('{"flex": {"token": "%s"}}', '{"flex": {}}'),
        ('{"flex": {"query": "1", "token": "%s"}}', '{"flex": {"query": "1"}}'),
        ('{"flex": {"token": "%s"}, "flex": {"token": "%s", "query": "1"}}', '{"flex": {}, "flex": {"query": "1"}}'),
        ('{"fl\\u0065x":{"token":"%s","query":"1"}}', '{"fl\\u0065x":{"query":"1"}}'),
    ],
)
def test_everything_else_stays_byte_by_byte(config: Path, text: str, rest: str) -> None:
    config.write_text(text.replace("%s", SECRET))
    assert move(config) is not None
    assert config.read_text() == rest


def test_both_secrets_are_moved_one_after_the_other(config: Path) -> None:
    config.write_text(json.dumps({"password": "hunter22", "flex": {"token": SECRET}}))
    adopt_password(config, config.with_name("password"))
    move(config)
    assert json.loads(config.read_text()) == {"flex": {}}


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"flex": {"token": ""}}', '{"flex": {"token": null}}', '{"flex": 5}']
)
def test_nothing_to_move(config: Path, text: str) -> None:
    config.write_text(text)
    assert move(config) is None
    assert not config.with_name("flex-token").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"flex": {"token": "%s",}}', "not a JSON object"),
        ('{"flex": {"token": %s}}', "not a text"),
        ('{"flex": {"token": "%s", "token": "9"}}', "2 times"),
        ('{"token": "%s"}', '\'token\' is not moved; its place is "token" in "flex"'),
        ('{"login": {"token": "%s"}}', "'login.token'"),
    ],
)
def test_what_cannot_be_moved_is_said(config: Path, text: str, words: str) -> None:
    text = text.replace("%s", SECRET)
    config.write_text(text)
    with pytest.raises(ConfigError) as caught:
        move(config)
    assert words in str(caught.value)
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    assert config.read_text() == text


def test_copies_are_found_and_tokens_of_others_are_not(config: Path) -> None:
    write(config, token=SECRET)
    (config.parent / "config.json~").write_text(config.read_text())
    (config.parent / "pushover").write_text('{"token": "azGDORePK8gMaC0QOYAMyEEuzJnyUi"}')
    move(config)
    copy = private(config.with_name("flex-token.old"), SECRET)
    assert find_copies(config.parent, config.with_name("flex-token"), secret=TOKEN) == [
        config.with_name("config.json~"),
        copy,
    ]


def test_the_credential_comes_first_then_the_file_then_the_key(config: Path, tmp_path: Path) -> None:
    loaded = load_config(write(config, token="3" * 24))
    assert read_token(config, loaded, {}).reveal() == "3" * 24
    private(config.with_name("flex-token"), " " + "2" * 24 + "\n")
    assert read_token(config, loaded, {}).reveal() == "2" * 24
    (tmp_path / TOKEN_CREDENTIAL).write_text("1" * 24)
    assert read_token(config, loaded, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).reveal() == "1" * 24
    (tmp_path / TOKEN_CREDENTIAL).write_text("\n")
    assert read_token(config, loaded, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).reveal() == "2" * 24


@pytest.mark.parametrize("token", ["x", "1234 5678", "12345678901234567890123é", "1" * 200, "12345678;90123456"])
def test_what_is_no_token_is_refused_and_not_shown(config: Path, token: str) -> None:
    loaded = load_config(write(config, token=token))
    with pytest.raises(ConfigError, match="no token") as caught:
        read_token(config, loaded, {})
    assert token not in f"{caught.value} {caught.value.hint}" or token == "x"
    assert len(check_token(config, loaded)) == 1


def test_without_one_it_is_said_where_it_was_looked_for(config: Path) -> None:
    with pytest.raises(ConfigError, match=r"no token: no credential, nothing to read in .*flex-token"):
        read_token(config, load_config(write(config)), {})
    assert check_token(config, load_config(config)) == []


def test_a_file_that_others_can_read_is_refused(config: Path) -> None:
    private(config.with_name("flex-token"), SECRET).chmod(0o640)
    with pytest.raises(ConfigError, match="others can read the token"):
        read_token(config, load_config(write(config)), {})
    with pytest.raises(ConfigError, match="holds the token and every user"):
        load_config(write(config, token=SECRET, mode=0o644))


@pytest.mark.parametrize(
    ("flex", "says"),
    [
        ({"query": 1234567}, "flex.query: Expected `str | null`"),
        ({"query": "My query"}, "flex.query: Expected a query's number, digits in quotes; the list of queries"),
        ({"query": SECRET}, "flex.query: Expected a query's number, digits in quotes; so many digits are a token"),
        ({"token": 5}, "flex.token: expected a text"),
        ({"token_expires": "31.12.2027"}, "flex.token_expires: Expected a day such as 2027-01-31"),
        ({"token_expires": 5}, "flex.token_expires"),
        ({"tokn": SECRET}, "flex.tokn: unknown key; did you mean 'token'?"),
        ({"upstream": "ndcdyn.interactivebrokers.com"}, "did you mean 'https://ndcdyn.interactivebrokers.com'?"),
    ],
)
def test_a_wrong_value_is_one_line_that_shows_no_secret(flex: dict[str, Any], says: str) -> None:
    document = {"username": "reader", "account": "U1234567", "flex": flex}
    (line,) = config_problems(document)
    assert says in line
    assert SECRET not in line
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("upstream", ["http://flex.example", "http://10.0.0.1:80", "http://127.0.0.1.example"])
def test_the_token_goes_nowhere_unencrypted(upstream: str) -> None:
    (line,) = config_problems({"username": "reader", "account": "U1234567", "flex": {"upstream": upstream}})
    assert "unencrypted" in line


@pytest.mark.parametrize("upstream", ["http://127.0.0.1:5080", "http://localhost:5080", "https://flex.example"])
def test_this_machine_and_https_are_taken(upstream: str) -> None:
    assert list(config_problems({"username": "reader", "account": "U1234567", "flex": {"upstream": upstream}})) == []
