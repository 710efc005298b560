"""What becomes of secrets and personal data in texts that end up in logs and reports."""

import traceback

import pytest

from app import redaction

KEPT = [
    "cannot start: DATABASE_URL: is not set: want postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
    "cannot start: REDIS_URL: want redis://[USER:PASSWORD@]HOST:PORT[/NUMBER] or rediss://…",
    "cannot start: SENTRY_DSN: want https://KEY@HOST/PROJECT",
    "cannot start: SIGNING_KEYS: want ID:BASE64URL[,ID:BASE64URL…], each key 32 random bytes or more",
    "Draining: 5 s of serving with Connection: close, then graceful shutdown",
    "Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)",
    "'NoneType' object has no attribute 'total'",
    'duplicate key value violates unique constraint "uq_orders_sku"',
    "request 0123456789abcdef0123456789abcdef of 0192f0c1-7c1e-7cc0-8a55-2f9b1a1f3c11 failed",
]


@pytest.mark.control("log-redaction")
@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer hunter2hunter2",
        "header b'authorization': b'Basic hunter2=='",
        "upstream refused bearer hunter2-token",
        "cookie: theme=dark; session=hunter2",
        "postgresql://orders:hunter2@db/orders does not answer",
        "redis://:hunter2/hunter2@cache:6379/0",
        "GET https://upstream.test/v1/pay?card=hunter2 answered 500",
        "password=hunter2",
        "{'client_secret': 'hunter2 with spaces'}",
        '{"refresh_token": "hunter2"}',
        "api-key: hunter2",
        "postgresql://USER:hunter2@HOST:PORT/DATABASE",
        "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.hunter2",
        "hunter2@example.com is taken",
        "refused hunter2Hunter2hunter2Hunter2hunter2Hunter2hunter2",
    ],
)
def test_what_looks_like_a_secret_is_in_no_text(text: str) -> None:
    assert "hunter2" not in redaction.without_secrets(text)
    assert redaction.REDACTED in redaction.without_secrets(text)


@pytest.mark.control("log-redaction")
@pytest.mark.parametrize(
    "text",
    [
        "bad name 'hunter2'",
        'invalid input syntax for type uuid: "hunter"',
        "invalid input for query argument $1: 'hunter' (expected str, got int)",
        "DETAIL:  Key (email)=(hunter) already exists.",
        "Key (email, tenant_id)=(hunter, 1) already exists.",
        "DETAIL:  Failing row contains (1, hunter, null).",
        "[parameters: ('hunter', 1)]",
        "[type=string_type, input_value='hunter', input_type=str]",
    ],
)
def test_the_message_of_an_exception_has_no_values(text: str) -> None:
    assert "hunter" not in redaction.without_values(text)


@pytest.mark.parametrize("text", KEPT)
def test_ids_names_and_prose_stay(text: str) -> None:
    assert redaction.without_values(text) == text


@pytest.mark.control("log-redaction")
def test_an_exception_is_told_with_its_causes_and_places_and_without_source_or_values() -> None:
    try:
        try:
            raise KeyError("hunter2 as a key")
        except KeyError as exc:
            raise ExceptionGroup("both", [ValueError("password=hunter2"), TypeError("is 'hunter2'")]) from exc
    except ExceptionGroup as exc:
        told, pythons = redaction.told(exc), traceback.format_exc()
    assert "hunter2" not in told
    assert "raise" not in told
    assert "raise" in pythons
    assert told.count(f'File "{__file__}", line ') == 2
    for name in ("KeyError", "ValueError: password=", "TypeError: is ", "direct cause"):
        assert name in told
    assert redaction.told_again(pythons).count("File ") == told.count("File ")
    assert "hunter2" not in redaction.told_again(pythons)


@pytest.mark.control("log-redaction")
def test_fields_with_the_name_of_a_secret_have_no_value_however_deep() -> None:
    fields = {
        "refresh_token": "hunter2",
        "tokens": 17,
        "body": {"user": [{"password": "hunter2"}], "note": "mail hunter2@example.com"},
        "sku": "MUG-1",
    }
    shown = redaction.without_sensitive(fields)
    assert "hunter2" not in str(shown)
    assert (shown["tokens"], shown["sku"]) == (17, "MUG-1")


def test_a_huge_text_is_cut() -> None:
    assert len(redaction.without_values("x " * 100_000)) <= redaction.MAX_CHARACTERS
