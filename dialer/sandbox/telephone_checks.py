"""One request to place a call → nothing, or ApiError with Twilio's code for what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

EVENTS = {"initiated", "ringing", "answered", "completed"}
TWIML_MOST = 4_000

# Parameter → least, most, code.
NUMBERS = {
    "Timeout": (1, 600, 21208),
    "TimeLimit": (1, 86_400, 20001),
    "MachineDetectionTimeout": (3, 59, 21263),
    "MachineDetectionSpeechThreshold": (1_000, 6_000, 21263),
    "MachineDetectionSpeechEndThreshold": (500, 5_000, 21263),
    "MachineDetectionSilenceTimeout": (2_000, 10_000, 21263),
}
CHOICES = {
    "Method": ({"GET", "POST"}, 21209),
    "FallbackMethod": ({"GET", "POST"}, 21209),
    "StatusCallbackMethod": ({"GET", "POST"}, 21209),
    "MachineDetection": ({"Enable", "DetectMessageEnd"}, 21263),
    "AsyncAmd": ({"true", "false"}, 21263),
    "Record": ({"true", "false"}, 20001),
}


class ApiError(Exception):
    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def check_order(fields: Mapping[str, Any], *, caller_ids: Sequence[str], forbidden: Mapping[str, int]) -> None:
    """`forbidden`: the beginning of a number → the code that it is refused with."""
    _check_numbers(str(fields.get("To", "")), str(fields.get("From", "")), caller_ids)
    for beginning, code in forbidden.items():
        if str(fields["To"]).startswith(beginning):
            raise ApiError(400, code, f"Account not authorized to call {fields['To']}.")
    _check_pages(fields)
    if set(fields.get("StatusCallbackEvent", [])) - EVENTS:
        raise ApiError(400, 21626, "Invalid StatusCallbackEvent")
    for name, (least, most, code) in NUMBERS.items():
        value = str(fields.get(name, least))
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            raise ApiError(400, code, f"Invalid {name}")
    for name, (known, code) in CHOICES.items():
        if name in fields and fields[name] not in known:
            raise ApiError(400, code, f"Invalid {name}")
    if not re.fullmatch(r"[0-9A-D#*wW]{0,32}", str(fields.get("SendDigits", ""))):
        raise ApiError(400, 21206, "SendDigits are not valid")


def is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "_" not in (parts.hostname or "_")


def _check_numbers(to: str, shown: str, caller_ids: Sequence[str]) -> None:
    if not to:
        raise ApiError(400, 21201, "No 'To' number is specified")
    if not _is_e164(to) or to == shown:
        raise ApiError(400, 21211, f"The phone number you are attempting to call, {to}, is not valid.")
    if not shown:
        raise ApiError(400, 21213, "Caller phone number is required")
    if not _is_e164(shown):
        raise ApiError(400, 21212, f"The source phone number provided, {shown}, is not valid")
    if shown not in caller_ids:
        raise ApiError(400, 21210, f"The source phone number provided, {shown}, is not yet verified for your account")


def _check_pages(fields: Mapping[str, Any]) -> None:
    """With a Url the Twiml is ignored, whatever it holds."""
    if "Url" in fields or not fields.get("Twiml"):
        if not is_address(str(fields.get("Url", ""))):
            raise ApiError(400, 21205, f"Url parameter is not a valid URL: {fields.get('Url')}")
    elif len(str(fields["Twiml"])) > TWIML_MOST:
        raise ApiError(400, 20001, "Twiml is longer than 4000 characters")
    for name, code in (("FallbackUrl", 21205), ("StatusCallback", 21609)):
        if name in fields and not is_address(str(fields[name])):
            raise ApiError(400, code, f"{name} is not a valid URL: {fields[name]}")


def _is_e164(text: str) -> bool:
    return re.fullmatch(r"\+[1-9][0-9]{6,14}", text) is not None
