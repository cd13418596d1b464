"""`outcomes:` of a campaign file: what may stand there, what a mistake says, and what managers will read."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from dialer.templates import words_of
from tests.campaign.folder import ROOT, STARTER, WORDS, read, starter, told

WHOLE = """
  renew:
    - task: {title: Продлить договор, for: responsible, within: 1 working day}
    - field: {Последний исход: renew, Дата звонка: today}
    - notify: responsible
    - item: {create: deal, title: item_title, pipeline: Договоры, stage: Новый, fields: {Город: Казань}, for: 7}
  transfer_failed:
    - task: {within: 30 minutes}
    - notify: {for: 5, text: notification}
  bad_number:
    - field: {Телефон не работает: yes}
  no_answer: [{task: {within: 2 days, text: Позвоните сами.}}]"""


def mistakes(folder: Path, outcomes: str, text: str = STARTER) -> list[str]:
    return told(read(folder, f"{text}\noutcomes: {outcomes}\n"))


def test_everything_that_outcomes_may_say_is_read(tmp_path: Path) -> None:
    loaded = read(tmp_path, f"{STARTER}\noutcomes:{WHOLE}\n")
    assert told(loaded) == [] and loaded.warnings == []
    said = loaded.campaigns["renewal"].campaign.outcomes
    assert [line.kind for line in said["renew"]] == ["task", "field", "notify", "item"]
    task, notice = said["renew"][0].task, said["transfer_failed"][1].notify
    assert task is not None and (task.whom, task.within) == (None, "1 working day")
    assert notice is not None and (notice.whom, notice.text) == (5, "notification")


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        ("{renw: [{task: {}}]}", "outcomes.renw: is no answer of the script and no outcome of a call; did you mean "
         "'renew'?"),
        ("{cancelled: [{task: {}}]}", "outcomes.cancelled: is no answer of the script and no outcome of a call; known: "
         "renew, talk, do_not_call, reached, hung_up,"),
        ("{renew: []}", "outcomes.renew: is empty; write for example  - task:"),
        ("{renew: {task: {}}}", "outcomes.renew: must be a list; begin each of its lines with a dash"),
        ("{renew: [task]}", "outcomes.renew.0: must hold keys and values"),
        ("{renew: [{tsk: {}}]}", "outcomes.renew.0.tsk: unknown key; did you mean 'task'?"),
        ("{renew: [{task: {titel: x}}]}", "outcomes.renew.0.task.titel: unknown key; did you mean 'title'?"),
        ("{renew: [{task: {}, notify: 5}]}", "outcomes.renew.0: must have exactly one of: task, stage, field, notify, "
         "item"),
        ("{renew: [{task: {for: boss}}]}", "outcomes.renew.0.task.for: 'boss' is nobody; write responsible, or the "
         "number of a user of Bitrix24"),
        ("{renew: [{notify: boss}]}", "outcomes.renew.0.notify: 'boss' is nobody; write responsible"),
        ("{renew: [{task: {within: soon}}]}", "outcomes.renew.0.task.within: 'soon' is not a length of time"),
        ("{renew: [{task: {within: 90 days}}]}", "outcomes.renew.0.task.within: must be 1 minute to 60 days"),
        ("{renew: [{task: {title: '{{ contact.name }}'}}]}", "outcomes.renew.0.task.title: is read as it stands; put "
         "what is to be filled in into a block of the template"),
        ("{renew: [{stage: X}]}", "outcomes.renew.0.stage: a contact has no stages; name a field, or call deals"),
        ("{renew: [{field: X}]}", "outcomes.renew.0.field: must hold fields and values, for example"),
        ("{renew: [{field: {X: [1]}}]}", "outcomes.renew.0.field.X: must be one value, not a list or a map"),
        ("{renew: [{item: {title: x}}]}", "outcomes.renew.0.item.create: is missing; write it"),
        ("none", "outcomes: must hold keys and values"),
        ("{renew: [{task: {title: tittle_of_task}}]}", "there is no block 'tittle_of_task'; write {% block"),
    ],
)  # fmt: skip
def test_a_mistake_says_what_to_write_instead(tmp_path: Path, outcomes: str, says: str) -> None:
    found = mistakes(tmp_path, outcomes)
    assert len(found) == 1 and says in found[0], found


def test_each_mistake_has_its_own_line(tmp_path: Path) -> None:
    lines = "\n  renw:\n    - task: {}\n  renew:\n    - task:\n        for: boss\n    - notify: boss"
    found = mistakes(tmp_path, lines)
    first = len(STARTER.splitlines()) + 2
    places = [f"{first + n}:{c}" for n, c in ((1, 3), (5, 14), (6, 15))]
    assert [one.split(": ")[0].partition(":")[2] for one in found] == places


def test_a_transfer_that_no_key_makes_cannot_fail(tmp_path: Path) -> None:
    text = starter(script="{keys: {1: {answer: renew}, 9: {answer: do_not_call}}}")
    words = WORDS.replace("Чтобы поговорить с менеджером, нажмите {{ keys.talk }}.", "")
    loaded = read(tmp_path, f"{text}\noutcomes: {{transfer_failed: [{{task: {{}}}}]}}\n", renewal=words)
    (found,) = told(loaded)
    assert "outcomes.transfer_failed: cannot happen: no key of the script puts anybody through" in found


def test_a_stage_of_a_deal_stands_once_an_outcome(tmp_path: Path) -> None:
    deals = STARTER.replace("card: contact", "card: deal")
    assert mistakes(tmp_path, "{renew: [{stage: X}]}", deals) == []
    (found,) = mistakes(tmp_path, "{renew: [{stage: X}, {stage: Y}]}", deals)
    assert "outcomes.renew.1.stage: is the second stage of this outcome" in found


@pytest.mark.parametrize(
    ("block", "text"), [("task_title", "{{ nobody }}"), ("task_text", "{{ 1 // 0 }}"), ("contradiction", "{{ x }}")]
)
def test_words_of_a_task_that_fail_are_a_mistake_of_the_template(tmp_path: Path, block: str, text: str) -> None:
    words = f"{WORDS}\n{{% block {block} %}}{text}{{% endblock %}}\n"
    loaded = read(tmp_path, f"{STARTER}\noutcomes: {{no_answer: [{{task: {{}}}}]}}\n", renewal=words)
    (found,) = told(loaded)
    assert found.startswith("renewal.ru.j2:")


def test_a_block_that_an_outcome_names_and_that_is_not_there_is_told_at_its_own_line(tmp_path: Path) -> None:
    lines = "\n  no_answer:\n    - task:\n        title: task_titel\n    - notify: {for: 5, text: my_own_words}"
    found = mistakes(tmp_path, lines)
    first = len(STARTER.splitlines()) + 2
    assert [one.split(": ", 1)[0].partition(":")[2] for one in found] == [f"{first + 3}:16", f"{first + 4}:30"]
    assert "outcomes.no_answer.0.task.title: there is no block 'task_titel'; did you mean 'task_title'?" in found[0]
    assert "there is no block 'my_own_words'; write {% block my_own_words %}" in found[1]


@pytest.mark.parametrize("language", ["ru", "en", "es"])
@pytest.mark.parametrize("outcome", ["no_answer", "transfer_failed", "do_not_call"])
def test_what_a_manager_reads_is_in_the_campaigns_language(language: str, outcome: str) -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "templates").glob("*.j2")}
    words = words_of(tuple(texts.items()), f"renewal.{language}.j2", language)
    known = {
        "contact": {"name": "Анна Ким"}, "attempt": {"number": "+79161234567"}, "contract_end": date(2026, 12, 20),
        "campaign": "renewal", "disposition": "reached", "transfer": "busy", "outcome": outcome,
    }  # fmt: skip
    blocks = ("task_title", "task_text", "notification", "item_title", "contradiction")
    said = [words.note(block, known) for block in blocks]
    assert all("Анна Ким" in one for one in said[:4])
    assert outcome not in " ".join(said) and "+79161234567" in words.note(
        "task_title", {**known, "contact": {"name": ""}}
    )
