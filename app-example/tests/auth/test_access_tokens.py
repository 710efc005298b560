"""Which access tokens are believed. No database: a token is judged before anything is read."""

import ast
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from pydantic import ValidationError

from app.auth.tokens import AccessTokens, Identity, InvalidTokenError, Role
from app.main import create_app
from app.settings import Settings
from app.settings_types import SigningKeys
from tests.auth.support import bearer
from tests.support import ROOT, serve, valid_settings

IDENTITY = Identity(user_id=uuid4(), tenant_id=uuid4(), role=Role.MEMBER)


def key(key_id: str) -> str:
    """Return an entry of the setting, always the same for an id."""
    secret = hashlib.sha512(key_id.encode()).digest()
    return f"{key_id}:{base64.urlsafe_b64encode(secret).decode()}"


SETTINGS = valid_settings(signing_keys=f"{key('new')},{key('old')}")
KEY_ID, SECRET = SETTINGS.token_keys.current


def claims(**changes: object) -> dict[str, Any]:
    """Return the claims of a valid token, with changes; None leaves one out."""
    now = datetime.now(UTC)
    valid: dict[str, object] = {
        "aud": "orders",
        "exp": now + timedelta(minutes=5),
        "iat": now,
        "iss": "orders",
        "jti": uuid4().hex,
        "role": "member",
        "sub": str(IDENTITY.user_id),
        "tenant": str(IDENTITY.tenant_id),
    }
    return {name: value for name, value in {**valid, **changes}.items() if value is not None}


def signed(algorithm: str = "HS256", secret: Any = SECRET, key_id: str = KEY_ID, **changes: object) -> str:
    """Return a token of our own making."""
    return jwt.encode(claims(**changes), secret, algorithm, headers={"kid": key_id})


def forged(algorithm: str, signature: bytes = b"") -> str:
    """Return a token that names an algorithm and brings any signature."""
    parts = ({"alg": algorithm, "kid": KEY_ID, "typ": "JWT"}, json.loads(json.dumps(claims(), default=_seconds)))
    return ".".join(_encoded(part) for part in (*(json.dumps(part).encode() for part in parts), signature))


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


async def answer(token: str, settings: Settings = SETTINGS) -> httpx.Response:
    """Return what the service says to a token; a believed one fails later, at the database that is away."""
    async with serve(create_app(settings)) as client:
        return await client.get("/v1/auth/me", headers=bearer(token))


def assert_refused(response: httpx.Response) -> None:
    """Compare with the one answer to a token that is not believed."""
    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["detail"] == "A valid access token is needed."


async def test_a_token_of_our_own_making_is_believed() -> None:
    """Otherwise all the others could be refused for another reason."""
    assert (await answer(signed())).status_code == 503


@pytest.mark.control("jwt-algorithms-pinned")
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", ""])
async def test_a_token_without_a_signature_is_refused(algorithm: str) -> None:
    assert_refused(await answer(forged(algorithm)))


@pytest.mark.control("jwt-algorithms-pinned")
@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
async def test_an_unlisted_algorithm_is_refused_though_the_key_is_right(algorithm: str) -> None:
    assert_refused(await answer(signed(algorithm)))


@pytest.mark.control("jwt-algorithms-pinned")
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_swapped_algorithm_is_refused(algorithm: str) -> None:
    """The classic one: what is right for HS256 is presented as something else."""
    signed_part = forged(algorithm).rpartition(".")[0]
    assert_refused(await answer(forged(algorithm, hmac.digest(SECRET, signed_part.encode(), "sha256"))))


@pytest.mark.control("jwt-short-expiry")
@pytest.mark.parametrize("name", ["aud", "exp", "iat", "iss", "jti", "role", "sub", "tenant"])
async def test_a_token_that_lacks_a_claim_is_refused(name: str) -> None:
    token = jwt.encode(claims(**{name: None}), SECRET, "HS256", headers={"kid": KEY_ID})
    assert_refused(await answer(token))


@pytest.mark.control("jwt-short-expiry")
async def test_an_expired_token_is_refused() -> None:
    assert_refused(await answer(signed(exp=datetime.now(UTC) - timedelta(seconds=1))))


@pytest.mark.parametrize(
    "token",
    [
        signed(iss="payments"),
        signed(aud="payments"),
        signed(aud=["payments", "billing"]),
        signed(iat=datetime.now(UTC) + timedelta(minutes=5)),
        signed(role="owner"),
        signed(sub="admin"),
        signed(tenant=""),
        signed(key_id="gone"),
        signed(key_id=""),
        signed(secret=bytes(range(64))),
        signed()[:-2],
        "hunter2",
        "a.b.c",
        "",
    ],
)
async def test_a_foreign_or_malformed_token_is_refused(token: str) -> None:
    assert_refused(await answer(token))


@pytest.mark.control("jwt-short-expiry")
@pytest.mark.parametrize("minutes", [15, 60])
def test_a_token_expires_after_the_minutes_of_the_setting(minutes: int) -> None:
    settings = valid_settings(access_token_minutes=minutes)
    token = AccessTokens.of(settings).issue(IDENTITY)
    issued = jwt.decode(token, options={"verify_signature": False})
    assert issued["exp"] - issued["iat"] == minutes * 60


@pytest.mark.control("jwt-short-expiry")
@pytest.mark.parametrize("minutes", [0, 14, 61, 1440])
def test_settings_refuse_another_life(minutes: int) -> None:
    with pytest.raises(ValidationError, match="access_token_minutes"):
        valid_settings(access_token_minutes=minutes)


def test_a_new_key_signs_and_an_old_one_is_believed_until_it_is_dropped() -> None:
    def tokens(*key_ids: str) -> AccessTokens:
        keys = SigningKeys.parse(",".join(map(key, key_ids)))
        return AccessTokens(keys, "orders", timedelta(minutes=15))

    before, both, after = tokens("old"), tokens("new", "old"), tokens("new")
    old, new = before.issue(IDENTITY), both.issue(IDENTITY)
    assert jwt.get_unverified_header(new)["kid"] == "new"
    assert [both.read(old), both.read(new), after.read(new)] == [IDENTITY] * 3
    for refusing, token in ((after, old), (before, new)):
        with pytest.raises(InvalidTokenError):
            refusing.read(token)


@pytest.mark.control("jwt-algorithms-pinned")
def test_no_token_is_decoded_without_a_fixed_list_of_algorithms() -> None:
    calls = [
        node
        for path in (ROOT / "app").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"decode", "decode_complete"}
        and ast.unparse(node.func.value).endswith("jwt")
    ]
    assert calls
    for call in calls:
        stated = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert stated.get("algorithms") == "[ALGORITHM]"
        assert "verify_signature" not in stated.get("options", "")
