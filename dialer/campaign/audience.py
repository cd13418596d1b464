"""`audience:` of the campaign file: whose contracts are about to end, and who of them is called."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, PlainValidator, ValidationInfo, WithJsonSchema

from dialer.audience import NAMES, CardType
from dialer.campaign.condition import Condition, SkipWhen
from dialer.campaign.condition_meant import misread
from dialer.campaign.condition_reading import read_skip_when, read_where
from dialer.campaign.condition_schema import CARD, SKIP_WHEN, WHERE
from dialer.campaign.values import Part, Text, refuse


def _kind_of_card(text: str) -> str:
    """One of ours, or a smart process, whose name only the portal knows."""
    known = [one.value for one in CardType]
    bare = text.strip().casefold()
    if text in known or re.fullmatch(r"dynamic_[1-9][0-9]{0,8}", text):
        return text
    near = [NAMES[one] for one in difflib.get_close_matches(bare, NAMES, n=1, cutoff=0.75)]
    if near or bare in ("smart_process", "smart process", "смарт-процесс"):
        hint = f"did you mean '{near[0]}'?" if near else "write the name of the smart process, as people see it"
        raise ValueError(f"'{text[:40]}' is none of: {', '.join(known)}; {hint}")
    return text


def _where(raw: Any, info: ValidationInfo) -> Condition:
    read = read_where(raw)
    refuse(list(misread(read)), info)
    return read


def _skip_when(raw: Any, info: ValidationInfo) -> SkipWhen:
    read = read_skip_when(raw)
    refuse(list(misread(read)), info)
    return read


class AudiencePart(Part):
    card: Annotated[Text, AfterValidator(_kind_of_card), WithJsonSchema(CARD)]
    """Which cards of the CRM: contact, deal, lead, company, or the name of a smart process as people see it. Of a deal,
    a company and a smart process the contact is called; of a lead its contact, or the lead itself."""
    contacts: Literal["primary", "all"] = "primary"
    """Of a deal, lead, company or smart process the first contact is called; `all`: every contact, each number once."""
    contract_end: Text
    """A date field of that card."""
    do_not_call: Text | None = None
    """A field that says who is never rung: yes/no, a list with an item "Да", or a text."""
    time_zone: Text | None = None
    """A text or list field with a city (`Омск`), a zone (`Asia/Omsk`) or `UTC+6`."""
    where: Annotated[Condition | None, PlainValidator(_where), WithJsonSchema(WHERE)] = None
    """Who of these cards is called: a field by the label people see, and what it must be; every line must hold.
    `Город: [Москва, Казань]`, `Сумма: {at_least: 10000}`, `E-mail: filled`; also `any:` and `none:` with lists of such
    lines. A field that the card does not have is looked for on its contact."""
    skip_when: Annotated[SkipWhen | None, PlainValidator(_skip_when), WithJsonSchema(SKIP_WHEN)] = None
    """Who is left out although the contract ends: lines as in `where`; whoever meets any of them is not called, and a
    call that was planned is cancelled. `talked_to: 7 days` leaves out whom somebody has talked to by telephone."""
