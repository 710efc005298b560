"""The production checklist's controls that an application owns: each is proven by a test that names it."""

import ast
from collections.abc import Iterator

from tests.support import ROOT

CONTROLS = frozenset(
    """
    alembic-only-schema
    api-versioning
    async-db-driver
    auth-via-dependencies
    cache-control-headers
    consistent-error-schema
    cors-allow-list
    csp-on-html
    cursor-pagination
    debug-and-reload-disabled
    dependency-injected-services
    docs-disabled-in-production
    error-tracking
    fail-safe-defaults
    feature-flag-cohort
    graceful-drain
    inference-concurrency-limit
    internal-routes-hidden-from-schema
    jwt-algorithms-pinned
    jwt-short-expiry
    lifespan-managed-resources
    liveness-readiness-split
    log-correlation-ids
    log-redaction
    long-work-in-queue
    modular-thin-routers
    no-account-enumeration
    no-blocking-calls-in-async
    no-expire-on-commit
    no-n-plus-one
    no-stack-trace-leak
    otel-tracing
    outbound-timeouts
    password-hashing
    pool-pre-ping-and-recycle
    postgres-required-in-production
    prometheus-metrics
    proxy-headers-trusted
    rate-limit-sensitive-routes
    read-cache
    readiness-checks-dependencies
    refresh-tokens-hashed-revocable
    request-size-limit
    retries-idempotent-only
    secure-cookies
    security-headers
    session-per-request
    settings-validated-at-startup
    signing-key-strength
    stream-cancel-on-disconnect
    streaming-response
    strict-input-validation
    structured-json-logs
    trusted-hosts
    typed-models-on-routes
    upload-restrictions
    utc-everywhere
    """.split()
)


def named() -> Iterator[str]:
    """Return the ids in every `@pytest.mark.control(…)` of the tests."""
    for file in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "control":
                yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


def test_every_control_is_proven_by_a_test_that_names_it() -> None:
    assert len(CONTROLS) == 57
    assert set(named()) == CONTROLS
