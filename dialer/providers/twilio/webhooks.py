"""Twilio's webhooks → letters → news and replies. Two signatures: Twilio's, and ours in the path.

/twilio/{kind}/{ref}/{step}/{mac}      kind: voice, keys, dial, leg, status, fallback
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import unquote_plus

from twilio.request_validator import RequestValidator

from dialer.call import AnsweredBy, Phase, Progress, Transfer, merge
from dialer.errors import Forged, Malformed
from dialer.providers.base import Letter, News, Reply, Webhook
from dialer.providers.twilio import twiml, words
from dialer.script import Script

KINDS = {"voice": True, "keys": True, "dial": True, "leg": False, "status": False, "fallback": True}
"""Kind → is its reply spoken, so that it needs the script?"""

# Connect failures, time-outs and 5xx are repeated by Twilio for as long as it will, which is 15 s.
CONNECTION = "#rc=5&rp=5xx,ct,rt"
FIELDS_MOST = 200
BODY_MOST = 64 * 1024
NOTHING = '<?xml version="1.0" encoding="UTF-8"?><Response />'


class Webhooks:
    """`tokens` and `secrets`: the current one first, then those still accepted."""

    def __init__(
        self, public_url: str, key: str, *, tokens: Sequence[str], secrets: Sequence[str], caller_id: str = ""
    ):
        self._public_url, self._key, self._caller_id = public_url, key, caller_id
        self._tokens = [token.encode() for token in tokens]
        self._validators = [RequestValidator(token) for token in tokens]
        self._secrets = [secret.encode() for secret in secrets]

    def address(self, kind: str, ref: str, step: int = 0) -> str:
        return (
            f"{self._public_url}/twilio/{kind}/{ref}/{step}/{self._mac(self._secrets[0], kind, ref, step)}{CONNECTION}"
        )

    def open(self, webhook: Webhook) -> Letter:
        kind, ref, step = self._open_path(webhook.path)
        fields = self._open_body(webhook)
        key, _, attempt = ref.rpartition("-")
        # another installation's address can only come here by mistake: nobody here knows the attempt
        known = key == self._key and attempt.isascii() and attempt.isdigit() and len(attempt) < 16
        content = hashlib.blake2b(f"{kind}/{step}\n".encode() + webhook.body, digest_size=12).hexdigest()
        return Letter(int(attempt) if known else 0, kind, step, content, fields, wants_script=KINDS[kind])

    def receive(self, letter: Letter, script: Script | None) -> tuple[News | None, Reply]:
        """`script` is None for an attempt that is not ours: it is hung up on."""
        proven, choice_place = self._proves(letter, script)
        parent = letter.fields.get("ParentCallSid") or letter.fields.get("CallSid")
        news = News(letter.attempt, letter.key, proven, call_id=parent or None, raw=_raw(letter))
        return news, self._reply(letter, script, choice_place)

    def regrets(self, letter: Letter, script: Script | None) -> Reply:
        if letter.wants_script:
            return _spoken(twiml.sorry(script))
        return Reply(code=503, content_type="text/plain")

    def _open_path(self, path: str) -> tuple[str, str, int]:
        parts = path.split("/")
        if len(parts) != 6 or parts[2] not in KINDS or not (parts[4].isascii() and parts[4].isdigit()):
            raise Malformed("no such address")
        if len(parts[3]) > 40 or len(parts[4]) > 6:
            raise Malformed("no such address")
        kind, ref, step = parts[2], parts[3], int(parts[4])
        if not any(hmac.compare_digest(self._mac(secret, kind, ref, step), parts[5]) for secret in self._secrets):
            raise Forged("the address does not bear our signature")
        return kind, ref, step

    def _open_body(self, webhook: Webhook) -> dict[str, str]:
        if len(webhook.body) > BODY_MOST:
            raise Malformed("the body is too long")
        pairs = _form(webhook.body)
        signature = webhook.headers.get("x-twilio-signature", "")
        if not signature.isascii() or not signature:
            raise Forged("there is no Twilio signature")
        url = self._public_url + webhook.path + (f"?{webhook.query}" if webhook.query else "")
        fields = dict(pairs)
        if not self._is_twilios(url, pairs, fields, signature):
            raise Forged("the Twilio signature is wrong; is DIALER_PUBLIC_URL exactly what Twilio calls?")
        return fields

    def _is_twilios(self, url: str, pairs: list[tuple[str, str]], fields: dict[str, str], signature: str) -> bool:
        if len(pairs) == len(fields):
            signed = (url + "".join(name + fields[name] for name in sorted(fields))).encode()
            for token in self._tokens:
                mine = base64.b64encode(hmac.digest(token, signed, "sha1")).decode()
                if hmac.compare_digest(mine, signature):
                    return True
        # repeated keys, and the port that Twilio signs or does not
        several: dict[str, list[str]] = {}
        for name, value in pairs:
            several.setdefault(name, []).append(value)
        return any(validator.validate(url, several, signature) for validator in self._validators)

    def _mac(self, secret: bytes, kind: str, ref: str, step: int) -> str:
        digest = hmac.digest(secret, f"{kind}/{ref}/{step}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:18]).decode()

    def _proves(self, letter: Letter, script: Script | None) -> tuple[Progress, int]:
        """Progress, and the place of the chosen key (0: none)."""
        fields = letter.fields
        if letter.kind in ("leg", "dial"):
            name = "DialCallStatus" if letter.kind == "dial" else "CallStatus"
            transfer = words.TRANSFERS.get(fields.get(name, ""), Transfer.none)
            own = words.progress(fields) if letter.kind == "dial" else Progress()
            return merge(Progress(phase=Phase.answered, transfer=transfer), own), 0
        known = words.progress(fields)
        if fields.get("ParentCallSid"):
            return Progress(transfer=words.TRANSFERS.get(fields.get("CallStatus", ""), Transfer.none)), 0
        if letter.kind == "voice":
            return merge(Progress(phase=Phase.answered), known), 0
        if letter.kind == "fallback" and "/twilio/keys/" in fields.get("ErrorUrl", "") and not fields.get("Digits"):
            return merge(Progress(phase=Phase.answered, keys_unheard=True), known), 0
        if letter.kind == "keys":
            choice = None if script is None or script.ask is None else script.ask.choice(fields.get("Digits", ""))
            heard = Progress(phase=Phase.answered, answer_step=letter.step)
            if choice is not None:
                heard = Progress(
                    phase=Phase.answered, answer=choice.answer, answer_step=letter.step, answer_key=choice.place,
                    opted_out=choice.opts_out,
                )  # fmt: skip
            return merge(heard, known), choice.place if choice is not None else 0
        return known, 0

    def _reply(self, letter: Letter, script: Script | None, place: int) -> Reply:
        if not letter.wants_script:
            return _spoken(NOTHING)
        if script is None:
            return _spoken(twiml.sorry(None))
        ref = f"{self._key}-{letter.attempt}"

        def address(kind: str, step: int) -> str:
            return self.address(kind, ref, step)

        if letter.kind == "keys":
            keys = letter.fields.get("Digits", "")
            choice = None if script.ask is None else script.ask.choice(keys)
            own = letter.fields.get("From", "")
            return _spoken(twiml.after_keys(script, choice, keys, letter.step, address, own))
        if letter.kind == "dial":
            if letter.fields.get("DialCallStatus") in ("completed", "answered"):
                return _spoken(twiml.sorry(None))
            choices = script.ask.choices if script.ask is not None else ()
            connect = next((choice.connect for choice in choices if choice.place == letter.step), None)
            return _spoken(twiml.nobody_free(script, connect))
        if letter.kind == "fallback" and "/twilio/voice/" not in letter.fields.get("ErrorUrl", "/twilio/voice/"):
            return _spoken(twiml.sorry(script))
        if words.ANSWERED_BY.get(letter.fields.get("AnsweredBy", "")) is AnsweredBy.machine:
            return _spoken(twiml.machine(script))
        return _spoken(twiml.opening(script, address))


_KEPT = ("CallSid", "CallStatus", "SequenceNumber", "Timestamp", "CallDuration", "AnsweredBy", "SipResponseCode",
         "Digits", "DialCallStatus", "DialCallDuration", "ErrorCode", "ErrorUrl", "QueueTime")  # fmt: skip


def _form(body: bytes) -> list[tuple[str, str]]:
    """`parse_qsl` with blanks kept, at a third of its cost: most of Twilio's values need no decoding."""
    try:
        pairs = body.decode("ascii").split("&")
        if len(pairs) > FIELDS_MOST:
            raise Malformed("the form has too many fields")
        if "%" not in pairs[0] and "=" not in pairs[0]:
            raise Malformed("the body is not a form")
        return [
            (unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict"))
            if "%" in pair or "+" in pair
            else (name, value)
            for pair in pairs
            for name, _, value in (pair.partition("="),)
        ]
    except UnicodeError as error:
        raise Malformed("the body is not a form in UTF-8") from error


def _raw(letter: Letter) -> str:
    kept = [f"{name}={letter.fields[name][:120]}" for name in _KEPT if name in letter.fields]
    return f"{letter.kind}/{letter.step} " + " ".join(kept)


def _spoken(text: str) -> Reply:
    return Reply(body=text.encode())
