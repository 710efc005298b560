"""What is taken for an address and a password. No database: nothing gets that far."""

import json

import pytest

from app.main import create_app
from tests.auth.support import PASSWORD
from tests.support import serve, valid_settings


@pytest.mark.control("strict-input-validation")
@pytest.mark.parametrize(
    "body",
    [
        {"email": "nobody", "password": PASSWORD},
        {"email": "a@localhost", "password": PASSWORD},
        {"email": "ä@example.com", "password": PASSWORD},
        {"email": f"{'a' * 65}@example.com", "password": PASSWORD},
        {"email": f"a@{'b.' * 130}com", "password": PASSWORD},
        {"email": "a@example.com\n", "password": PASSWORD},
        {"email": "a@example.com", "password": "short"},
        {"email": "a@example.com", "password": "x" * 129},
        {"email": "a@example.com", "password": "\ud800 is half a character"},
        {"email": "a@example.com", "password": 123456789012},
        {"email": "a@example.com", "password": PASSWORD, "role": "admin"},
    ],
)
async def test_a_registration_that_is_not_one_is_refused(body: dict[str, object]) -> None:
    async with serve(create_app(valid_settings())) as client:
        response = await client.post("/v1/auth/register", content=json.dumps(body))
    assert response.status_code == 422
    assert PASSWORD not in response.text
