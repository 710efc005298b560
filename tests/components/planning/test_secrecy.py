"""What looks like a secret must not stand in plain settings."""

import pytest

from fastapi_platform.planning import secrecy


@pytest.mark.parametrize(
    "name",
    ["PASSWORD", "DB_PASSWORD", "SECRET_KEY", "API_KEY", "APIKEY", "STRIPE_TOKEN", "DATABASE_URL", "SENTRY_DSN",
     "jwt_key", "PGPASSWORD", "DB_PASS", "SMTP_PW", "MYSQL_PWD", "SECRET_KEY_BASE", "SESSION_KEY", "FERNET_KEY",
     "HMAC_KEY", "API_TOKENS", "PASSWORDS", "STRIPE_KEY"],
)
def test_a_name_that_usually_holds_a_credential_is_suspected(name: str):
    assert secrecy.name_looks_secret(name)


@pytest.mark.parametrize(
    "name",
    ["TOKEN_TTL_SECONDS", "PASSWORD_MIN_LENGTH", "SECRET_NAME", "API_KEY_HEADER", "JWT_KEY_FILE", "LOG_LEVEL",
     "TOKENS_PER_MINUTE", "COMPASS", "PARTITION_KEY", "PUBLIC_KEY"],
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
              "http://orders:8000/users/@me", "Bearer tokens"]
)
def test_ordinary_values_are_left_alone(value: str):
    assert not secrecy.value_looks_secret(value)


@pytest.mark.parametrize("text", ["--password=hunter2", "LOG_LEVEL=info\nDB_PASSWORD=hunter2", "API_TOKEN=x run"])
def test_a_credential_that_is_handed_over_is_recognised(text: str):
    assert secrecy.assigns_secret(text)


@pytest.mark.parametrize("text", ["--token-ttl=30", "export PASSWORD=$DB_PASSWORD", "--password-file=/run/secrets/db"])
def test_what_only_names_a_credential_is_left_alone(text: str):
    assert not secrecy.assigns_secret(text)


def test_an_empty_variable_leaks_nothing_and_the_rest_is_named_in_order():
    assert secrecy.leaks({"B_TOKEN": "x", "A_TOKEN": "", "A_PASSWORD": "y"}) == ("A_PASSWORD", "B_TOKEN")
