"""The operator's token: 32 random bytes, of which this installation keeps only the SHA-256."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

TOKEN_BYTES = 32


def fresh_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> str:
    # nobody can try 2 ** 256 tokens, so that a slow hash would protect nothing
    return hashlib.sha256(token.encode()).hexdigest()


def bears_token(headers: Iterable[tuple[bytes, bytes]], token_hash: str) -> bool:
    """Exactly one `Authorization: Bearer …`, whose hash is this one."""
    said = [value for name, value in headers if name == b"authorization"]
    if len(said) != 1:
        return False
    scheme, _, token = said[0].partition(b" ")
    given = hashlib.sha256(token.strip()).hexdigest()
    return hmac.compare_digest(given, token_hash) and scheme.lower() == b"bearer"
