"""`outcomes:` of the campaign file: by answer or outcome, what is to be written into the CRM beside the call itself."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from dialer.audience import NAMES
from dialer.call import Disposition
from dialer.campaign import words, yaml_schema
from dialer.campaign.values import RESPONSIBLE, Part, Text, each, meant_responsible, one_value, reader
from dialer.deadline import read_within

TRANSFER_FAILED = "transfer_failed"
LINES_MOST = 10

# Of these nothing became: they are no end of a call that a person would be told of.
_NO_END = (Disposition.cancelled,)


def _whom(text: str) -> int | None:
    if text.strip().casefold() == RESPONSIBLE:
        return None
    try:
        user = words.whole_number(text)
    except ValueError:
        user = 0
    if user < 1:
        meant = meant_responsible(text)
        why = "did you mean responsible?" if meant else "write responsible, or the number of a user of Bitrix24"
        raise ValueError(f"'{text[:40]}' is nobody; {why}")
    return user


Whom = Annotated[int | None, reader(_whom), WithJsonSchema(yaml_schema.WHOM)]
Within = Annotated[str, AfterValidator(read_within), WithJsonSchema(yaml_schema.WITHIN)]


def _to_fill_in(text: str) -> bool:
    return "{{" in text or "{%" in text


def _plain_words(text: str) -> str:
    if _to_fill_in(text):
        raise ValueError("is read as it stands; put what is to be filled in into a block of the template, and name it")
    return text


Words = Annotated[Text, AfterValidator(_plain_words), Field(json_schema_extra=yaml_schema.AS_IT_STANDS)]
Named = Annotated[Text, Field(json_schema_extra=yaml_schema.AS_IT_STANDS)]
"""By the name that people see."""


def _texts(value: Any) -> Any:
    if not isinstance(value, dict) or not value:
        raise ValueError("must hold fields and values, for example {Последний исход: renew}")
    return each(value, lambda _, one: one_value(one))


FieldValues = Annotated[dict[Text, Text], BeforeValidator(_texts), WithJsonSchema(yaml_schema.FIELDS)]


class Task(Part):
    title: Words | None = None
    """Its title: words, or the name of a block of the template. Without it the block task_title."""
    text: Words | None = None
    """What is to be done: words, or the name of a block. Without it the block task_text."""
    whom: Annotated[Whom, Field(alias="for")] = None
    """Who does it: responsible (the card's responsible person), or the number of a user of Bitrix24. Default
    `responsible`."""
    within: Within = "1 working day"
    """By when: 4 hours, 2 days, or 1 working day (Monday to Friday without the campaign's holidays)."""


class Notice(Part):
    whom: Annotated[Whom, Field(alias="for")] = None
    """Who is notified: responsible, or the number of a user of Bitrix24. Default `responsible`."""
    text: Words | None = None
    """Words, or the name of a block. Without it the block notification."""


class Item(Part):
    create: Named
    """What is made: deal, lead, or the name of a smart process as people see it."""
    title: Words | None = None
    """Its title: words, or the name of a block. Without it the block item_title."""
    pipeline: Named | None = None
    """In which pipeline, by its name. Without it the default one."""
    stage: Named | None = None
    """In which stage, by its name. Without it the first one."""
    fields: FieldValues = {}
    """More fields and their values, by the labels people see."""
    whom: Annotated[Whom, Field(alias="for")] = None
    """Who is responsible for it: responsible, or the number of a user of Bitrix24. Default `responsible`."""


def _notice(value: Any) -> Any:
    return value if isinstance(value, dict) else {"for": value}


class Line(Part):
    """One thing that is written once. It has exactly one of these keys."""

    model_config = ConfigDict(json_schema_extra=yaml_schema.ONE_KEY)

    task: Task | None = None
    """A task with a deadline, bound to the card."""
    stage: Named | None = None
    """The card moves to this stage, by its name, if it still stands where it stood before the call."""
    field: FieldValues | None = None
    """Fields of the card and their new values, which are written as they stand; a date may be today or in 3 days."""
    notify: Annotated[Notice | None, BeforeValidator(_notice, json_schema_input_type=Whom | Notice)] = None
    """A notification in Bitrix24: for responsible, for a user's number, or {for: …, text: …}."""
    item: Item | None = None
    """A new deal, lead or item of a smart process, with the person on it."""

    @property
    def kind(self) -> str:
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        said = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(said) != 1:
            known = ", ".join(type(self).model_fields)
            raise ValueError(f"must have exactly one of: {known}; begin each with a dash of its own")
        return self


Lines = Annotated[tuple[Line, ...], Field(json_schema_extra={"minItems": 1, "maxItems": LINES_MOST})]
Outcomes = dict[str, Lines]


def _no_item(create: str) -> str:
    """Why nothing of this kind is made; empty where it may be the name of a smart process."""
    kind = NAMES.get(create.strip().casefold())
    if kind in ("contact", "company"):
        return f"'{create[:40]}': no {kind} is made; write deal, lead, or the name of a smart process"
    return f"'{create[:40]}' is written {kind}" if kind is not None and kind != create else ""


def _with_braces(outcome: str, line: Line) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Values that would be written with their braces: unlike words, they are no template's."""
    values: dict[tuple[str, ...], str | None] = {("stage",): line.stage}
    values |= {("field", name): text for name, text in (line.field or {}).items()}
    if line.item is not None:
        item = line.item
        values |= {("item", "create"): item.create, ("item", "pipeline"): item.pipeline, ("item", "stage"): item.stage}
        values |= {("item", "fields", name): text for name, text in item.fields.items()}
    for path, text in values.items():
        if text is not None and _to_fill_in(text):
            like = "the name" if path[-1] in ("stage", "create", "pipeline") else f"the value, for example {outcome}"
            why = f"is written as it stands, with its braces; write {like}; only the words of a template fill in"
            yield path, why


def senseless(
    outcomes: Outcomes, answers: Collection[str], *, connects: bool, card: str
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Paths below `outcomes`, and what is wrong there."""
    known = [*answers, *(one.value for one in Disposition if one not in _NO_END), TRANSFER_FAILED]
    for outcome, lines in outcomes.items():
        if outcome not in known:
            near = difflib.get_close_matches(outcome, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(dict.fromkeys(known))}"
            yield (outcome,), f"is no answer of the script and no outcome of a call; {hint}"
        elif outcome == TRANSFER_FAILED and not connects:
            yield (outcome,), "cannot happen: no key of the script puts anybody through (connect)"
        if not lines:
            yield (outcome,), "is empty; write for example  - task: {within: 1 working day}"
        if len(lines) > LINES_MOST:
            yield (outcome,), f"has more than {LINES_MOST} lines"
        for place, line in enumerate(lines):
            yield from (((outcome, place, *path), text) for path, text in _with_braces(outcome, line))
            made = None if line.item is None else _no_item(line.item.create)
            if made:
                yield (outcome, place, "item", "create"), made
            if line.item is not None and line.item.pipeline is not None and NAMES.get(line.item.create) == "lead":
                yield (outcome, place, "item", "pipeline"), "leads have no pipelines; remove the line, or create a deal"
            if line.stage is not None and card in ("contact", "company"):
                yield (outcome, place, "stage"), f"a {card} has no stages; name a field, or call deals"
        stages = [place for place, line in enumerate(lines) if line.stage is not None]
        yield from (((outcome, place, "stage"), "is the second stage of this outcome") for place in stages[1:])
