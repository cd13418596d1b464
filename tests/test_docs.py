"""What the documentation says is what the program does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from dialer.call import AnsweredBy, Disposition, Hangup, Transfer
from dialer.campaign.attempts import RETRIED
from dialer.campaign.limits import USUAL_CAPS
from dialer.campaign.words import say_duration
from dialer.checking.files import read_campaigns
from dialer.checking.odd_words import BLOCKS
from dialer.checking.shape import keys_of
from dialer.cli import app
from dialer.settings import Settings, read_settings
from dialer.templates import words_of
from dialer.templates.bounded import Bounded
from dialer.templates.language import language_filters
from docs import campaign_file

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table."""
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def without_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


# README


def test_the_quick_start_is_two_commands_of_one_line() -> None:
    quick = page("README.md").partition("## Quick start")[2].partition("\n## ")[0]
    commands = blocks(quick, "sh")
    assert [command.count("\n") for command in commands] == [1, 1]
    assert "dialer demo" in commands[0]
    assert "pytest" in commands[1]
    assert quick.count("```") == 4


def test_every_command_is_named_in_the_readme() -> None:
    commands = {one.name or one.callback.__name__ for one in app.registered_commands if one.callback is not None}
    named = {cells[0].strip("`") for cells in rows(page("README.md"))}
    assert {f"dialer {command}" for command in commands} == named - {"command"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(without_code(path.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.is_file(), f"{path.name} → {link}"
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), f"{path.name} → {link}"


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# docs/settings.md


def documented_settings() -> dict[str, str]:
    tables = [cells for cells in rows(page("docs/settings.md")) if cells[0].startswith("`")]
    return {cells[0].strip("`"): cells[1].strip("`") for cells in tables}


def field_of(variable: str) -> str:
    plain = variable.lower()
    return plain if plain in Settings.model_fields else plain.removeprefix("dialer_")


def test_every_setting_is_documented_and_every_documented_one_is_known(tmp_path: Path) -> None:
    documented = documented_settings()
    assert {field_of(variable) for variable in documented} == set(Settings.model_fields)
    read_settings(tmp_path, dict.fromkeys(documented, ""))


@pytest.mark.parametrize(("variable", "said"), sorted(documented_settings().items()))
def test_a_settings_default_is_as_documented(variable: str, said: str) -> None:
    default = getattr(Settings(), field_of(variable))
    if isinstance(default, timedelta):
        assert said == f"{default.total_seconds():.0f}"
    elif default is None or default == ():
        assert said in ("none", "everybody", "Twilio's own")
    elif isinstance(default, bool):
        assert said == ("yes" if default else "no")
    else:
        assert said == (f"{default:g}" if isinstance(default, float) else str(default))


# docs/campaign-file.md


def test_the_page_is_what_the_model_and_the_frame_say() -> None:
    frame = page("docs/campaign-file.frame.md")
    assert campaign_file.page(frame) == page("docs/campaign-file.md"), "python -m docs.campaign_file"


def test_every_key_of_a_campaign_is_documented_and_no_other() -> None:
    known = {key.name.replace("script.keys.<name>", "script.keys.<key>") for key in keys_of()}
    tables = re.findall(r"(?m)^\| key \| value \| default \|\n\|[-|]+\n((?:\|.*\n)+)", page("docs/campaign-file.md"))
    shown = {cells[0].strip("`") for table in tables for cells in rows(table)}
    within = {name.rpartition(".")[0] for name in known}
    assert known - within <= shown, known - shown
    others = {"`mon` … `sun`, `mon-fri`, `sat,sun`".strip("`"), "holidays", "closed"}
    assert not shown - known - others, shown - known - others
    assert [key.name for key in keys_of() if not key.text] == []


def test_every_block_of_the_words_is_documented() -> None:
    first = {name for cells in rows(page("docs/campaign-file.md")) for name in re.findall(r"`([^`]+)`", cells[0])}
    assert {*BLOCKS} - {"after_answer"} <= first


def test_a_key_that_the_frame_does_not_place_has_a_table_of_its_own() -> None:
    frame = page("docs/campaign-file.frame.md").replace("audience.* region", "audience.card region")
    made = campaign_file.page(frame)
    assert "## More keys\n\n| key | value | default |" in made
    more = made.partition("## More keys")[2].partition("\n## ")[0]
    assert [cells[0] for cells in rows(more)][1:3] == ["`audience`", "`audience.contacts`"]
    assert "More keys" not in page("docs/campaign-file.md")


def test_waits_and_caps_are_as_documented() -> None:
    text = page("docs/campaign-file.md")
    table = text.partition("| tried again after |")[2].partition("\n\n")[0]
    waits = {cells[0].strip("`"): cells[1].strip("`") for cells in rows(table)}
    for disposition, wait in RETRIED.items():
        assert waits[disposition.value] == say_duration(wait)
    assert waits["declined"] == "not, unless named"
    caps = ", ".join(f"{say_duration(timedelta(days=days))}: {most}" for days, most in USUAL_CAPS.items())
    assert f"`{{{caps}}}`" in text


def test_the_whole_file_of_the_documentation_is_right(tmp_path: Path) -> None:
    whole = next(block for block in blocks(page("docs/campaign-file.md"), "yaml") if block.startswith("campaign:"))
    (tmp_path / "renewal.yaml").write_text(whole, encoding="utf-8")
    loaded = read_campaigns(tmp_path, ROOT / "templates")
    assert [str(mistake) for mistake in loaded.mistakes] == []
    assert list(loaded.campaigns) == ["renewal"]


SPOKEN = "contact.first_name contact.last_name contact.name contract_end|date days_left campaign language keys.renew"
WRITTEN = "contact.name contract_end|date campaign keys.renew disposition answer transfer keys_unheard next_at"
OF_AN_ATTEMPT = "number at disposition answer transfer talked answered_by detail keys_unheard placed"


def test_a_template_may_use_what_the_documentation_says(tmp_path: Path) -> None:
    said = page("docs/campaign-file.md")
    for name in f"{SPOKEN} {WRITTEN} {OF_AN_ATTEMPT}".split():
        assert f"`{name.partition('|')[0]}`" in said, name

    def use(names: str, before: str = "") -> str:
        return " ".join(f"{{{{ {before}{name} }}}}" for name in names.split())

    template = (
        '{% extends "base.ru.j2" %}\n'
        f'{{% block greeting %}}{use(SPOKEN)} {{{{ facts.ufCrmTariff|default("?") }}}}{{% endblock %}}\n'
        "{% block menu %}{{ keys.renew }} {{ keys.talk }} {{ keys.do_not_call }}{% endblock %}\n"
        f"{{% block call_text %}}{use(OF_AN_ATTEMPT, 'attempt.')}{{% endblock %}}\n"
        f"{{% block timeline %}}{use(WRITTEN)}"
        f"{{% for one in attempts %}}{use(OF_AN_ATTEMPT, 'one.')}{{% endfor %}}{{% endblock %}}\n"
    )
    (tmp_path / "templates").mkdir()
    for name in ("base.ru.j2", "words.ru.j2"):
        (tmp_path / "templates" / name).write_text(page(f"templates/{name}"), encoding="utf-8")
    (tmp_path / "templates" / "renewal.ru.j2").write_text(template, encoding="utf-8")
    (tmp_path / "renewal.yaml").write_text(page("campaigns/renewal.yaml"), encoding="utf-8")
    loaded = read_campaigns(tmp_path, tmp_path / "templates")
    assert [str(mistake) for mistake in [*loaded.mistakes, *loaded.warnings]] == []


def test_the_filters_of_templates_are_as_documented() -> None:
    paragraph = page("docs/campaign-file.md").partition("these filters may be used:")[2].partition("\n\n")[0]
    ours = {name for name in Bounded().filters if name not in ("counted by steps", "spent", "joined", "weighed")}
    assert set(re.findall(r"`(\w+)`", paragraph)) == ours


def test_the_filters_that_speak_a_language_say_what_is_documented() -> None:
    said = {}
    for cells in rows(page("docs/campaign-file.md").partition("## The words")[2]):
        if re.fullmatch(r"`\{\{ .* \}\}`", cells[0]):
            block = f"{{% block x %}}{cells[0].strip('`')}{{% endblock %}}".replace("\\|", "|")
            words = words_of((("x.ru.j2", block),), "x.ru.j2", "ru")
            said[cells[0]] = words.say("x", {"contract_end": date(2026, 12, 25)})
            assert said[cells[0]] == cells[1].partition(";")[0]
    assert {name for one in said for name in re.findall(r"\|(\w+)", one)} == set(language_filters("ru"))


def test_the_names_of_written_blocks_are_documented() -> None:
    cells = {
        name: cells[1] for cells in rows(page("docs/campaign-file.md")) for name in re.findall(r"`(\w+)`", cells[0])
    }
    assert {"outcome", "attempt", "attempts", "disposition"} <= set(cells)
    assert "`task_title`" in cells["outcome"]


def test_what_an_outcome_is_for_by_default_is_documented() -> None:
    defaults = {cells[0]: cells[2] for cells in rows(page("docs/campaign-file.md")) if len(cells) == 3}
    for kind in ("task", "notify", "item"):
        assert defaults[f"`outcomes.<name>.{kind}.for`"] == "`responsible`"


# docs/how-it-works.md


def test_every_outcome_is_explained() -> None:
    text = page("docs/how-it-works.md")
    explained = {name for cells in rows(text) for name in re.findall(r"`(\w+)`", cells[0])}
    assert {one.value for one in Disposition} <= explained


@pytest.mark.parametrize(("name", "enum"), [("hangup", Hangup), ("answered by", AnsweredBy), ("transfer", Transfer)])
def test_the_order_of_evidence_is_as_documented(name: str, enum: type[Any]) -> None:
    order = next(cells[1] for cells in rows(page("docs/how-it-works.md")) if cells[0] == name)
    assert order.split(", ") == [one.value for one in enum]
