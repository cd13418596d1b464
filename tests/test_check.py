"""`check` says what is wrong, once, and returns 1; a sound folder is 0, with how long a mobile can be rung."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from dialer.commands.check import check
from dialer.sandbox.faults import Rule
from dialer.settings import read_settings
from tests.campaign.folder import STARTER, WORDS, changed, read, starter
from tests.crm.scene import people
from tests.forked import Ran, dialer
from tests.portal_on_loopback import OnLoopback

ROOT = Path(__file__).parents[1]


def run(folder: Path, *words: str) -> Ran:
    return dialer(folder, {"DIALER_CAMPAIGNS": "campaigns", "DIALER_TEMPLATES": "templates"}, "check", *words)


def told(folder: Path, capsys: pytest.CaptureFixture[str], code: int) -> Any:
    environment = {"DIALER_CAMPAIGNS": str(folder / "campaigns"), "DIALER_TEMPLATES": str(folder / "templates")}
    assert check(read_settings(folder, environment), online=False, json=True) == code
    return json.loads(capsys.readouterr().out)


def test_a_portal_that_cannot_be_asked_is_no_lines_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(tmp_path, STARTER)
    environment = {
        "DIALER_CAMPAIGNS": str(tmp_path / "campaigns"), "DIALER_TEMPLATES": str(tmp_path / "templates"),
        "DIALER_BITRIX24_WEBHOOK_URL": "http://127.0.0.1:1/rest/1/abc123/",
    }  # fmt: skip
    assert check(read_settings(tmp_path, environment), online=True, json=True) == 1
    [wrong] = json.loads(capsys.readouterr().out)["mistakes"]
    assert (wrong["line"], wrong["text"].partition(": is")[0]) == (
        0, "Bitrix24 could not be asked about it: Bitrix24 cannot be reached (Connection refused)"
    )  # fmt: skip


@pytest.mark.parametrize("campaigns", [1, 2])
@pytest.mark.parametrize("refused", ["wrong", "code"])
def test_a_webhook_that_is_refused_is_told_once_at_its_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], campaigns: int, refused: str
) -> None:
    for n in range(campaigns):
        text = "\n".join([*STARTER.splitlines(), "outcomes:", "  renew: [{notify: 1}]", ""])
        read(tmp_path, text.replace("campaign: renewal", f"campaign: renewal{n}"), name=f"renewal{n}.yaml")
    with OnLoopback(people(1)) as on:
        if refused == "code":  # of an address whose own secret is right, by a later question
            on.portal.faults.set(Rule("scope", "401"))
        environment = {
            "DIALER_CAMPAIGNS": str(tmp_path / "campaigns"), "DIALER_TEMPLATES": str(tmp_path / "templates"),
            "DIALER_BITRIX24_WEBHOOK_URL": on.webhook_url.replace("/rest/1/", "/rest/1/x")
            if refused == "wrong" else on.webhook_url,
        }  # fmt: skip
        assert check(read_settings(tmp_path, environment), online=True, json=True) == 1
    [wrong] = json.loads(capsys.readouterr().out)["mistakes"]
    assert (wrong["file"], wrong["line"], wrong["source"]) == ("DIALER_BITRIX24_WEBHOOK_URL", 0, "")
    assert "make a new one" in wrong["text"]


def test_a_sound_folder_is_told_with_the_hours_in_which_a_mobile_can_be_rung(tmp_path: Path) -> None:
    read(tmp_path, STARTER)
    ran = run(tmp_path)
    assert (ran.returncode, ran.stdout) == (
        0, "renewal: read, a RU mobile can be rung up to 6.0 hours a day (zone unclear);"
        " what is said first takes about 26 s\n"
    )  # fmt: skip
    rest = [line for line in ran.stderr.splitlines() if "is an example's" not in line and not line.startswith("  ")]
    assert rest == ["Bitrix24 was not asked: DIALER_BITRIX24_WEBHOOK_URL is not set"]


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("skip", "a RU mobile is never rung where no field says its zone (zone_unclear: skip)"),
        ("intersection", "a RU mobile can be rung up to 0.0 hours a day (zone unclear)"),
    ],
)
def test_how_long_a_mobile_can_be_rung_depends_on_what_is_done_where_the_zone_is_unclear(
    tmp_path: Path, policy: str, says: str
) -> None:
    read(tmp_path, changed("zone_unclear:", f"zone_unclear: {policy}"))
    assert run(tmp_path, "--no-online").stdout.startswith(f"renewal: read, {says};")


def test_the_mistakes_of_all_campaigns_are_told_and_a_template_they_share_is_wrong_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(tmp_path, STARTER)
    read(tmp_path, changed("campaign:", "campaign: other"), name="other.yaml")
    read(tmp_path, "purpose: [", name="third.yaml", renewal=WORDS + "\n{{ outside }}")
    seen = told(tmp_path, capsys, 1)
    assert seen["campaigns"] == []
    assert [(Path(one["file"]).name, one["line"]) for one in seen["mistakes"]] == [
        ("third.yaml", 1), ("renewal.ru.j2", WORDS.count("\n") + 2),
    ]  # fmt: skip
    ran = run(tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.startswith("campaigns/third.yaml:1:10: is not YAML: ")
    assert "\ntemplates/renewal.ru.j2:" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_warning_is_told_and_is_no_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(tmp_path, STARTER, renewal=WORDS.replace("Здравствуйте", "Скидка! Здравствуйте"))
    seen = told(tmp_path, capsys, 0)
    assert (seen["campaigns"], seen["mistakes"]) == (["renewal"], [])
    others = [one for one in seen["warnings"] if "is an example's" not in one["text"]]
    assert len(others) == 1


@pytest.mark.parametrize("language", ["", "en", "es"])
def test_the_starters_numbers_are_warned_of_until_they_are_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    campaign = (ROOT / "campaigns" / language / "renewal.yaml").read_text(encoding="utf-8")
    (tmp_path / "campaigns").mkdir()
    (tmp_path / "campaigns" / "renewal.yaml").write_text(campaign, encoding="utf-8")
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    seen = told(tmp_path, capsys, 0)
    texts = [one["text"] for one in seen["warnings"]]
    numbers = set(re.findall(r"\+[0-9]{10,}", re.sub(r"#.*", "", campaign)))
    assert len(numbers) == 2
    for number in numbers:
        assert any(f"{number} is an example's; write your own" in text for text in texts)


def test_a_folder_without_campaigns_is_told_what_to_do(tmp_path: Path) -> None:
    ran = run(tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "`dialer init` makes one" in ran.stderr
    (tmp_path / "campaigns").mkdir()
    assert "there are no campaigns here; `dialer init` writes one" in run(tmp_path).stderr


@pytest.mark.parametrize("voice", ["Polly.Joanna", "Google.es-ES-Wavenet-B"])
def test_a_voice_that_speaks_another_language_is_a_mistake_and_says_which_would_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], voice: str
) -> None:
    read(tmp_path, starter(voice=voice))
    [wrong] = told(tmp_path, capsys, 1)["mistakes"]
    assert wrong["line"] > 0
    assert voice in wrong["text"]
    assert "Polly.Tatyana" in wrong["text"]


@pytest.mark.parametrize(
    ("voice", "text"),
    [
        ("Foo.Bar", "'Foo.Bar' is no voice of Twilio; its voices begin with Polly. or Google."),
        ("Google.Anna", "'Google.Anna' is no voice of Google's; write for example Google.ru-RU-Standard-A"),
    ],
)
def test_a_voice_of_somebody_whom_twilio_does_not_offer_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], voice: str, text: str
) -> None:
    read(tmp_path, starter(voice=voice))
    [wrong] = told(tmp_path, capsys, 1)["mistakes"]
    assert wrong["text"] == f"voice: {text}"


def test_a_voice_that_stands_in_no_list_is_doubted_and_a_known_one_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doubts = []
    for voice in ("Polly.Zyxwv", "Polly.Tatyana", "Google.ru-RU-Chirp3-HD-Zephyr", "alice"):
        read(tmp_path, starter(voice=voice))
        doubts.append([one["text"] for one in told(tmp_path, capsys, 0)["warnings"] if "voice" in one["text"]])
    assert doubts[0] == [
        "voice: 'Polly.Zyxwv' is not known here: look whether Twilio has it; where it has not, nothing is heard"
    ]
    assert doubts[1:] == [[], [], []]


@pytest.mark.parametrize("voice", ["Tatyana", "polly.tatyana", "Polly.Tatiana"])
def test_a_voice_that_is_written_otherwise_is_a_mistake_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], voice: str
) -> None:
    read(tmp_path, starter(voice=voice))
    [wrong] = told(tmp_path, capsys, 1)["mistakes"]
    assert wrong["text"] == f"voice: '{voice}' is no voice of Twilio; did you mean Polly.Tatyana?"
    assert (wrong["line"], wrong["column"]) == (1, 8)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ({"ends": "2020-01-31"}, "ends: 2020-01-31 is past: nobody is rung; write a later day, or remove the line"),
        (
            {"window": "{mon-fri: 10:00-11:30}"},
            "zone_unclear: a RU mobile may be in several zones, and zone_unclear: campaign cuts an hour from both ends",
        ),
        (
            {"window": "{mon-fri: 10:00-11:30}", "zone_unclear": "intersection"},
            "zone_unclear: intersection leaves no moment at which the window is open in all zones; name a field in",
        ),
        ({"zone_unclear": "skip"}, "zone_unclear: skip leaves them out; name a field in audience.time_zone"),
    ],
)
def test_a_campaign_that_can_ring_nobody_gets_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: dict[str, str], says: str
) -> None:
    read(tmp_path, starter(**lines))
    warnings = [one["text"] for one in told(tmp_path, capsys, 0)["warnings"]]
    assert [text for text in warnings if says in text], warnings


@pytest.mark.parametrize("voice", ["Polly.Maxim", "Google.ru-RU-Chirp3-HD-Aoede", "Polly.Zyxwv"])
def test_a_voice_of_the_language_or_one_that_nobody_knows_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], voice: str
) -> None:
    read(tmp_path, starter(voice=voice))
    assert told(tmp_path, capsys, 0)["mistakes"] == []


def test_a_mistake_in_a_very_long_line_is_told_with_a_part_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(tmp_path, "a: '" + "x" * 200_000 + "' [")
    [mistake] = told(tmp_path, capsys, 1)["mistakes"]
    assert mistake["column"] == 200_007
    assert mistake["source"].endswith("xxx' [")
    assert len(mistake["source"]) <= 100
    assert len(run(tmp_path).stderr) < 1_000


def test_with_a_portal_each_outcome_that_it_cannot_write_is_told_at_its_own_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["outcomes:", "  renew:", "    - task: {}", "    - field:", "        Горот: Казань", "    - notify: 77"]
    read(tmp_path, "\n".join([*STARTER.splitlines(), *lines, ""]))
    with OnLoopback(people(1)) as on:
        environment = {
            "DIALER_CAMPAIGNS": str(tmp_path / "campaigns"),
            "DIALER_TEMPLATES": str(tmp_path / "templates"),
            "DIALER_BITRIX24_WEBHOOK_URL": on.webhook_url,
        }
        on.portal.scopes.remove("task")
        assert check(read_settings(tmp_path, environment), online=True, json=True) == 1
    first = len(STARTER.splitlines())
    assert [(one["line"], one["text"]) for one in json.loads(capsys.readouterr().out)["mistakes"]] == [
        (first + 3, "outcomes.renew.0.task: the webhook lacks the scope task: tick 'Tasks' (task) in its settings"),
        (first + 5, "outcomes.renew.1.field.Горот: the contact has no field 'Горот'; did you mean 'Город'?"),
        (first + 6, "outcomes.renew.2.notify: 77 is not an active user of the portal: name one who is"),
    ]


def test_recording_through_a_provider_that_does_not_record_is_a_mistake_at_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(tmp_path, starter(recording="{announcement: recording_notice}"))
    [wrong] = told(tmp_path, capsys, 1)["mistakes"]
    assert wrong["line"] == 1
    assert wrong["text"] == "recording: through twilio no call is recorded; remove it, or write  trunk: asterisk"


def test_what_is_recorded_needs_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read(tmp_path, starter(recording="{announcement: recording_notice}", trunk="asterisk"))
    [wrong] = [one for one in told(tmp_path, capsys, 1)["mistakes"] if "spoken" not in one["text"]]
    assert wrong["text"].startswith("recording: has no folder to be kept in; set DIALER_RECORDINGS")
