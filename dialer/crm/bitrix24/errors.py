"""What an error of Bitrix24 means. A request ends in an answer or in one of three ways:

`Later`    certainly not executed, or only read: ask again;
`Refused`  a no. It is certain where the code or a fixed English text says so; else it may have been executed;
`Doubt`    it may have been executed.
"""

from __future__ import annotations

from datetime import datetime

from dialer.errors import CrmRefused, CrmUnavailable

WEBHOOK, APPLICATION = "webhook", "application"
_ANEW = {
    WEBHOOK: "make a new one and set DIALER_BITRIX24_WEBHOOK_URL",
    APPLICATION: "an administrator of the portal must install it again; `dialer doctor` says how",
}

# Refused before execution; an operator can mend it.
WHOLE_WAY = {
    "NO_AUTH_FOUND": "the {way} is wrong or has expired: {anew}",
    "EXPIRED_TOKEN": "the {way} has expired: {anew}",
    "INVALID_TOKEN": "the {way}'s address is wrong: {anew}",
    "AUTHORIZATION_ERROR": "the {way} is wrong, or its user was dismissed: {anew}",
    "INVALID_CREDENTIALS": "the {way}'s user lacks rights: give them in the CRM's access settings",
    "ACCESS_DENIED": "the {way}'s user lacks the right, or the portal's plan has no REST",
    "INSUFFICIENT_SCOPE": "the {way} lacks a scope: give it crm, user_brief, task for tasks, im for notifications",
    "USER_ACCESS_ERROR": "the {way}'s user may not use it: an administrator must allow it",
    "OVERLOAD_LIMIT": "the portal's REST is blocked by hand: ask Bitrix24's support",
    "PORTAL_DELETED": "the portal is closed or deleted",
    "PAYMENT_REQUIRED": "the portal's plan has no REST: renew it",
    "WRONG_AUTH_TYPE": "the portal lets only a local application do this: `dialer doctor` says how",
    "METHOD_CONFIRM_WAITING": "an administrator of the portal must confirm this method",
    "METHOD_CONFIRM_DENIED": "an administrator of the portal has forbidden this method",
    "ALLOWED_ONLY_INTRANET_USER": "the {way} belongs to an extranet user: make one as an employee",
    "ERROR_METHOD_NOT_FOUND": "the portal lacks this method: is its CRM switched on?",
    "INVALID_REQUEST": "the portal wants https://: set its address so",
}
OF_ALL = {
    "NO_AUTH_FOUND", "EXPIRED_TOKEN", "INVALID_TOKEN", "AUTHORIZATION_ERROR", "USER_ACCESS_ERROR", "OVERLOAD_LIMIT",
    "PORTAL_DELETED", "PAYMENT_REQUIRED", "INSUFFICIENT_SCOPE", "ALLOWED_ONLY_INTRANET_USER", "INVALID_REQUEST",
}  # fmt: skip
CERTAIN = {
    "NOT_FOUND", "OWNER_NOT_FOUND", "INVALID_ARG_VALUE", "100", "ERROR_BATCH_METHOD_NOT_ALLOWED",
    "ERROR_BATCH_LENGTH_EXCEEDED", "CRM_FIELD_ERROR_VALUE_NOT_VALID", "CRM_FIELD_ERROR_REQUIRED",
    "CREATE_DYNAMIC_ITEM_RESTRICTED", "UPDATE_DYNAMIC_ITEM_RESTRICTED", "USER_ID_EMPTY", "MESSAGE_EMPTY",
    *WHOLE_WAY,
}  # fmt: skip
# These methods often have no code; other texts may be in the portal's language.
CERTAIN_TEXTS = ("the field ", "the only one communication", "could not build binding", "access denied",
                 "activity is not found", "not found", "user is not found or is not active",
                 "unsupported phone number format", "unknown type", "user_id or user_phone_inner should",
                 "call_start_date should be", "call_id must be", "line already exists",
                 "number should not be empty", "could not find line", "there are no fields")  # fmt: skip
PERHAPS_EXECUTED = {"INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER"}
BEFORE_EXECUTION = (401, 403, 404, 405)
RESPONSIBLE_IS_WRONG = ("the field responsible_id", "user is not found or is not active")


class Later(CrmUnavailable):
    """`at` is when to ask again, where the portal said so."""

    def __init__(self, text: str, at: datetime | None = None) -> None:
        super().__init__(text)
        self.at = at


class TooFast(Later):
    def __init__(self) -> None:
        super().__init__("Bitrix24: QUERY_LIMIT_EXCEEDED")


class Refused(CrmRefused):
    """`code` is upper-case and may be empty; None where the no is our own. `sent_at` is when the request left."""

    def __init__(
        self, text: str, *, code: str | None = None, status: int = 200, way: str = WEBHOOK, is_of_all: bool = False
    ) -> None:
        remedy = WHOLE_WAY.get(code or "", "").format(way=way, anew=_ANEW[way])
        said = text[:200] if code is None else f"{code or 'refused'}: {text[:200]}"
        super().__init__(f"Bitrix24: {said}" + (f"; {remedy}" if remedy else ""))
        self.code, self.text, self.is_of_all = code, text, is_of_all or code in OF_ALL
        self.is_certain = code is None or code in CERTAIN or status in BEFORE_EXECUTION or _starts(text, *CERTAIN_TEXTS)
        self.can_be_mended = code is None or code in WHOLE_WAY or _starts(text, "access denied")
        self.blames_responsible = _starts(text, *RESPONSIBLE_IS_WRONG)
        self.sent_at: datetime | None = None


class Closed(Refused):
    """There is no way in."""

    def __init__(self, text: str) -> None:
        super().__init__(text, is_of_all=True)


class Doubt(CrmUnavailable):
    """The request left at `sent_at`, and nobody knows what became of it."""

    def __init__(self, text: str, sent_at: datetime | None = None) -> None:
        super().__init__(text)
        self.sent_at = sent_at


def meaning(code: str, text: str, method: str, status: int, *, way: str = WEBHOOK) -> Later | Refused | Doubt:
    """By the code first: 503 is both a limit that refuses before execution, and a block by hand."""
    if code == "QUERY_LIMIT_EXCEEDED":
        return TooFast()
    if code == "OPERATION_TIME_LIMIT":
        return Later(f"Bitrix24: OPERATION_TIME_LIMIT for {method}")
    if code in PERHAPS_EXECUTED or (status >= 500 and code not in WHOLE_WAY):
        return Doubt(f"Bitrix24 {status} {code}: {text[:200]}")
    return Refused(text, code=code, status=status, way=way)


def _starts(text: str, *beginnings: str) -> bool:
    return text.strip().lower().startswith(beginnings)
