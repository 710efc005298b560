"""The page on which a developer tries the API; production has none.

Owns the only HTML of the service and its content security policy: scripts and styles are files, from here and from
one version of one package, whose digests the page states. FastAPI's own page starts its script inline, which a policy
worth its name forbids. Deliberately not the description itself: FastAPI serves that.
Source: https://developer.mozilla.org/en-US/docs/Web/Security/Defenses/Subresource_Integrity
"""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

DOCS_PATH = "/docs"
SCRIPT_PATH = "/docs.js"
OPENAPI_PATH = "/openapi.json"

_PACKAGE = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0/"
_SCRIPT_DIGEST = "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"
_STYLE_DIGEST = "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I"
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "base-uri 'none'",
        "connect-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "img-src data:",
        f"script-src 'self' {_PACKAGE}",
        f"style-src {_PACKAGE}",
    )
)
_SCRIPT = f"""SwaggerUIBundle({{dom_id: "#docs", url: "{OPENAPI_PATH}", validatorUrl: null}});\n"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="stylesheet" href="{package}swagger-ui.css" integrity="{style}" crossorigin="anonymous">
</head>
<body>
<div id="docs"></div>
<script src="{package}swagger-ui-bundle.js" integrity="{script}" crossorigin="anonymous"></script>
<script src="{start}"></script>
</body>
</html>
"""


def routes(title: str) -> tuple[Route, ...]:
    """Return the page and the script that starts it; they appear in no API description."""
    page = _PAGE.format(
        title=escape(title), package=_PACKAGE, style=_STYLE_DIGEST, script=_SCRIPT_DIGEST, start=SCRIPT_PATH
    )

    async def show(_request: Request) -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    async def start(_request: Request) -> Response:
        return Response(_SCRIPT, media_type="text/javascript")

    return (Route(DOCS_PATH, show), Route(SCRIPT_PATH, start))
