"""A call record: a call activity of our own, or with an application a call in the statistics, a step a request.

    register → finish → bind to the deal or smart process → tell what became of it

A registration leaves nothing until it is finished, and within 30 minutes the same one is told again. A call is finished
once: the portal refuses a second time. So its CALL_ID is kept before it is finished, and a doubt is looked for by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dialer.audience import CardType
from dialer.call import Disposition
from dialer.crm.base import Entry, Outcome, Result
from dialer.crm.bitrix24.errors import Refused
from dialer.crm.bitrix24.listing import whole
from dialer.crm.bitrix24.marks import ORIGINATOR, iso
from dialer.crm.bitrix24.rest import Command
from dialer.crm.bitrix24.telephony import Open, Telephony
from dialer.crm.bitrix24.types import entity_of

OUTGOING, CALL, PLAIN_TEXT = 2, 2, 1
OUTGOING_CALL, OFF = 1, 0
FAILED_REASON_MOST = 250
FINISHED_ALREADY = "call is not found"
NO_SUCH_NUMBER = "unsupported phone number format"
BOUND_ALREADY = "ACTIVITY_IS_ALREADY_BOUND"
GONE = ("NOT_FOUND", "OWNER_NOT_FOUND")
CLOSED = ("WRONG_AUTH_TYPE", "INSUFFICIENT_SCOPE")

REGISTERED_ON = {CardType.contact: "CONTACT", CardType.company: "COMPANY", CardType.lead: "LEAD"}
"""The only cards that the telephony knows."""

STATUS_CODES = {
    Disposition.reached: "200", Disposition.hung_up: "200", Disposition.voicemail: "200",
    Disposition.do_not_call: "200", Disposition.no_answer: "304", Disposition.busy: "486", Disposition.declined: "603",
    Disposition.cancelled: "603-S", Disposition.blocked: "403", Disposition.bad_number: "404",
    Disposition.failed: "503", Disposition.not_placed: "OTHER", Disposition.lost: "OTHER",
}  # fmt: skip
ANSWERED = "200"


class Step(StrEnum):
    """By the method that takes it."""

    add = "crm.activity.add"
    register = "telephony.externalCall.register"
    finish = "telephony.externalCall.finish"
    bind = "crm.activity.binding.add"
    tell = "crm.activity.update"


class Word(StrEnum):
    """What is known of a registered call beside its CALL_ID."""

    nothing = ""
    unknown = "unknown"  # the portal does not know it any more: finished, or forgotten?
    bound = "bound"
    plain = "plain"  # its record is a call activity of our own


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry's `remote_key`. `call_id` is empty where no call is registered."""

    call_id: str
    word: Word = Word.nothing

    def __str__(self) -> str:
        return f"{self.call_id} {self.word}".rstrip()

    def but(self, word: Word) -> str:
        return str(Kept(self.call_id, word))

    @property
    def in_statistics(self) -> bool:
        return bool(self.call_id) and self.word is not Word.plain


def kept(entry: Entry) -> Kept:
    call_id, _, word = (entry.remote_key or "").partition(" ")
    return Kept(call_id, Word(word))


def whom(entry: Entry) -> tuple[CardType, int] | None:
    """The card that the telephony is to write on; None where it knows none of the entry's."""
    if entry.card_type in REGISTERED_ON:
        return entry.card_type, entry.card_id
    return (CardType.contact, entry.contact_id) if entry.contact_id else None


def step_of(entry: Entry, way: Open | None) -> Step:
    known = kept(entry)
    if entry.remote_id is not None:
        unbound = known.in_statistics and known.word is not Word.bound
        return Step.bind if unbound and whom(entry) != (entry.card_type, entry.card_id) else Step.tell
    # an older program has not written down how the call ended
    if way is None or known.word is Word.plain or whom(entry) is None or not entry.details:
        return Step.add
    return Step.finish if known.call_id else Step.register


def call_command(entry: Entry, responsible: int | None, way: Open | None, *, met: tuple[CardType, int]) -> Command:
    """`met` is who was talked to, as far as the portal still has them."""
    step = step_of(entry, way)
    if step is Step.add:
        return step.value, _add(entry, responsible, met)
    return step.value, _PARAMETERS[step](entry, responsible, way)


def call_done(entry: Entry, method: str, told: Any, *, is_gone: bool) -> Result | None:
    """None where the answer does not say so."""
    known = kept(entry)
    if method == Step.register:
        call_id = told.get("CALL_ID") if isinstance(told, dict) else None
        if not isinstance(call_id, str) or not re.fullmatch(r"\S{1,200}", call_id):
            return None
        why = f"the {entry.card_type.said} {entry.card_id} is gone, or may not be read any more"
        # nothing stands anywhere yet
        return Result(Outcome.gone, why=why) if is_gone else Result(Outcome.further, remote_key=call_id)
    if method == Step.finish:
        if not isinstance(told, dict) or not told.get("CALL_ID"):
            return None
        return finished(known, whole(told.get("CRM_ACTIVITY_ID")))
    if method == Step.bind:
        return Result(Outcome.further, entry.remote_id, remote_key=known.but(Word.bound)) if told is True else None
    # a new id or true; never an empty answer
    remote = whole(told) if entry.remote_id is None else (entry.remote_id if told else None)
    if not remote:
        return None
    key = known.but(Word.plain) if method == Step.add and known.call_id else None
    return Result(Outcome.written, remote_id=remote, remote_key=key)


def finished(known: Kept, activity: int | None) -> Result:
    """The statistics hold the call; a card shows it only by its activity."""
    if activity:
        return Result(Outcome.further, activity, remote_key=known.but(Word.nothing))
    return Result(Outcome.further, remote_key=known.but(Word.plain))


def call_failed(entry: Entry, method: str, error: Refused, telephony: Telephony, *, is_gone: bool) -> Result | None:
    """None where the refusal means what it means everywhere."""
    known, code, text = kept(entry), error.code or "", error.text.strip().lower()
    if method in (Step.register, Step.finish) and code in CLOSED:
        telephony.forget()
    if method == Step.register and text.startswith(NO_SUCH_NUMBER):
        return Result(Outcome.further, remote_key=str(Kept("-", Word.plain)))
    if method == Step.finish and text.startswith(FINISHED_ALREADY):
        key = known.but(Word.unknown)
        return Result(Outcome.doubtful, why=str(error), sent_at=error.sent_at, remote_key=key)
    if method == Step.bind and (code == BOUND_ALREADY or (is_gone and code in GONE)):
        return Result(Outcome.further, entry.remote_id, why="" if not is_gone else str(error),
                      remote_key=known.but(Word.bound))  # fmt: skip
    return None


def _add(entry: Entry, responsible: int | None, met: tuple[CardType, int]) -> Mapping[str, Any]:
    person = {"VALUE": entry.number, "ENTITY_ID": met[1], "ENTITY_TYPE_ID": entity_of(met[0])}
    new = {
        "OWNER_TYPE_ID": entity_of(entry.card_type), "OWNER_ID": entry.card_id, "TYPE_ID": CALL, "DIRECTION": OUTGOING,
        "RESPONSIBLE_ID": responsible, "ORIGINATOR_ID": ORIGINATOR, "ORIGIN_ID": entry.ref, "COMMUNICATIONS": [person],
        "COMPLETED": "Y",
    }  # fmt: skip
    return {"fields": {**_said(entry), **_when(entry), **new}}


def _register(entry: Entry, responsible: int | None, way: Open | None) -> Mapping[str, Any]:
    card = whom(entry)
    assert card is not None
    line = {} if way is None or way.line is None else {"LINE_NUMBER": way.line}
    return {
        "USER_ID": responsible, "PHONE_NUMBER": entry.number, "TYPE": OUTGOING_CALL,
        "CALL_START_DATE": iso(entry.started_at), "CRM_CREATE": OFF, "CRM_ENTITY_TYPE": REGISTERED_ON[card[0]],
        "CRM_ENTITY_ID": card[1], "SHOW": OFF, "ADD_TO_CHAT": OFF, "EXTERNAL_CALL_ID": entry.ref, **line,
    }  # fmt: skip


def _finish(entry: Entry, responsible: int | None, _: Open | None) -> Mapping[str, Any]:
    said = entry.details
    code = STATUS_CODES[Disposition(said.get("disposition") or Disposition.lost)]
    cost = {} if said.get("cost") is None else {"COST": said["cost"], "COST_CURRENCY": said.get("currency") or ""}
    why = {} if code == ANSWERED or not said.get("why") else {"FAILED_REASON": str(said["why"])[:FAILED_REASON_MOST]}
    return {
        "CALL_ID": kept(entry).call_id, "USER_ID": responsible, "DURATION": max(int(said.get("talked") or 0), 0),
        "STATUS_CODE": code, "ADD_TO_CHAT": OFF, **cost, **why,
    }  # fmt: skip


def _bind(entry: Entry, _: int | None, __: Open | None) -> Mapping[str, Any]:
    return {
        "activityId": entry.remote_id,
        "entityTypeId": entity_of(entry.card_type),
        "entityId": entry.card_id,
    }


def _tell(entry: Entry, _: int | None, __: Open | None) -> Mapping[str, Any]:
    # whose the call was is said where the portal made the activity, too: nobody of the company has talked
    own = {"ORIGINATOR_ID": ORIGINATOR} if kept(entry).in_statistics else _when(entry)
    return {"id": entry.remote_id, "fields": {**_said(entry), **own}}


def _said(entry: Entry) -> dict[str, Any]:
    return {"SUBJECT": entry.subject, "DESCRIPTION": entry.text, "DESCRIPTION_TYPE": PLAIN_TEXT}


def _when(entry: Entry) -> dict[str, Any]:
    return {"START_TIME": iso(entry.started_at), "END_TIME": iso(entry.ended_at)}


_PARAMETERS = {Step.register: _register, Step.finish: _finish, Step.bind: _bind, Step.tell: _tell}
