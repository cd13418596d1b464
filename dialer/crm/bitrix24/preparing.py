"""What the campaigns need and the portal has not: fields on their cards, and a line for an application's calls."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialer.audience import Audience, CardType
from dialer.crm.bitrix24.errors import Doubt, Later, Refused
from dialer.crm.bitrix24.fields import LISTS, TEXTS, Fields
from dialer.crm.bitrix24.reading import DATES, FLAGS
from dialer.crm.bitrix24.rest import Rest
from dialer.crm.bitrix24.telephony import LINE, SCOPE, Telephony
from dialer.crm.bitrix24.types import Types, entity_of
from dialer.errors import CrmError

LINE_NAME = "bitrix24-dialer"
OWN = re.compile(r"UF_CRM_[A-Z0-9_]{1,43}")
CAMEL = re.compile(r"uf[A-Z]\w*")
RIGHT = "give the {way}'s user the right to change the CRM's settings"


@dataclass(frozen=True, slots=True)
class Lack:
    """`cannot` says why it is not made, with a remedy; else `make` makes it, or raises CrmError."""

    what: str
    make: Callable[[], None] | None = None
    cannot: str = ""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A field by its name in the file. `code` is how a new one is called."""

    name: str
    types: tuple[str, ...]
    type: str
    code: str
    said: str


def lacks(rest: Rest, types: Types, fields: Fields, telephony: Telephony, audiences: Sequence[Audience]) -> list[Lack]:
    """Raises Later, Doubt; Refused where nothing can be asked."""
    found: dict[Any, Lack] = {}
    taken: set[tuple[CardType, str]] = set()
    for audience in audiences:
        try:
            card = types.of(audience.card)
        except Refused as error:
            found[audience.card] = Lack(audience.card.said, cannot=_plain(error))
            continue
        for wanted in _wanted(audience):
            key = (card, wanted.name.strip().casefold())
            if key not in found and (lack := _lack(rest, fields, card, wanted, taken)) is not None:
                found[key] = lack
    return [*found.values(), *_line(rest, telephony)]


def _wanted(audience: Audience) -> Iterator[_Wanted]:
    yield _Wanted(audience.contract_end, DATES, "date", "DIALER_CONTRACT_END", "the contract's end, a date")
    if audience.do_not_call is not None:
        yield _Wanted(audience.do_not_call, FLAGS, "boolean", "DIALER_DO_NOT_CALL", "do not call, yes or no")
    if audience.time_zone is not None:
        yield _Wanted(audience.time_zone, (*TEXTS, *LISTS), "string", "DIALER_TIME_ZONE", "time zone or city, a text")


def _lack(rest: Rest, fields: Fields, card: CardType, wanted: _Wanted, taken: set[tuple[CardType, str]]) -> Lack | None:
    """None where it is there."""
    what = f"the field '{wanted.name}' of the {card.said} ({wanted.said})"
    try:
        # the contract's end stands on the card; the others may stand on its person
        on = [card] if wanted.type == "date" else [card, CardType.contact]
        there = next((kind for kind in on if fields.find(kind, wanted.name) is not None), None)
        if there is not None:
            fields.need(there, wanted.name, wanted.types)
            return None
    except Refused as error:
        return Lack(what, cannot=_plain(error))
    if CAMEL.fullmatch(wanted.name.strip()):
        return Lack(what, cannot="no field has this code: name it in the file as people shall see it")
    known = {str(one.get("upperName", "")) for one in fields.all(card).values() if isinstance(one, dict)}
    code = wanted.name.strip() if OWN.fullmatch(wanted.name.strip()) else _free(wanted.code, card, known, taken)
    return Lack(what, make=lambda: _make_field(rest, fields, card, wanted, code))


def _free(code: str, card: CardType, known: set[str], taken: set[tuple[CardType, str]]) -> str:
    """Of the smart process only the end of the code is known yet."""
    for place in range(1, 100):
        one = code if place == 1 else f"{code}_{place}"
        if (card, one) not in taken and not any(name.endswith(f"_{one}") for name in known):
            taken.add((card, one))
            return one
    raise Refused(f"the {card.said} has a hundred fields {code}: delete those that nobody needs")


def _make_field(rest: Rest, fields: Fields, card: CardType, wanted: _Wanted, code: str) -> None:
    """Raises CrmError. What may have been made is looked for, and not made twice."""
    label = wanted.name.strip()
    try:
        method, parameters = _new_field(rest, card, wanted.type, code, label)
        rest.call(method, parameters)
    except Refused as error:
        if _is_there(fields, card, wanted):
            return
        raise Refused(
            f"{_remedy(rest, error)} (the portal says: {error.code or ''} {error.text[:80].strip()})"
        ) from None
    except (Doubt, Later):
        if _is_there(fields, card, wanted):
            return
        raise
    if not _is_there(fields, card, wanted):
        raise Doubt(f"Bitrix24 said yes, and the {card.said} has no field '{label}': run it again in a minute")


def _new_field(rest: Rest, card: CardType, type: str, code: str, label: str) -> tuple[str, Mapping[str, Any]]:
    if not card.value.startswith("dynamic_"):
        fields = {"FIELD_NAME": code, "USER_TYPE_ID": type, "LABEL": label, "SHOW_FILTER": "Y"}
        return f"crm.{card.value}.userfield.add", {"fields": fields}
    told = rest.call("crm.type.getByEntityTypeId", {"entityTypeId": entity_of(card)})
    about = told.get("type") if isinstance(told, dict) else None
    number = about.get("id") if isinstance(about, dict) else None
    if not str(number).isdigit():
        raise Doubt("Bitrix24 does not say which number the smart process has")
    name = code if code.startswith("UF_") else f"UF_CRM_{number}_{code}"
    field = {"entityId": f"CRM_{number}", "fieldName": name, "userTypeId": type, "editFormLabel": label}
    return "userfieldconfig.add", {"moduleId": "crm", "field": {**field, "showFilter": "Y"}}


def _is_there(fields: Fields, card: CardType, wanted: _Wanted) -> bool:
    fields.forget()
    try:
        return fields.find(card, wanted.name) is not None
    except CrmError:
        return False


def _remedy(rest: Rest, error: Refused) -> str:
    if error.code == "INSUFFICIENT_SCOPE":
        return f"give the {rest.way} the scope userfieldconfig"
    return RIGHT.format(way=rest.way)


def _line(rest: Rest, telephony: Telephony) -> Iterator[Lack]:
    """A webhook has no lines."""
    if not telephony.may_be_open:
        return
    what = f"the external line '{LINE}', on which calls make no leads"
    if not telephony.has_scope():
        yield Lack(what, cannot=f"the application lacks the scope {SCOPE}: give it that, and install it again")
        return
    line = telephony.line()
    if line is None:
        new = {"NUMBER": LINE, "NAME": LINE_NAME, "CRM_AUTO_CREATE": "N"}
        yield Lack(what, make=lambda: _make_line(rest, telephony, "telephony.externalLine.add", new))
    elif line.makes_leads:
        off = {"NUMBER": LINE, "CRM_AUTO_CREATE": "N"}
        made = f"the external line '{LINE}' makes leads: that is switched off"
        yield Lack(made, make=lambda: _make_line(rest, telephony, "telephony.externalLine.update", off))


def _make_line(rest: Rest, telephony: Telephony, method: str, parameters: Mapping[str, Any]) -> None:
    """Raises CrmError."""
    failed: CrmError | None = None
    try:
        rest.call(method, parameters)
    except CrmError as error:
        failed = error
    line = telephony.line()
    if line is not None and not line.makes_leads:
        telephony.forget()
        return
    raise failed or Doubt("Bitrix24 said yes, and the line is not as it should be: run it again in a minute")


def _plain(error: Exception) -> str:
    return str(error).removeprefix("Bitrix24: ")
