"""What a campaign wants of its trunk, and cannot have there: abilities, voices, a price that fits into its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from json import dumps as json_text

from dialer.app import ABILITIES, billed_at_most, doubtful_voice, unknown_voice, why_mute, wrong_voice
from dialer.campaign.words import say_money
from dialer.checking.files import CampaignFile
from dialer.checking.yaml_places import Read, read_yaml
from dialer.errors import Mistake
from dialer.memory.limits import reserve, whole_minutes
from dialer.providers.base import Ability
from dialer.settings import Settings
from dialer.templates import WordsError, words_of
from dialer.wording import TAGS, write_script


def lacking(file: CampaignFile, abilities: frozenset[Ability]) -> list[Mistake]:
    """What the campaign needs, and its trunk cannot do."""
    trunk = file.campaign.trunk
    lacks = sorted(file.campaign.needs - {ability.value for ability in abilities})
    if lacks == [Ability.recording.value]:
        able = " or ".join(name for name, all_of_its in sorted(ABILITIES.items()) if Ability.recording in all_of_its)
        why = f"through {trunk} no call is recorded; remove it, or write  trunk: {able}"
        return [_read(file).mistake(str(file.path), ("recording",), why)]
    said = f"{trunk} cannot do what this campaign needs: {', '.join(lacks)}"
    return [_read(file).mistake(str(file.path), ("trunk",), said)] if lacks else []


def mute(settings: Settings, campaigns: Iterable[CampaignFile]) -> list[Mistake]:
    """A trunk that plays sounds needs somebody who makes them."""
    spoken = [file for file in campaigns if file.campaign.trunk == "asterisk"]
    why = why_mute(settings) if spoken else ""
    said = f"its words cannot be spoken: {why}; install espeak-ng, or set DIALER_SPEECH_COMMAND"
    return [_read(file).mistake(str(file.path), ("trunk",), said) for file in spoken if why]


def unkept(settings: Settings, file: CampaignFile) -> list[Mistake]:
    """What is recorded needs a place of its own."""
    able = Ability.recording in ABILITIES[file.campaign.trunk]
    if not able or file.campaign.recording is None or settings.recordings is not None:
        return []
    why = "has no folder to be kept in; set DIALER_RECORDINGS, for example to /srv/dialer/recordings"
    return [_read(file).mistake(str(file.path), ("recording",), why)]


def speaking_another_language(file: CampaignFile) -> list[Mistake]:
    return _of_voices(file, lambda language, voice: unknown_voice(voice) or wrong_voice(TAGS[language], voice))


def unheard_of(file: CampaignFile) -> list[Mistake]:
    """Voices that may be there, and that stand in no list of ours."""
    return _of_voices(file, lambda _, voice: doubtful_voice(voice))


def _of_voices(file: CampaignFile, judge: Callable[[str, str], str]) -> list[Mistake]:
    """`judge` gets a language and a voice, and says what is wrong."""
    campaign = file.campaign
    if campaign.trunk != "twilio":
        return []  # a voice is whatever the operator's command calls so
    spoken: dict[tuple[str, ...], tuple[str, str | None]] = {("voice",): (campaign.language, campaign.voice)}
    spoken |= {("languages", name, "voice"): (one.language, one.voice) for name, one in campaign.tongues.items()}
    why = {path: "" if voice is None else judge(language, voice) for path, (language, voice) in spoken.items()}
    read = _read(file)
    return [read.mistake(str(file.path), path, wrong) for path, wrong in why.items() if wrong]


def too_dear(file: CampaignFile) -> list[Mistake]:
    """Limits of money that not one call fits into."""
    campaign, now = file.campaign, datetime.now(UTC)
    money = campaign.limits.money
    if money is None:
        return []
    words = words_of(tuple(sorted(file.templates.items())), campaign.template, campaign.language)
    contact = json_text({"first_name": "", "last_name": "", "facts": {}})
    end = now.date() + timedelta(days=max(campaign.touches))
    try:
        script = write_script(campaign, words, contact=contact, contract_end=end, now=now)
    except WordsError:
        return []  # the templates' own mistakes are told
    cost, lasts = reserve(campaign, script, billed_at_most), whole_minutes(billed_at_most(script))
    why = f"a call may last {lasts} minutes on all its lines and cost {say_money(cost)}: nobody would be rung"
    read = _read(file)
    return [
        read.mistake(str(file.path), ("limits", "money", key), why)
        for key, most in (("a_day", money.a_day), ("in_all", money.in_all))
        if most is not None and most < cost
    ]


def _read(file: CampaignFile) -> Read:
    return read_yaml(file.text, str(file.path))
