"""The model of a campaign → a JSON Schema of its YAML. A new field needs nothing here: its kind of value is known.

What a field is read from, and not only what it becomes, can be said with `WithJsonSchema`. A field whose reader says
nothing about it is let through as it stands.
"""

from __future__ import annotations

import copy
import json
from datetime import date, time, timedelta
from enum import Enum
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from dialer.campaign import yaml_schema as say
from dialer.campaign.campaign import Campaign
from dialer.campaign.condition_schema import DEFINITIONS
from dialer.campaign.words import say_duration

FILE = "campaign.schema.json"
"""Beside the campaigns, which name it in their first line."""
FIRST_LINE = f"# yaml-language-server: $schema={FILE}"


def campaign_schema() -> dict[str, Any]:
    made = Campaign.model_json_schema(schema_generator=_Yaml, by_alias=True)
    definitions = made.pop("$defs", {})
    whole = _plain(made, definitions, ())
    # the file's name stands in for it
    whole["required"].remove("campaign")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A campaign of the dialer",
        **whole,
        "definitions": {name: _plain(one, {}, ()) for name, one in DEFINITIONS.items()},
        "description": "Why, whom, when, how often and with which words customers are rung.",
    }


def schema_text() -> str:
    return json.dumps(campaign_schema(), ensure_ascii=False, indent=2) + "\n"


def said_default(value: Any) -> str | int | float | None:
    """As it is written in a file. None where there is nothing to write."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, timedelta):
        return say_duration(value)
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | float) else None


class _Yaml(GenerateJsonSchema):
    def timedelta_schema(self, schema: Any) -> JsonSchemaValue:
        return copy.deepcopy(say.DURATION)

    def time_schema(self, schema: Any) -> JsonSchemaValue:
        return copy.deepcopy(say.TIME_OF_DAY)

    def date_schema(self, schema: Any) -> JsonSchemaValue:
        return copy.deepcopy(say.DAY)

    def bool_schema(self, schema: Any) -> JsonSchemaValue:
        return copy.deepcopy(say.YES)

    def int_schema(self, schema: Any) -> JsonSchemaValue:
        return say.NUMBER | _of_number(super().int_schema(schema))

    def float_schema(self, schema: Any) -> JsonSchemaValue:
        return say.DECIMAL | _of_number(super().float_schema(schema))

    def str_schema(self, schema: Any) -> JsonSchemaValue:
        return super().str_schema(schema) | say.TEXT

    def any_schema(self, schema: Any) -> JsonSchemaValue:
        return {}

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        # a line without a value is a mistake
        return self.generate_inner(schema["schema"])

    def tuple_schema(self, schema: Any) -> JsonSchemaValue:
        return {key: one for key, one in super().tuple_schema(schema).items() if key != "prefixItems"}

    def dict_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        if "patternProperties" in made:
            made["additionalProperties"] = False
        return made

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        made = self.generate_inner(schema["schema"])
        default = said_default(schema.get("default"))
        return made if default is None else {**made, "default": default}

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        """Its reader may take more than the type says; then nothing is known, unless the field says it."""
        told = schema.get("json_schema_input_schema")
        if told is not None:
            return self.generate_inner(told)
        inner = schema["schema"]
        reads = getattr(schema["function"]["function"], "reads_one_value", False)
        known = reads or inner["type"] in ("model", "definition-ref") or _is_told(inner)
        return self.generate_inner(inner) if known else {}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}


def _is_told(schema: Any) -> bool:
    """Whether an annotation of the field says its schema."""
    while isinstance(schema, dict):
        metadata = schema.get("metadata") or {}
        if metadata.get("pydantic_js_annotation_functions"):
            return True
        schema = schema.get("schema")
    return False


def _of_number(made: JsonSchemaValue) -> JsonSchemaValue:
    return {key: one for key, one in made.items() if key != "type"}


def _plain(value: Any, definitions: dict[str, Any], inside: tuple[str, ...], *, names: bool = False) -> Any:
    """With every part written out where it is used: editors overlook what stands beside a reference.

    `names`: the keys are those of the file, and not of the schema.
    """
    if isinstance(value, list):
        return [_plain(one, definitions, inside) for one in value]
    if not isinstance(value, dict):
        return value
    ref = str(value.get("$ref", "")) if not names else ""
    if not names and set(value) == {"definition"}:
        return {"$ref": f"#/definitions/{value['definition']}"}
    name = ref.removeprefix("#/$defs/")
    if name and name not in inside:
        known = _plain(definitions[name], definitions, (*inside, name))
        return {**known, **{key: one for key, one in value.items() if key != "$ref"}}
    if name:
        return {}  # within itself
    if not names and isinstance(value.get("description"), str):
        value = {**value, "description": " ".join(value["description"].split())}
    return {
        key if names else _BOUNDS.get(key, key): one if key in ("examples", "enum") and not names
        else _plain(one, definitions, inside, names=not names and key in ("properties", "patternProperties"))
        for key, one in value.items() if names or key != "title"
    }  # fmt: skip


# As the checker calls them where it checks after our own reading.
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
