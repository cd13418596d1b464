"""The public address, as the provider would use it: is this program reached there, and does a signature survive?

What the same request makes of the service itself, at DIALER_LISTEN, tells whose trouble it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx

from dialer.app import provider
from dialer.finding import Finding
from dialer.providers.base import Webhook
from dialer.settings import Settings

WITHIN = 4.5
UNREACHABLE = (502, 503, 504)
START = "start `dialer serve`, and check the reverse proxy in front of DIALER_LISTEN"
SAME = "start the service again after .env has changed; all nodes need the same DIALER_SECRET and TWILIO_AUTH_TOKEN"


def examine_webhooks(settings: Settings) -> Iterator[Finding]:
    if settings.public_url is None:
        yield Finding("webhooks", False, "DIALER_PUBLIC_URL is not set", "set it; without it no key can be heard")
        return
    reached = _reach(settings)
    yield reached
    if not reached.good:
        return
    # what is lacking of these has been said
    needed = (settings.secret, settings.twilio_account_sid, settings.twilio_auth_token)
    if all(one is not None for one in needed):
        yield _signature(settings, *provider(settings, "").try_out())


def _reach(settings: Settings) -> Finding:
    url = f"{settings.public_url}/healthz"
    answer = _ask("GET", url)
    if isinstance(answer, str):
        return Finding("webhooks", False, f"{settings.public_url} does not answer: {answer}", _who_is_down(settings))
    if answer.status_code == 503 and answer.headers.get("content-type", "").startswith("application/json"):
        return Finding("webhooks", False, f"the service is reached and says: {answer.text[:200]}", "see the database")
    if answer.status_code in UNREACHABLE:
        return Finding("webhooks", False, f"the proxy at {url} reaches nobody: {answer.status_code}", START)
    if answer.is_redirect:
        return Finding("webhooks", False, _redirects(url, answer), "put the last address into DIALER_PUBLIC_URL")
    if answer.status_code != 200:
        remedy = "check that the reverse proxy hands every path to DIALER_LISTEN, and takes away the path of its own"
        return Finding("webhooks", False, f"{url} answers {answer.status_code}", remedy)
    return Finding("webhooks", True, f"{settings.public_url} reaches the service")


def _who_is_down(settings: Settings) -> str:
    if isinstance(_ask("GET", f"{_here(settings)}/healthz", direct=True), str):
        return START
    return "the service runs: check the name, the certificate and the proxy; behind NAT try it from outside, too"


def _signature(settings: Settings, url: str, webhook: Webhook) -> Finding:
    code = _post(url, webhook)
    subject = "webhook signature"
    if code == 204:
        return Finding(subject, True, "a signed webhook arrives as it was signed")
    here = _post(_here(settings) + webhook.path, webhook, direct=True)
    text = f"a signed webhook is answered {code}"
    if here == 403:
        return Finding(subject, False, f"{text}: the service refuses the signature, with or without the proxy", SAME)
    if here == 204 and code == 403:
        text = "the proxy changes the address or the body: signature is refused (403)"
        return Finding(subject, False, text, "let it hand on path, query, body and X-Twilio-Signature as they come")
    if here == 204:
        text = f"the proxy changes the address or the method: {text}, and 204 without the proxy"
        return Finding(subject, False, text, "let it hand on POST, and the whole path after DIALER_PUBLIC_URL")
    remedy = f"let the proxy hand on path, query, body and X-Twilio-Signature as they come; else {SAME}"
    return Finding(subject, False, f"{text}: the proxy changes it, or the service has other secrets", remedy)


def _here(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.listen_host, settings.listen_host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.listen_port}"


def _post(url: str, webhook: Webhook, *, direct: bool = False) -> int | str:
    answer = _ask("POST", url, webhook, direct=direct)
    return answer if isinstance(answer, str) else answer.status_code


def _ask(method: str, url: str, webhook: Webhook | None = None, *, direct: bool = False) -> httpx.Response | str:
    """The answer, or in a few words why there is none. `direct` takes no proxy that the environment names."""
    sent = {} if webhook is None else {"headers": dict(webhook.headers), "content": webhook.body}
    try:
        with httpx.Client(timeout=WITHIN, trust_env=not direct) as client:
            return client.request(method, url, **sent)  # type: ignore[arg-type]
    except httpx.HTTPError as error:
        why = str(error).partition("\n")[0][:200]
        return f"{type(error).__name__}: {why}" if why else type(error).__name__


def _redirects(url: str, answer: httpx.Response) -> str:
    host = urlsplit(answer.headers.get("location", "")).netloc or "another address"
    return f"{url} redirects to {host}; Twilio signs the address that it was told"
