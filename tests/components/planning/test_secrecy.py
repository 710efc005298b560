"""What looks like a secret must not stand in plain settings."""

import pytest

from fastapi_platform.planning import secrecy

DSN = "postgresql://u:hunter2@h/db"


@pytest.mark.parametrize(
    "name",
    ["PASSWORD", "DB_PASSWORD", "SECRET_KEY", "API_KEY", "APIKEY", "STRIPE_TOKEN", "DATABASE_URL", "SENTRY_DSN",
     "jwt_key", "PGPASSWORD", "DB_PASS", "SMTP_PW", "MYSQL_PWD", "SECRET_KEY_BASE", "SESSION_KEY", "FERNET_KEY",
     "HMAC_KEY", "API_TOKENS", "PASSWORDS", "STRIPE_KEY", "clientSecret", "accessToken", "dbPassword", "api-key"],
)
def test_a_name_that_usually_holds_a_credential_is_suspected(name: str):
    assert secrecy.name_looks_secret(name)


@pytest.mark.parametrize(
    "name",
    ["TOKEN_TTL_SECONDS", "PASSWORD_MIN_LENGTH", "SECRET_NAME", "API_KEY_HEADER", "JWT_KEY_FILE", "LOG_LEVEL",
     "TOKENS_PER_MINUTE", "COMPASS", "PARTITION_KEY", "PUBLIC_KEY", "secretName", "tokenTtlSeconds"],
)
def test_a_name_about_a_credential_is_not(name: str):
    assert not secrecy.name_looks_secret(name)


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://orders:hunter2@db:5432/orders",
        "redis://:hunter2@cache:6379/0",
        "postgresql://orders:hunt/er2@db:5432/orders",
        "postgresql://db/orders?user=orders&password=hunter2",
        "Bearer 3f9c1b0a5d7e4f2a8b6c",
        "-----BEGIN PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a" * 36,
        "xoxb-1234567890-abcdef",
        "sk_live_" + "a" * 24,
        '{"type": "service_account", "private_key": "x"}',
    ],
)
def test_the_shape_of_a_credential_is_recognised(value: str):
    assert secrecy.value_looks_secret(value)


@pytest.mark.parametrize(
    "value", ["", "info", "https://example.com/path", "postgresql://db:5432/orders", "orders@example.com", "10.0.0.0/8",
              "http://orders:8000/users/@me", "Bearer tokens", "postgresql://app:$(PW)@db/app", "redis://:${PW}@cache",
              "postgresql://db/app?password=$(PW)&user=a"]
)
def test_ordinary_values_are_left_alone(value: str):
    assert not secrecy.value_looks_secret(value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--password=hunter2", "--password=[secret]"),
        ("LOG_LEVEL=info\nDB_PASSWORD=hunter2", "LOG_LEVEL=info\nDB_PASSWORD=[secret]"),
        ("API_TOKEN=x run", "API_TOKEN=[secret] run"),
        ("PASSWORD=$ecret1", "PASSWORD=[secret]"),
        ("PASSWORD=$(PG)-and-more", "PASSWORD=[secret]"),
        ("{'password': 'hunter2', 'user': 'a'}", "{'password': [secret], 'user': 'a'}"),
        ('{"dbPassword": "hun\\"ter2"}', '{"dbPassword": [secret]}'),
        ("run('--password', 'hunter2')", "run('--password', [secret])"),
        ("db:\n  password: hunter2\n  port: 5432", "db:\n  password: [secret]\n  port: 5432"),
        ("- token: 'a b'", "- token: [secret]"),
        ("- token: 'it''s'", "- token: [secret]"),
        ("PASSWORD='hun'ter2 run", "PASSWORD=[secret] run"),
        (r'"{\"password\": \"hunter2\", \"port\": 1}"', r'"{\"password\": [secret], \"port\": 1}"'),
        ("password = hunter2", "password = [secret]"),
    ],
)
def test_a_credential_that_is_handed_over_is_hidden(text: str, shown: str):
    assert secrecy.hidden_text(text) == secrecy.hidden_prose(text) == shown
    assert secrecy.hidden_text(shown) == shown


@pytest.mark.parametrize(
    "text",
    ["--token-ttl=30", "export PASSWORD=$DB_PASSWORD", "--password-file=/run/secrets/db", "PASSWORD=$(cat /run/pw); a",
     'PASSWORD="${PG_PASSWORD}" run', "if password == given", "secret: {name: orders, key: url}", "token: null",
     "'password': ''", "no token: it has ended", "gcp:secretmanager/secret:Secret", "secret:\n  'name': 'orders'"],
)
def test_what_only_names_a_credential_is_left_alone(text: str):
    assert secrecy.hidden_text(text) == text


def test_the_word_after_an_option_is_its_value_in_commands_alone():
    assert secrecy.hidden_text("run --api-token hunter2 twice") == "run --api-token [secret] twice"
    assert secrecy.hidden_prose("the option --password is not known") == "the option --password is not known"


@pytest.mark.parametrize(
    "command",
    [("run", "--api-key=hunter2"), ("run", "--password", "hunter2"), ("sh", "-c", "DB_PASSWORD='hunter2' run"),
     ("sh", "-c", "run --password hunter2"), ("run", DSN), ("run", "--password=hunter2 &more")],
)
def test_a_command_with_a_credential_hands_it_over(command: tuple[str, ...]):
    assert secrecy.hands_over(command)


@pytest.mark.parametrize(
    "command",
    [(), ("run", "--password", "--fast"), ("run", "--password", "$(PASSWORD)"), ("run", "--token=$TOKEN", "password"),
     ("sh", "-c", 'PGPASSWORD="$(cat /run/secrets/db)" run')],
)
def test_a_command_that_refers_to_a_credential_does_not(command: tuple[str, ...]):
    assert not secrecy.hands_over(command)


def test_what_kubernetes_fills_in_is_no_leak():
    """A variable may be put together from others, which come from a Secret."""
    assert secrecy.leaks({"DB_PASSWORD": "$(PG_PASSWORD)", "DATABASE_URL": "postgresql://app:$(PW)@db/app"}) == ()
    assert secrecy.leaks({"DB_PASSWORD": "$ecret1", "DATABASE_URL": "postgresql://app:$ecret@db/app"}) != ()


def test_an_empty_variable_leaks_nothing_and_the_rest_is_named_in_order():
    assert secrecy.leaks({"B_TOKEN": "x", "A_TOKEN": "", "A_PASSWORD": "y"}) == ("A_PASSWORD", "B_TOKEN")
