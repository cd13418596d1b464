"""Secrets that are kept in the database are sealed with DIALER_SECRET; the one door to cryptography."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def seal(text: str, secret: str) -> str:
    return _key(secret).encrypt(text.encode()).decode()


def unseal(sealed: str, secrets: Sequence[str], *, ttl: int | None = None) -> str | None:
    """None where none of the secrets opens it, or where it is older than `ttl` seconds."""
    try:
        return MultiFernet([_key(secret) for secret in secrets]).decrypt(sealed.encode(), ttl).decode()
    except InvalidToken:
        return None


def _key(secret: str) -> Fernet:
    derived = HKDF(SHA256(), 32, salt=None, info=b"dialer: sealed in the database").derive(secret.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
