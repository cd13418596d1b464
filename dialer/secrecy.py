"""What must never be said. Settings name it; it is taken out of whatever others say before that is kept or shown."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable

SHORTEST = 10
"""A shorter one may be an ordinary word, as the password in `dialer:dialer@localhost` is."""

_hidden: dict[str, None] = {}


def hide(secrets: Iterable[str]) -> None:
    _hidden.update(dict.fromkeys(one for one in secrets if len(one) >= SHORTEST))


def basic(user: str, password: str) -> str:
    """The credentials as a request carries them."""
    return b64encode(f"{user}:{password}".encode()).decode()


def without_secrets(text: str) -> str:
    for secret in _hidden:
        if secret in text:
            text = text.replace(secret, "***")
    return text
