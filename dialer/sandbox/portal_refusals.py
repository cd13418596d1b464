"""What the portal answers with a no, of itself or because a fault says so."""

from __future__ import annotations

import json

from dialer.sandbox.portal_cards import RestError
from dialer.sandbox.wire import Response

UNKNOWN = "Произошла неизвестная ошибка. Обратитесь к администратору портала."


def html(code: int) -> Response:
    text = f"<!DOCTYPE html><html><head><title>{code}</title></head><body>nginx</body></html>"
    return Response(code, text.encode(), "text/html")


REFUSALS = {
    "503": RestError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests"),
    "429": RestError(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit."),
    "500_before": RestError(500, "INTERNAL_SERVER_ERROR", "Internal server error"),
    "401": RestError(401, "NO_AUTH_FOUND", "Wrong authorization data"),
    "overload": RestError(503, "OVERLOAD_LIMIT", "REST API is blocked due to overload"),
}
REFUSALS_AFTER = {
    "500_after": RestError(500, "INTERNAL_SERVER_ERROR", "Internal server error"),
    "refuse_after": RestError(400, "", UNKNOWN),
}


def refusal(do: str) -> RestError:
    return REFUSALS.get(do) or RestError(400, do.removeprefix("refuse:"), UNKNOWN)


def befallen_before(do: str) -> Response | None:
    if do in ("html", "html_404"):
        return html(404 if do == "html_404" else 502)
    if do == "error_200":
        return refused(RestError(200, "", UNKNOWN))
    return refused(refusal(do)) if do in REFUSALS or do.startswith("refuse:") else None


def befallen_after(do: str) -> Response | None:
    if do == "html_after":
        return html(502)
    return refused(REFUSALS_AFTER[do]) if do in REFUSALS_AFTER else None


def refused(error: RestError) -> Response:
    body = {"error": error.code, "error_description": error.text}
    return Response(error.status, json.dumps(body, ensure_ascii=False).encode())
