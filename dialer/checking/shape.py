"""Which keys a campaign file may hold on each level, read from the model: for messages and for the documentation."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from dialer.campaign.campaign import Campaign

ANY = "<name>"
"""Stands for a key that people name themselves."""

_MAPS, _LISTS = (dict, Mapping), (list, tuple, set, frozenset, Sequence)


@dataclass(frozen=True, slots=True)
class Key:
    """`default` is what the model has where the key is not written."""

    path: tuple[str, ...]
    text: str
    required: bool
    default: Any

    @property
    def name(self) -> str:
        return ".".join(self.path)


def keys_of(model: type[BaseModel] = Campaign, before: tuple[str, ...] = ()) -> Iterator[Key]:
    """Each key, and below it those of its maps; a map with keys of people's own as `<name>`."""
    for name, info in model.model_fields.items():
        path = (*before, info.alias or name)
        # the name of the file stands in for that of the campaign
        required = info.is_required() and path != ("campaign",)
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        yield Key(path, inspect.cleandoc(info.description or ""), required, default)
        for way, inner in _inside(info.annotation):
            if inner is not model:
                yield from keys_of(inner, (*path, *way))
    for way, inner in _inside(_others(model)):
        yield from keys_of(inner, (*before, *way))


def known_keys(path: Sequence[str | int]) -> list[str]:
    """What may stand beside the last part of the path; nothing where people name the keys themselves."""
    here: list[Any] = [Campaign]
    for part in path[:-1]:
        here = [below for one in here for below in _step(one, part)]
    models = [model for one in here for way, model in _inside(one) if not way]
    return list(dict.fromkeys(name for model in models for name in names_of(model)))


def names_of(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


@cache
def homes() -> Mapping[str, tuple[str, ...]]:
    """Where each key that stands below another one belongs."""
    found: dict[str, set[str]] = {}
    for key in keys_of():
        if len(key.path) > 1:
            found.setdefault(key.path[-1], set()).add(".".join(key.path[:-1]))
    return {name: tuple(sorted(where)) for name, where in found.items()}


def _others(model: type[BaseModel]) -> Any:
    """Of a map that also holds keys of people's own."""
    if model.model_config.get("extra") != "allow":
        return None
    return get_type_hints(model).get("__pydantic_extra__")


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        named = [info.annotation for name, info in fields if (info.alias or name) == part]
        yield from named or _step(_others(annotation), part)
        return
    arguments, origin = get_args(annotation), get_origin(annotation)
    if origin in _MAPS:
        yield from arguments[1:]
    elif origin in _LISTS:
        yield from arguments if isinstance(part, int) else ()
    else:
        for one in arguments:
            yield from _step(one, part)


def _inside(annotation: Any) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Models in unions, lists and maps, with the free names on the way."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield (), annotation
        return
    arguments = get_args(annotation)
    if get_origin(annotation) in _MAPS and arguments:
        for way, inner in _inside(arguments[1]):
            yield (ANY, *way), inner
        return
    for one in arguments:
        yield from _inside(one)
