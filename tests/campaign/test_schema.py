"""The JSON Schema takes what `check` takes and refuses what it refuses, as an editor reads the file."""

from __future__ import annotations

import datetime
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft7Validator
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, field_validator
from ruamel.yaml import YAML

from dialer.call import Disposition
from dialer.campaign.schema import FILE, FIRST_LINE, _Yaml, campaign_schema
from dialer.campaign.values import Day, Decimal, Duration, Number, PhoneText, Text, TimeOfDay, Yes
from dialer.checking.files import read_campaigns
from dialer.checking.shape import keys_of
from dialer.commands.init import init
from tests.campaign.folder import ROOT, STARTER, changed, read, starter
from tests.campaign.test_mistakes import test_one_mistake_is_told_at_its_line_and_says_what_to_do as mistakes

SCHEMA = campaign_schema()
VALIDATOR = Draft7Validator(SCHEMA)
STARTERS = [ROOT / "campaigns" / "renewal.yaml", *sorted((ROOT / "campaigns").glob("*/*.yaml"))]


def as_an_editor_reads(text: str) -> Any:
    """YAML 1.2: numbers and true are none of ours, and keys of maps are texts."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): plain(one) for key, one in value.items()}
        if isinstance(value, list):
            return [plain(one) for one in value]
        return value.isoformat() if isinstance(value, datetime.date) else value

    return plain(YAML(typ="safe", pure=True).load(io.StringIO(text)))


def wrong(text: str) -> list[str]:
    found = VALIDATOR.iter_errors(as_an_editor_reads(text))
    return sorted("/".join(str(part) for part in error.absolute_path) for error in found)


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", STARTERS, ids=lambda path: path.parent.name)
def test_a_starter_is_right_and_names_the_schema_first(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(FIRST_LINE + "\n")
    assert wrong(text) == []


def test_init_writes_the_schema_beside_the_campaigns(tmp_path: Path) -> None:
    init(tmp_path, "en")
    assert json.loads((tmp_path / "campaigns" / FILE).read_text(encoding="utf-8")) == SCHEMA
    assert sorted(read_campaigns(tmp_path / "campaigns", tmp_path / "templates").campaigns) == ["renewal"]


def test_the_command_prints_it_and_needs_no_settings(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "dialer.cli", "schema"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout) == SCHEMA
    assert ran.stderr == ""


RIGHT = [
    starter(campaign=None),
    starter(script="none"),
    starter(read_at='"07:00"', machine_detection="true", fallback_user="'7'", call_days_before="30"),
    starter(window='{mon-fri: "10:00-13:00, 14:00-19:00", "sat, sun": [10:00-12:00], closed: 2026-12-31}'),
    starter(window="{Mon–Fri: 9:00-24:00, holidays: ES-MD, closed: [2026-12-31]}"),
    starter(caller_id="+7 (495) 000-00-00", countries="KZ", region="RU"),
    starter(caller_id='"+74950000000"', countries="[KZ, BY]"),
    starter(attempts="{at_most: '3', wait: {busy: 1.5 hours, hung_up: never}}"),
    starter(limits="{per_person: {1 day: 2, 2 weeks: 4}}", pacing="{lines: 5, calls_per_second: 0.5}"),
    starter(audience="{card: deal, contract_end: 2026, do_not_call: yes}"),
    starter(limits="{money: {a_day: 50.5, in_all: '500', currency: USD, a_minute: 0.2}}"),
    f"{STARTER}\noutcomes: {{renew: [{{task: {{for: responsible}}}}, {{notify: {{for: responsible}}}}, {{notify: 7}},"
    " {notify: responsible}, {item: {create: deal, for: responsible}}, {task: {for: 7}}]}\n",
    starter(audience="{card: deal, contract_end: x, where: {any: {Город: Омск}, none: {Тариф: [A, B]}}}"),
    starter(audience="{card: deal, contract_end: x, skip_when: {any: {Город: Омск}, none: [{Тариф: A}]}}"),
    changed("    1:", '    "*": {answer: repeat}\n    "#": {answer: more}\n    1: {answer: renew}'),
]  # fmt: skip


@pytest.mark.parametrize("text", RIGHT)
def test_what_check_takes_it_takes(tmp_path: Path, text: str) -> None:
    (tmp_path / "renewal.yaml").write_text(text, encoding="utf-8")
    loaded = read_campaigns(tmp_path, ROOT / "templates")
    assert [one for one in loaded.mistakes if "the block" not in one.text] == []
    assert wrong(text) == []


def test_money_is_no_negative_amount_and_a_task_is_for_nobody_unknown() -> None:
    money = "{money: {in_all: 50, currency: USD, a_minute: %s}}"
    for amount in ("0", "-1", "x", "'0,2'"):
        assert wrong(starter(limits=money % amount)) == ["limits/money/a_minute"], amount
    assert wrong(f"{STARTER}\noutcomes: {{renew: [{{task: {{for: boss}}}}]}}\n") == ["outcomes/renew/0/task/for"]


def test_a_number_too_short_or_too_long_is_none_though_it_is_whole() -> None:
    for number in ("5", "+5", "123456", "1234567890123456"):
        assert wrong(starter(caller_id=number)) == ["caller_id"], number


def test_the_schema_knows_how_far_back_a_talk_may_lie(tmp_path: Path) -> None:
    audience = "{card: contact, contract_end: Дата, skip_when: {talked_to: %s}}"
    for length, is_right in (("1 hour", True), ("90 days", True), ("30 minutes", False), ("91 days", False)):
        text = starter(audience=audience % length)
        assert (wrong(text) == []) is is_right, length
        assert (read(tmp_path, text).mistakes == []) is is_right, length


AUDIENCE = "{card: deal, contract_end: Дата, where: {%s}}"


@pytest.mark.parametrize(
    "line",
    ["Сумма: {at_least: soon}", "Сумма: {at_most: [5]}", "Дата: {after: 5}", "Дата: {on: 30 days}", "any: word",
     "any: [{Город: {at_least: x}}]", "none: [{any: [{Город: {foo: 1}}]}]", "talked_to: 7 days", "Город: {}",
     "any: []", "none: [{}]"],
)  # fmt: skip
def test_conditions_are_checked_at_every_depth(tmp_path: Path, line: str) -> None:
    text = starter(audience=AUDIENCE % line)
    assert wrong(text), line
    assert read(tmp_path, text).mistakes, line


@pytest.mark.parametrize(
    "line",
    ['Сумма: {at_least: " 5 ", at_most: 10 000}', "Сумма: {more_than: -1.5, less_than: 1,5}".replace("1,5", "'1,5'"),
     "Дата: {after: 30  Days ago, before: IN 2 weeks}", "Дата: {on: TODAY}", "Дата: {at_least: 2026-12-31}",
     "any: {Город: Омск}", "none: [{any: [{any: [{Город: [1, true, x]}]}]}]", "Город: filled"],
)  # fmt: skip
def test_conditions_that_check_takes_it_takes(tmp_path: Path, line: str) -> None:
    text = starter(audience=AUDIENCE % line)
    assert read(tmp_path, text).mistakes == []
    assert wrong(text) == []


def test_what_check_takes_of_other_parts_it_takes(tmp_path: Path) -> None:
    for lines in (
        {"caller_ids": "{}"}, {"audience": "{card: 5, contract_end: Дата}"},
        {"script": "{keys: {1: {answer: renew, connect: Responsible, or_else: +74951234569}}}"},
    ):  # fmt: skip
        text = starter(**lines)
        assert [one.text for one in read(tmp_path, text).mistakes if "the key" not in one.text] == []
        assert wrong(text) == [], lines


def broken() -> Iterator[tuple[str, str, str]]:
    yield from mistakes.pytestmark[0].args[1]  # type: ignore[attr-defined]


# What is about two keys at once, or needs our tables, an editor cannot know.
NOT_SEEN = (
    "is the answer of another key", "is what an outcome", "no key says do_not_call", "is the caller_id itself",
    "whoever opts out",
    "is not a number that exists", "is a toll free", "advertising by an automatic call", "there is no 'renwal",
    "holidays of 'XX'", "ends before it begins",
    "is not a time zone", "is none of: contact, deal, lead, company", "did you mean 'deal'",
    "write the name of the smart process", "'00349123456789'",
)  # fmt: skip


@pytest.mark.parametrize(("before", "after", "says"), list(broken()), ids=[one[1].strip() for one in broken()])
def test_what_check_refuses_it_refuses(before: str, after: str, says: str) -> None:
    found = wrong(changed(before, after))
    assert found or any(part in says for part in NOT_SEEN), says


def test_every_key_has_a_description_and_says_what_kind_of_value_it_takes() -> None:
    def look(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, below in schema.get("properties", {}).items():
            yield f"{path}{name}", below
            if not path.startswith(("window", "attempts.wait", "limits.per_person")):
                yield from look(below, f"{path}{name}.")
        for one in [*schema.get("anyOf", []), *schema.get("patternProperties", {}).values()]:
            yield from look(one, path)

    for name, below in look(SCHEMA, ""):
        if not name.startswith(("window.", "attempts.wait.", "limits.per_person.")):
            assert below.get("description"), name
        assert {"type", "anyOf", "enum", "const"} & set(below), name


def test_outcomes_are_offered() -> None:
    waits = SCHEMA["properties"]["attempts"]["properties"]["wait"]["properties"]
    assert {"busy", "no_answer", "declined"} <= set(waits) <= {one.value for one in Disposition}


# A field that somebody adds


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Inner(Part):
    title: Text
    """What it is called."""
    within: Duration | None = None


class Added(Part):
    """Of every kind that a field may have."""

    day: Day | None = None
    at: TimeOfDay = datetime.time(9)
    often: Annotated[Number, Field(ge=1, le=9)] = 3
    much: Decimal | None = None
    sure: Yes = False
    phone: PhoneText | None = None
    wait: Duration = datetime.timedelta(minutes=20)
    kind: Literal["a", "b"] = "a"
    many: tuple[Text, ...] = ()
    mixed: Text | tuple[Text, ...] | Inner | None = None
    free: dict[str, Inner] = {}
    """By a name of your own."""
    own: dict[str, tuple[int, ...]] = {}
    unsaid: Annotated[Inner | None, PlainValidator(lambda value: value)] = None

    @field_validator("own", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return value


def test_a_new_field_needs_no_other_code() -> None:
    from dialer.campaign.schema import _plain

    made = Added.model_json_schema(schema_generator=_Yaml)
    schema = _plain(made, made.pop("$defs", {}), ())
    Draft7Validator.check_schema(schema)
    check = Draft7Validator(schema)
    right = """
day: 2026-12-31
at: 09:30
often: 3
much: 0.5
sure: yes
phone: +74950000000
wait: 2 hours
kind: b
many: [x, 1]
mixed: {title: x, within: 1 day}
free: {Имя поля: {title: x}}
own: {anything: [at, all]}
unsaid: [whatever]
"""
    assert list(check.iter_errors(as_an_editor_reads(right))) == []
    assert schema["properties"]["wait"]["default"] == "20 minutes"
    assert schema["properties"]["at"]["default"] == "09:00"
    assert schema["properties"]["sure"]["default"] == "no"
    assert schema["properties"]["free"]["additionalProperties"]["properties"]["title"]["description"]
    for line in ("day: x", "at: 9", "often: 0", "sure: maybe", "wait: 20", "kind: c", "free: {x: {titel: y}}",
                 "mixed: {title: x, within: 5}", "new: 1"):  # fmt: skip
        assert list(check.iter_errors(as_an_editor_reads(line))), line


def test_the_starter_in_a_checkout_has_its_schema_beside_it() -> None:
    assert json.loads((ROOT / "campaigns" / FILE).read_text(encoding="utf-8")) == SCHEMA, (
        "python -m dialer.cli schema > campaigns/campaign.schema.json"
    )


def test_the_first_line_is_a_comment_to_everybody_else() -> None:
    assert STARTER.startswith("# ")


def test_keys_of_peoples_own_beside_known_ones_are_walked_too() -> None:
    class Both(Part):
        model_config = ConfigDict(extra="allow")
        __pydantic_extra__: dict[str, Inner] = Field(init=False)  # type: ignore[assignment]

        field: Text
        """Which one says it."""

    assert [key.name for key in keys_of(Both)] == ["field", "<name>.title", "<name>.within"]
    assert Both.model_json_schema(schema_generator=_Yaml)["additionalProperties"]
