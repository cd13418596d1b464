"""Twilio's signature: the vendor's own vectors, ports, blanks, repeated keys and two tokens at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from dialer.providers.twilio.signatures import Signatures

EXAMPLES = Path(__file__).resolve().parents[1] / "providers" / "twilio_examples"
VECTORS: list[dict[str, Any]] = json.loads((EXAMPLES / "signature_vectors.json").read_text(encoding="utf-8"))
CALLBACKS: list[dict[str, Any]] = json.loads((EXAMPLES / "callbacks.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["source"][-40:])
def test_the_vendors_vectors_fit_and_nothing_else_does(vector: dict[str, Any]) -> None:
    pairs = [(name, value) for name, value in vector["params"]]
    signatures = Signatures([vector["auth_token"]])
    assert signatures.fit(vector["url"], pairs, vector["signature"])
    assert not signatures.fit(vector["url"] + "x", pairs, vector["signature"])
    assert not signatures.fit(vector["url"], [*pairs, ("More", "")], vector["signature"])
    assert not signatures.fit(vector["url"], pairs[1:], vector["signature"])
    assert not Signatures(["54321"]).fit(vector["url"], pairs, vector["signature"])


@pytest.mark.parametrize("callback", CALLBACKS, ids=lambda callback: callback["name"])
def test_callbacks_with_blank_values_fit(callback: dict[str, Any]) -> None:
    pairs = parse_qsl(callback["body"], keep_blank_values=True)
    signature = callback["headers"]["X-Twilio-Signature"]
    assert Signatures([callback["auth_token"]]).fit(callback["url"], pairs, signature)


@pytest.mark.parametrize("port", ["", ":443"])
def test_the_port_may_be_signed_or_not_whatever_we_were_told(port: str) -> None:
    one, with_port = VECTORS[:2]
    pairs = [(name, value) for name, value in one["params"]]
    url = one["url"].replace("mycompany.com", "mycompany.com" + port)
    for signature in (one["signature"], with_port["signature"]):
        assert Signatures([one["auth_token"]]).fit(url, pairs, signature)


def test_either_token_will_do() -> None:
    pairs = [("CallSid", "CA1")]
    for token in ("new", "old"):
        signature = RequestValidator(token).compute_signature("https://h/x", dict(pairs))
        assert Signatures(["new", "old"]).fit("https://h/x", pairs, signature)
        assert not Signatures(["third"]).fit("https://h/x", pairs, signature)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=8), TEXT)
def test_any_form_signed_by_the_sdk_fits_and_any_other_signature_does_not(
    pairs: list[tuple[str, str]], forged: str
) -> None:
    class Several(dict[str, list[str]]):
        def getall(self, name: str) -> list[str]:
            return self[name]

    several = Several()
    for name, value in pairs:
        several.setdefault(name, []).append(value)
    signature = RequestValidator("token").compute_signature("https://h/x", several)
    assert Signatures(["token"]).fit("https://h/x", pairs, signature)
    assert not Signatures(["token"]).fit("https://h/x", pairs, forged)
