"""Where the audience's cards may stand: the stages, each of one pipeline, that its conditions leave possible.

A stage of another pipeline has a name that is right, and nobody ever stands in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from dialer.audience import Audience, CardType
from dialer.campaign.condition import ITEMS, Line, Path, Value, may_belong, must_be_skipped
from dialer.crm.base import Wrong
from dialer.crm.bitrix24.conditions import Asked, resolve_what_is_right, value_of
from dialer.crm.bitrix24.fields import Fields
from dialer.crm.bitrix24.stages import Stages, code_of, near
from dialer.crm.bitrix24.types import entity_of

STAGE, PIPELINE = "stageId", "categoryId"
WITHOUT = (CardType.contact, CardType.company)


@dataclass(frozen=True, slots=True)
class Places:
    """`names` of all pipelines by id; None stands for the one of cards that have none. `possible`: those of them in
    which there is a stage that the audience leaves possible. `stages` are all there are, names by code."""

    names: Mapping[int | None, str]
    stages: Mapping[int | None, Mapping[str, str]]
    possible: frozenset[int | None]

    def having(self, stage: str) -> list[int | None]:
        return [one for one, stages in self.stages.items() if code_of(stages, stage) is not None]

    def say(self, pipelines: list[int | None]) -> str:
        said = [f"'{self.names[one]}'" for one in pipelines[:5]]
        return f"the pipeline{'s' if len(said) > 1 else ''} {', '.join(said)}{', …' if len(pipelines) > 5 else ''}"


def places_of(fields: Fields, stages: Stages, audience: Audience, card: CardType, today: date) -> Places:
    """Raises Refused, Doubt, Later."""
    entity = entity_of(card)
    pipelines = stages.pipelines(entity)
    names: dict[int | None, str] = {id: name for id, name in pipelines.items()} if pipelines else {None: ""}
    known = {one: stages.of(entity, one) for one in names}
    asked = _of_the_place(resolve_what_is_right(fields, audience, card))
    possible = {
        pipeline
        for pipeline, here in known.items()
        if any(_is_possible(audience, _values(asked, pipeline, code), today) for code in here)
    }
    return Places(names, known, frozenset(possible))


def examine_places(fields: Fields, stages: Stages, audience: Audience, card: CardType, today: date) -> Iterator[Wrong]:
    """Lines of the conditions that name a stage in which no card of the audience stands."""
    asked = _of_the_place(resolve_what_is_right(fields, audience, card))
    if card in WITHOUT or not asked:
        return
    places = places_of(fields, stages, audience, card, today)
    lines = [(key, line) for key, line in audience.lines if line.field in asked]
    if not places.possible:
        key, line = next(((key, one) for key, one in lines if _is_stage(asked, one)), lines[0])
        alone = len(list(audience.lines)) == 1
        why = "is met in no pipeline" if alone else "leaves nobody beside the other lines"
        of = [f"'{name}' is a stage of {places.say(had)}" for _, name, had in _stages_said(places, line)]
        yield Wrong(("audience", key, *line.path), "; ".join([why, *of, "change one of them"]))
        return
    for key, line in lines:
        if not _is_stage(asked, line):
            continue
        for below, name, had in _stages_said(places, line):
            if places.possible.isdisjoint(had):
                why = f"'{name}' is a stage of {places.say(had)}, in which nobody of the audience stands"
                path = ("audience", key, *line.path, *below)
                yield Wrong(path, f"{why}: they stand in {_say_possible(places)}", is_doubt=True)


def why_not_moved(places: Places, stage: str) -> Wrong | None:
    """Of a stage to which cards are moved after their calls; `path` is left to the caller."""
    had = places.having(stage)
    if not had:
        every = [name for stages in places.stages.values() for name in stages.values()]
        return Wrong((), f"there is no stage '{stage}' in any pipeline{near(stage, every)}")
    if not places.possible:
        return None  # which is told of the audience
    if places.possible.isdisjoint(had):
        here = [name for one in places.possible for name in places.stages[one].values()]
        why = f"'{stage}' is a stage of {places.say(had)}, and the audience's cards stand in {_say_possible(places)}"
        return Wrong((), f"{why}{near(stage, here)}")
    if lacking := [one for one in places.names if one in places.possible and one not in had]:
        why = f"'{stage}' is a stage of {places.say(had)} only: a card in {places.say(lacking)} is not moved"
        return Wrong((), f"{why}; name the pipeline in where, if there are none", is_doubt=True)
    return None


def _say_possible(places: Places) -> str:
    return places.say([one for one in places.names if one in places.possible])


def _of_the_place(asked: Mapping[str, Asked]) -> dict[str, Asked]:
    return {name: one for name, one in asked.items() if not one.on_contact and one.field.code in (STAGE, PIPELINE)}


def _is_stage(asked: Mapping[str, Asked], line: Line) -> bool:
    return asked[line.field].field.code == STAGE


def _stages_said(places: Places, line: Line) -> Iterator[tuple[Path, str, list[int | None]]]:
    """What the line names, where below it, and in which pipelines it is."""
    for test in line.tests:
        for place, name in zip(test.places, test.wanted, strict=True) if test.how in ITEMS else ():
            if had := places.having(name):
                yield place, name, had


def _values(asked: Mapping[str, Asked], pipeline: int | None, stage: str) -> dict[str, Value]:
    return {name: value_of(stage if one.field.code == STAGE else pipeline, one.field) for name, one in asked.items()}


def _is_possible(audience: Audience, values: Mapping[str, Value], today: date) -> bool:
    return may_belong(audience.where, values, today) and not must_be_skipped(audience.skip_when, values, today)
