"""Is a signed form cut as Twilio cuts it? Twilio signs names and values run together, without what parts them.

Whoever has overheard one request could part the same letters otherwise, under the same signature: a field swallowed by
the one before it, or a new one made of another's end. What we act upon has a shape that leaves no room for that, and
its name stands nowhere else. Fields that we do not know are welcome: Twilio adds some without notice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dialer.errors import Malformed

_CALL, _WORD, _NUMBER, _PHONE = r"CA[0-9a-f]{32}", r"[a-z][a-z_-]{0,29}", r"[0-9]{0,9}", r"(\+?[0-9]{2,20})?"
_TIME = r"[A-Z][a-z]{2}, [0-9]{1,2} [A-Za-z]{3} [0-9]{4} [0-9:]{8} [+A-Z0-9]{3,5}"
SHAPES = {
    name: re.compile(shape)
    for name, shape in {
        "AccountSid": r"AC[0-9a-f]{32}", "AnsweredBy": f"({_WORD})?", "ApiVersion": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
        "CallDuration": _NUMBER, "CallSid": _CALL, "CallStatus": _WORD, "Called": _PHONE, "Caller": _PHONE,
        "DialCallDuration": _NUMBER, "DialCallSid": _CALL, "DialCallStatus": _WORD, "DialSipResponseCode": _NUMBER,
        "Digits": r"[0-9*#A-Dw]{0,50}", "Direction": _WORD, "Duration": _NUMBER, "ErrorCode": _NUMBER,
        "ErrorUrl": r"\S{0,2000}", "From": _PHONE, "ParentCallSid": _CALL, "QueueTime": _NUMBER,
        "SequenceNumber": _NUMBER, "SipResponseCode": _NUMBER, "Timestamp": _TIME, "To": _PHONE,
    }.items()
}  # fmt: skip
"""Of the fields that we act upon, and of those between which they stand."""
ALWAYS = ("AccountSid", "ApiVersion", "CallSid", "CallStatus", "Direction", "From", "To")
NEEDED = {"dial": ("DialCallStatus",)}
"""By kind of hook, beside what is always there."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,79}")
_PLAIN = {
    f"{whose}{what}" for whose in ("From", "To", "Caller", "Called") for what in ("City", "State", "Zip", "Country")
}
# not looked for in the text of others: nothing hangs on them, or they must be there, and their names are short
_LOOSE = {"From", "To", "Called", "Caller", "Duration", "DialCallDuration", "DialCallSid", "DialSipResponseCode",
          "QueueTime", "SequenceNumber", "Timestamp"}  # fmt: skip
ACTED_UPON = SHAPES.keys() - _LOOSE | {"From", "To"}
_HIDDEN = re.compile("|".join(sorted(SHAPES.keys() - _LOOSE, key=len, reverse=True)))
_A_NAME = re.compile("|".join(sorted(SHAPES, key=len, reverse=True)))


def refuse_cut_anew(kind: str, pairs: Sequence[tuple[str, str]], *, account: str = "") -> None:
    """`account`: the only one whose calls are ours; any, where it is not said. Raises Malformed."""
    seen = dict(pairs)
    for name in (*ALWAYS, *NEEDED.get(kind, ())):
        if name not in seen:
            raise Malformed(f"the form has no {name}: it is not Twilio's")
    if account and seen["AccountSid"] != account:
        raise Malformed("the form is of another Twilio account than TWILIO_ACCOUNT_SID")
    for name, value in pairs:
        shape = SHAPES.get(name)
        if shape is None:
            if value or name not in _PLAIN:
                _refuse_what_hides_another(name, value)
        elif shape.fullmatch(value) is None:
            raise Malformed(f"{name} does not have Twilio's shape")
    if len(seen) != len(pairs) and any(sum(one == name for one, _ in pairs) > 1 for name in SHAPES):
        raise Malformed("a field of the form stands there twice")


def _refuse_what_hides_another(name: str, value: str) -> None:
    """`CallStatusReason=…` is a field that may come one day; `CallStatuscompleted`, or a name in a value, is none."""
    if _NAME.fullmatch(name) is None:
        raise Malformed("a field's name does not have Twilio's shape")
    text = name + value
    at = _HIDDEN.search(text)
    while at is not None:
        # what must be there is there, too: nothing is lost with it
        whole = at.end() == len(name) and at.start() > 0 and at[0] in ALWAYS
        begins = at.end() < len(name) and name[at.end()].isupper() and not _may_be_its_value(at[0], text[at.end() :])
        if not whole and not begins:
            raise Malformed(f"a field of the form holds the name {at[0]}: it is not cut as Twilio cuts it")
        at = _HIDDEN.search(text, at.end())


def _may_be_its_value(name: str, rest: str) -> bool:
    value = SHAPES[name].match(rest)
    return (value is not None and bool(value[0])) or _A_NAME.match(rest) is not None
