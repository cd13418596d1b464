"""Is this form signed by Twilio? Plain forms are checked here, at a third of the SDK's cost; odd ones by the SDK."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence

from twilio.request_validator import RequestValidator


class Signatures:
    """`tokens`: any of them will do, which is how one is replaced."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = [token.encode() for token in tokens]
        self._validators = [RequestValidator(token) for token in tokens]

    def sign(self, url: str, fields: Mapping[str, str]) -> str:
        return str(self._validators[0].compute_signature(url, dict(fields)))

    def fit(self, url: str, pairs: Sequence[tuple[str, str]], signature: str) -> bool:
        """`url` is what Twilio was told, without its fragment."""
        if not signature or not signature.isascii():
            return False
        fields = dict(pairs)
        if len(pairs) == len(fields):
            signed = (url + "".join(name + fields[name] for name in sorted(fields))).encode()
            for token in self._tokens:
                mine = base64.b64encode(hmac.digest(token, signed, "sha1")).decode()
                if hmac.compare_digest(mine, signature):
                    return True
        # repeated keys, and the port that Twilio signs or does not
        several = _Several()
        for name, value in pairs:
            several.setdefault(name, []).append(value)
        return any(validator.validate(url, several, signature) for validator in self._validators)


class _Several(dict[str, list[str]]):
    """A form whose keys repeat, as the SDK asks for it."""

    def getall(self, name: str) -> list[str]:
        return self[name]
