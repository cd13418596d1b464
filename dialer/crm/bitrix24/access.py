"""The two ways into a portal: an incoming webhook's address, or the tokens of a local OAuth application."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from dialer.crm.bitrix24.errors import APPLICATION, WEBHOOK, Closed, Doubt, Later, Refused
from dialer.crm.bitrix24.wire import Wire
from dialer.secrecy import hide
from dialer.tokens import Keeper, Tokens

OAUTH_SETTING = "DIALER_BITRIX24_OAUTH_URL"
OAUTH_WITHIN = 20.0
OTHERS_WITHIN, LOOK_EVERY = 30.0, 0.5
"""Seconds that another node is waited for, which is renewing the tokens."""
KNOWN_FOR = 30.0
"""Seconds for which tokens are used without a look at what other nodes have kept."""


@dataclass(frozen=True, slots=True)
class Address:
    """A method's name follows `base` and a slash. `token` goes into the body."""

    base: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Access(Protocol):
    way: str
    """webhook, application"""

    @property
    def shown(self) -> str:
        """For people, without secrets."""

    @property
    def secrets(self) -> list[str]:
        """What an answer might repeat."""

    def now(self) -> Address: ...

    def renew(self, old: Address) -> bool:
        """The portal calls its token expired. False where nothing can be renewed."""

    def moved(self, old: Address, to: str) -> str:
        """The portal answers from another address. What is to be said of it. Raises Refused where that is not to be
        followed."""

    def close(self) -> None: ...


class Webhook:
    way = WEBHOOK

    def __init__(self, url: str) -> None:
        self._base = url.rstrip("/")
        self.secrets = [part for part in urlsplit(self._base).path.split("/") if len(part) > 5]

    @property
    def shown(self) -> str:
        return f"{_origin(self._base)}/rest/***"

    def now(self) -> Address:
        return Address(self._base)

    def renew(self, old: Address) -> bool:
        return False

    def moved(self, old: Address, to: str) -> str:
        """Followed as long as this process lives: a name that is given up may be a stranger's one day."""
        host = urlsplit(to).hostname or "another address"
        said = f"the portal has moved to {host}: put the new address into DIALER_BITRIX24_WEBHOOK_URL"
        there = _within_its_domain(old.base, to)
        if there is None:
            raise Closed(said)
        if there == old.base or self._base != old.base:
            return ""
        self._base = there
        return said

    def close(self) -> None:
        pass


class Application:
    """The client's secret goes to the OAuth server alone. Tokens are renewed when the portal calls them expired, by one
    node at a time: a pair that was renewed twice would leave one of the nodes with nothing."""

    way = APPLICATION

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        keeper: Keeper,
        *,
        clock: Callable[[], datetime],
        oauth_url: str,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = {"client_id": client_id, "client_secret": client_secret}
        self._keeper, self._oauth_url = keeper, oauth_url.rstrip("/")
        self._monotonic, self._sleep = monotonic, sleep
        self._wire = Wire(clock=clock, monotonic=monotonic, answer_within=OAUTH_WITHIN, named=OAUTH_SETTING)
        self._lock = threading.Lock()
        self._tokens: Tokens | None = None
        self._known_until = 0.0

    @property
    def shown(self) -> str:
        tokens = self._look()
        return "a portal that has not installed the application" if tokens is None else _origin(tokens.endpoint)

    @property
    def is_installed(self) -> bool:
        return self._look() is not None

    def trouble(self) -> str:
        """Why the tokens cannot be renewed any more; empty where nothing is wrong."""
        return self._keeper.trouble()

    @property
    def secrets(self) -> list[str]:
        known = self._tokens
        return [self._client["client_secret"], *([] if known is None else [known.access, known.refresh])]

    def now(self) -> Address:
        """Raises Refused where no portal has installed the application."""
        tokens = self._look()
        if tokens is None:
            raise Closed("no portal has installed the application yet: `dialer doctor` says how")
        return Address(tokens.endpoint, tokens.access)

    def renew(self, old: Address) -> bool:
        with self._lock:
            until = self._monotonic() + OTHERS_WITHIN
            while True:
                tokens = self._keeper.load()
                self._know(tokens)
                if tokens is None or tokens.access != old.token:
                    return tokens is not None
                if self._keeper.claim(tokens):
                    self._know(self._renewed(tokens))
                    return True
                if self._monotonic() > until:
                    raise Later("Bitrix24: another node is renewing the application's tokens")
                self._sleep(LOOK_EVERY)

    def moved(self, old: Address, to: str) -> str:
        there, tokens = _within_its_domain(old.base, to), self._keeper.load()
        if tokens is None or there is None:
            host = urlsplit(to).hostname or "another address"
            raise Closed(f"the portal has moved to {host}, outside its domain: install the application there again")
        if tokens.endpoint == old.base:
            self._keeper.moved(tokens, there)
        self._know(self._keeper.load())
        return ""

    def install(self, refresh_token: str) -> Tokens:
        """What a portal sends when the application is installed. Only what the OAuth server says of it is believed, and
        only an administrator's is kept: whoever opens the application in the portal is given a token of their own.

        Raises Refused, Later, Doubt.
        """
        tokens = self._exchange({"grant_type": "refresh_token", "refresh_token": refresh_token})
        if not self._are_an_administrators(tokens):
            raise Closed("an administrator of the portal must install the application: nothing was changed")
        return self._take(tokens)

    def authorize(self, code: str) -> Tokens:
        """The code that a browser brings, of whoever was given our address; it lives for 30 seconds."""
        return self._take(self._exchange({"grant_type": "authorization_code", "code": code}))

    def close(self) -> None:
        self._wire.close()

    def _are_an_administrators(self, tokens: Tokens) -> bool:
        """Raises Refused, Later, Doubt."""
        answer = self._wire.post(
            f"{tokens.endpoint}/profile.json", {"auth": tokens.access}, until=None, take=lambda whole: whole()
        )
        said = _told(answer.content)
        profile = said.get("result")
        if not isinstance(profile, dict):
            code = str(said.get("error") or answer.status)[:40]
            raise Doubt(f"the portal does not say who installs the application: {code}", answer.sent_at)
        return profile.get("ADMIN") in (True, "Y", "true", "1", 1)

    def _take(self, tokens: Tokens) -> Tokens:
        self._keeper.keep(tokens)
        self._know(tokens)
        return tokens

    def _look(self) -> Tokens | None:
        if self._tokens is None or self._monotonic() > self._known_until:
            self._know(self._keeper.load())
        return self._tokens

    def _know(self, tokens: Tokens | None) -> None:
        if tokens is not None:
            hide([tokens.access, tokens.refresh])
        self._tokens, self._known_until = tokens, self._monotonic() + KNOWN_FOR

    def _renewed(self, old: Tokens) -> Tokens:
        try:
            new = self._exchange({"grant_type": "refresh_token", "refresh_token": old.refresh})
            if new.member_id != old.member_id:
                raise Closed("the OAuth server names another portal")
        except Refused as error:
            newer = self._keeper.load()
            if newer is not None and newer.refresh != old.refresh:
                return newer  # this node was silent for so long that another has renewed them
            self._keeper.not_renewed(old, str(error))
            raise
        except (Later, Doubt):
            self._keeper.not_renewed(old, "")
            raise
        self._keeper.renewed(old, new)
        return self._keeper.load() or new

    def _exchange(self, grant: dict[str, str]) -> Tokens:
        answer = self._wire.get(f"{self._oauth_url}/oauth/token/", {**grant, **self._client})
        said = _told(answer.content)
        if not said:
            raise Doubt(f"Bitrix24's OAuth server answered {answer.status} with what is not JSON", answer.sent_at)
        code = str(said.get("error") or "")
        if code:
            raise Closed(f"the OAuth server says {code[:40]}{_REMEDIES.get(code.lower(), '')}")
        try:
            return _tokens(said)
        except ValueError as error:
            raise Doubt(f"Bitrix24's OAuth server left out a part of its answer: {error}", answer.sent_at) from None


_AGAIN = "an administrator of the portal must install the application again; `dialer doctor` says how"
_REMEDIES = {
    "invalid_grant": f": {_AGAIN}",
    "invalid_client": ": are DIALER_BITRIX24_CLIENT_ID and _CLIENT_SECRET the application's, and is it installed?",
    "payment_required": ": the portal's plan has no REST any more, renew it",
    "insufficient_scope": f": the application lacks scopes; {_AGAIN}",
    "invalid_scope": f": the application lacks scopes; {_AGAIN}",
}


def _told(content: bytes) -> dict[str, object]:
    """Empty where it is no map in JSON."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _tokens(said: dict[str, object]) -> Tokens:
    """Raises ValueError with the name of what is missing."""
    found = {}
    for name in ("member_id", "client_endpoint", "access_token", "refresh_token"):
        value = said.get(name)
        if not isinstance(value, str) or not re.fullmatch(r"\S{1,2000}", value):
            raise ValueError(name)
        found[name] = value
    endpoint = urlsplit(found["client_endpoint"])
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname or "@" in endpoint.netloc or endpoint.query:
        raise ValueError("client_endpoint")
    return Tokens(
        found["member_id"], found["client_endpoint"].rstrip("/"), found["access_token"], found["refresh_token"]
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def _within_its_domain(base: str, to: str) -> str | None:
    """`base` under another name in the same domain: what opens the portal must not go to a stranger."""
    here, there = urlsplit(base), urlsplit(to)
    is_ours = _domain(here.hostname) == _domain(there.hostname) and there.scheme == here.scheme
    return here._replace(netloc=there.netloc).geturl() if is_ours else None


def _domain(host: str | None) -> str:
    """bitrix24.ru of firma.bitrix24.ru; the whole of a name with fewer than three parts, and of an IP address."""
    name = (host or "").lower()
    parts = name.split(".")
    return name if len(parts) < 3 or parts[-1].isdigit() else ".".join(parts[1:])
