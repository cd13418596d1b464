"""Twilio's webhooks → letters → news and replies. Two signatures: Twilio's, and ours in the path.

/twilio/{kind}/{ref}/{step}/{mac}      kind: voice, keys, dial, leg, status, fallback

`fallback` is asked when a page could not be had: it tells which, with the page's fields, and gets that page's reply.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote_to_bytes, urlencode, urlsplit

from dialer.call import AnsweredBy, Dialed, Hangup, Phase, Progress, Transfer, merge
from dialer.errors import Forged, Malformed, SettingsError, WebhookError
from dialer.providers.base import Letter, News, Reply, Webhook
from dialer.providers.twilio import forms, twiml, words
from dialer.providers.twilio.signatures import Signatures
from dialer.script import Choice, Script

KINDS = {"voice": True, "keys": True, "dial": True, "leg": False, "status": False, "fallback": True}
"""Kind → is its reply spoken, so that it needs the script?"""

# Connect failures, time-outs and 5xx are repeated by Twilio for as long as it will, which is 15 s.
CONNECTION = "#rc=5&rp=5xx,ct,rt"
NOBODY = "nobody"
"""The key of no installation: whoever reads it knows no such attempt."""
FIELDS_MOST = 200
BODY_MOST = 64 * 1024
RETRIEVAL = re.compile(r"11[0-6]\d\d")
"""Error codes of a page that could not be had. The others are about what it said: the same would fail again."""


class Webhooks:
    """`tokens` and `secrets`: the current one first, then those still accepted. `account`: whose calls are ours."""

    def __init__(
        self, public_url: str, key: str, *, tokens: Sequence[str], secrets: Sequence[str], account: str = ""
    ) -> None:
        if "_" in (urlsplit(public_url).hostname or "") or "?" in public_url or "#" in public_url:
            raise SettingsError(
                "DIALER_PUBLIC_URL: Twilio takes no host name with '_', and no '?' or '#'; give another name"
            )
        self._public_url, self._key, self._account = public_url, key, account
        self._signatures = Signatures(tokens)
        self._secrets = [secret.encode() for secret in secrets]

    def address(self, kind: str, ref: str, step: int = 0) -> str:
        return (
            f"{self._public_url}/twilio/{kind}/{ref}/{step}/{self._mac(self._secrets[0], kind, ref, step)}{CONNECTION}"
        )

    def try_out(self) -> tuple[str, Webhook]:
        """A status of nobody's call, signed as Twilio signs, and its whole address."""
        url = self.address("status", f"{NOBODY}-0").removesuffix(CONNECTION)
        fields = {
            "AccountSid": self._account or "AC" + "0" * 32, "ApiVersion": "2010-04-01", "CallSid": "CA" + "0" * 32,
            "CallStatus": "ringing", "Direction": "outbound-api", "From": "", "To": "",
        }  # fmt: skip
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-twilio-signature": self._signatures.sign(url, fields),
        }
        path = url.removeprefix(self._public_url)
        return url, Webhook("POST", path, "", headers, urlencode(fields).encode())

    def open(self, webhook: Webhook) -> Letter:
        kind, ref, step = self._open_path(webhook.path)
        fields = self._open_body(webhook, kind)
        key, _, attempt = ref.rpartition("-")
        # another installation's address can only come here by mistake: nobody here knows the attempt
        known = key == self._key and attempt.isascii() and attempt.isdigit() and len(attempt) < 16
        content = hashlib.blake2b(f"{kind}/{step}\n".encode() + webhook.body, digest_size=12).hexdigest()
        return Letter(int(attempt) if known else 0, kind, step, content, fields, wants_script=KINDS[kind])

    def receive(self, letter: Letter, script: Script | None) -> tuple[News | None, Reply]:
        """`script` is None for an attempt that is not ours: it is hung up on."""
        page = self._page_that_failed(letter) if letter.kind == "fallback" else letter
        # a leg's own id is not the call's
        own = "" if letter.kind == "leg" else letter.fields.get("CallSid", "")
        call_id = _clean(letter.fields.get("ParentCallSid") or own)[:64]
        news = News(
            letter.attempt, letter.key, self._proves(page, script), call_id=call_id or None, raw=_raw(letter),
            unknown=words.unknown(letter.fields),
        )  # fmt: skip
        return news, self._reply(page, script)

    def regrets(self, letter: Letter, script: Script | None, *, again: bool) -> Reply:
        # a page that fails is asked for again, and then the fallback, which is the last to speak
        if letter.wants_script and not (again and letter.kind != "fallback"):
            return _spoken(twiml.sorry(script))
        return Reply(code=503)

    def _page_that_failed(self, letter: Letter) -> Letter:
        """The letter which that page would have got; the fallback's own where nothing but an apology is left."""
        try:
            path = urlsplit(letter.fields.get("ErrorUrl", "")).path
            kind, ref, step = self._open_path(path[path.find("/twilio/") :])
        except (WebhookError, ValueError):
            return letter
        if ref != f"{self._key}-{letter.attempt}" or not KINDS[kind]:
            return letter
        return replace(letter, kind=kind, step=step)

    def _open_path(self, path: str) -> tuple[str, str, int]:
        parts = path.split("/")
        if len(parts) != 6 or parts[2] not in KINDS or not (parts[4].isascii() and parts[4].isdigit()):
            raise Malformed("no such address")
        if len(parts[3]) > 40 or len(parts[4]) > 6:
            raise Malformed("no such address")
        kind, ref, step = parts[2], parts[3], int(parts[4])
        mac = parts[5].encode()
        if not any(hmac.compare_digest(self._mac(secret, kind, ref, step).encode(), mac) for secret in self._secrets):
            raise Forged("the address does not bear our signature")
        return kind, ref, step

    def _open_body(self, webhook: Webhook, kind: str) -> dict[str, str]:
        if len(webhook.body) > BODY_MOST:
            raise Malformed("the body is too long")
        pairs = _form(webhook.body)
        url = self._public_url + webhook.path + (f"?{webhook.query}" if webhook.query else "")
        if not self._signatures.fit(url, pairs, webhook.headers.get("x-twilio-signature", "")):
            raise Forged("the Twilio signature is missing or wrong; is DIALER_PUBLIC_URL exactly what Twilio calls?")
        forms.refuse_cut_anew(kind, pairs, account=self._account)
        return dict(pairs)

    def _mac(self, secret: bytes, kind: str, ref: str, step: int) -> str:
        digest = hmac.digest(secret, f"{kind}/{ref}/{step}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:18]).decode()

    def _proves(self, page: Letter, script: Script | None) -> Progress:
        fields = page.fields
        known = words.progress(fields)
        if page.kind == "leg" or fields.get("ParentCallSid"):
            # the other leg's end is not the call's
            return Progress(phase=Phase.answered, transfer=_transfer(fields.get("CallStatus", "")))
        if page.kind == "dial":
            return merge(Progress(phase=Phase.answered, transfer=_transfer(fields.get("DialCallStatus", ""))), known)
        if page.kind == "voice":
            return merge(Progress(phase=Phase.answered), known)
        if page.kind == "keys":
            return merge(self._heard(page, script), known)
        # of a call that is cancelled in its queue Twilio tells nobody
        return merge(Progress(dialed=Dialed.yes), known) if known.hangup is Hangup.cancelled else known

    def _heard(self, page: Letter, script: Script | None) -> Progress:
        if "Digits" not in page.fields:
            return Progress(phase=Phase.answered, keys_unheard=True)
        choice = _choice(page, script)
        if choice is None:
            return Progress(phase=Phase.answered, answer_step=page.step)
        return Progress(
            phase=Phase.answered, answer=choice.answer, answer_step=page.step, answer_key=choice.place,
            opted_out=choice.opts_out,
        )  # fmt: skip

    def _reply(self, page: Letter, script: Script | None) -> Reply:
        if not page.wants_script:
            return Reply(code=204)
        fields = page.fields
        failed = fields.get("ErrorCode") if "ErrorUrl" in fields else None
        if script is None or page.kind == "fallback" or (failed and RETRIEVAL.fullmatch(failed) is None):
            return _spoken(twiml.sorry(script))
        ref = f"{self._key}-{page.attempt}"

        def address(kind: str, step: int) -> str:
            return self.address(kind, ref, step)

        if page.kind == "keys":
            if "Digits" not in fields:
                return _spoken(twiml.sorry(script))
            own = fields.get("From", "")
            return _spoken(twiml.after_keys(script, _choice(page, script), fields["Digits"], page.step, address, own))
        if page.kind == "dial":
            if fields.get("DialCallStatus") in ("completed", "answered"):
                return _spoken(twiml.sorry(None))
            choices = script.ask.choices if script.ask is not None else ()
            connect = next((choice.connect for choice in choices if choice.place == page.step), None)
            return _spoken(twiml.nobody_free(script, connect))
        if words.ANSWERED_BY.get(fields.get("AnsweredBy", "")) is AnsweredBy.machine:
            return _spoken(twiml.machine(script))
        return _spoken(twiml.opening(script, address))


def _transfer(word: str) -> Transfer:
    return words.TRANSFERS.get(word, Transfer.none)


def _choice(page: Letter, script: Script | None) -> Choice | None:
    return None if script is None or script.ask is None else script.ask.choice(page.fields.get("Digits", ""))


_KEPT = ("CallSid", "CallStatus", "SequenceNumber", "Timestamp", "CallDuration", "AnsweredBy", "SipResponseCode",
         "Digits", "DialCallStatus", "DialCallDuration", "ErrorCode", "QueueTime")  # fmt: skip


def _form(body: bytes) -> list[tuple[str, str]]:
    """`parse_qsl` with blanks kept, at a third of its cost: most of Twilio's values need no decoding."""
    try:
        pairs = body.decode("ascii").split("&")
        if len(pairs) > FIELDS_MOST:
            raise Malformed("the form has too many fields")
        if "%" not in pairs[0] and "=" not in pairs[0]:
            raise Malformed("the body is not a form")
        return [
            (_decoded(name), _decoded(value)) if "%" in pair or "+" in pair else (name, value)
            for pair in pairs
            for name, _, value in (pair.partition("="),)
        ]
    except UnicodeError as error:
        raise Malformed("the body is not a form in UTF-8") from error


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode() if "%" in text or "+" in text else text


def _raw(letter: Letter) -> str:
    kept = [f"{name}={_clean(letter.fields[name][:120])}" for name in _KEPT if name in letter.fields]
    return f"{letter.kind}/{letter.step} " + " ".join(kept)


def _clean(text: str) -> str:
    """Without what a database does not take."""
    return text.replace("\0", "\ufffd")


def _spoken(text: str) -> Reply:
    return Reply(text.encode(), "text/xml")
