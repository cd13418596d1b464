"""A campaign's words for one person: the script that is spoken, the call record and the note that a manager reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from dialer.call import Disposition, Transfer
from dialer.campaign.campaign import Campaign
from dialer.campaign.outcomes import Line
from dialer.campaign.script import OPT_OUT
from dialer.campaign.values import RESPONSIBLE
from dialer.next_try import the_last_needed
from dialer.phone_number import read_all, why_not
from dialer.script import Ask, Choice, Connect, Say, Script
from dialer.templates import WordsError, no_block

TAGS = {"ru": "ru-RU", "en": "en-US", "es": "es-ES"}

# As a manager writes a moment; of an English one nobody must guess which number is the month.
MOMENTS = {"ru": "%d.%m.%Y %H:%M", "en": "%Y-%m-%d %H:%M", "es": "%d/%m/%Y %H:%M"}

EXTENSION = re.compile(r"доб|вн\.|внутр|ext|#|x\s*\d", re.IGNORECASE)


TITLE_MOST = 250
BRACKETS = str.maketrans("[]", "()")
_BLOCK = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
"""Words with an underscore are meant as the name of a block."""


class Speaker(Protocol):
    """Blocks → words; see `templates.Words`."""

    @property
    def blocks(self) -> frozenset[str]: ...

    def say(self, block: str, context: Mapping[str, Any]) -> str: ...

    def note(self, block: str, context: Mapping[str, Any]) -> str: ...

    def of(self, template: str, language: str) -> Speaker:
        """Another template of the same folder."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a target: `target` and `tries` are its rows.

    `recorded` are the attempts whose record stands: it stays true, also of what turns out to have been no call.
    """

    campaign: Campaign
    words: Speaker
    target: Any
    tries: tuple[Any, ...]
    now: datetime
    recorded: frozenset[int] = frozenset()
    contradicted: tuple[str, ...] = ()
    """Outcomes that entries speak of already, and that turned out not to be so."""

    @property
    def calls(self) -> list[Any]:
        """Those that were handed over: each has a call record."""
        return [one for one in self.tries if one.disposition is not None and self._is_told(one)]

    @property
    def outcomes(self) -> list[Any]:
        """What the note tells of: calls, refused numbers, and what was never placed where nothing follows it."""
        known = [one for one in self.tries if one.disposition is not None]
        ended = [one for one in known if self._is_told(one) or one.disposition != Disposition.cancelled]
        given_up = self.target.state == "done" and ended and ended[-1].disposition == Disposition.not_placed
        return [one for one in ended if self._is_told(one) or one.disposition != Disposition.not_placed or given_up]

    def _is_told(self, one: Any) -> bool:
        return one.counts or one.id in self.recorded


def write_script(campaign: Campaign, words: Speaker, *, contact: str, contract_end: date, now: datetime) -> Script:
    """`contact` is JSON as it stands in the target's row. Raises WordsError."""
    person = json.loads(contact)
    tongue = campaign.tongue(person.get("language"))
    if (tongue.template, tongue.language) != (campaign.template, campaign.language):
        words = words.of(tongue.template, tongue.language)
    known = {**_person(campaign, contact, contract_end), "days_left": _days_left(campaign, contract_end, now)}

    def say(block: str) -> tuple[Say, ...]:
        text = words.say(block, known)
        return (Say(text),) if text else ()

    script = Script(
        language=TAGS[tongue.language],
        voice=tongue.voice,
        greeting=say("greeting"),
        ask=_ask(campaign, words, say, person.get("manager", ())),
        voicemail=say("voicemail") if campaign.voicemail == "leave_message" else None,
        apology=say("apology"),
        announcement=_announcement(campaign, words, say),
    )
    _refuse_silence(script)
    return script


def write_call(told: Told, one: Any) -> tuple[str, str]:
    """Subject and text of one attempt's call record."""
    known = {**_context(told), "attempt": _attempt(told.campaign, one)}
    return _one_line(told.words.say("call_subject", known)), told.words.note("call_text", known)


def write_note(told: Told) -> str:
    """The note of a target: all its attempts in one."""
    known = _context(told)
    lines = [told.words.note("contradiction", {**known, "outcome": one}) for one in told.contradicted]
    return "\n".join([told.words.note("timeline", known), *lines])


def write_line(told: Told, outcome: str, line: Line, one: Any) -> tuple[str, str]:
    """Subject and text of what an outcome owes beside the call and the note."""
    known = {**_context(told), "outcome": outcome, "attempt": _attempt(told.campaign, one)}
    if line.task is not None:
        title = _one_line(_words(told, line.task.title, "task_title", known))
        return title, _words(told, line.task.text, "task_text", known)
    if line.notify is not None:
        return "", _words(told, line.notify.text, "notification", known)
    if line.item is not None:
        return _one_line(_words(told, line.item.title, "item_title", known)), ""
    return "", ""


def final_of(tries: Sequence[Any]) -> Any:
    """The furthest that anybody has proved, over all tries."""
    return the_last_needed(tries) or tries[-1]


def chosen_in(tries: Sequence[Any]) -> Any | None:
    """The try with the person's answer, which stands though they have asked, in any of them, never to be called
    again."""
    return next((one for one in tries if one.answer not in (None, OPT_OUT)), None)


def transferred_in(tries: Sequence[Any]) -> Any:
    """The try in which somebody got furthest towards the manager: whoever waits is told of, whatever else they said."""
    return max(tries, key=lambda one: Transfer(one.transfer).rank)


def _words(told: Told, said: str | None, block: str, known: Mapping[str, Any]) -> str:
    """What the campaign file says may be the name of a block, or the words themselves."""
    if said is None or said in told.words.blocks:
        return told.words.note(said or block, known)
    if _BLOCK.fullmatch(said):
        raise WordsError(no_block(said, told.words.blocks))
    return said


def _announcement(campaign: Campaign, words: Speaker, say: Callable[[str], tuple[Say, ...]]) -> tuple[Say, ...]:
    """That the call is recorded; nothing where it is not."""
    if campaign.recording is None:
        return ()
    said = campaign.recording.announcement
    if said not in words.blocks and _BLOCK.fullmatch(said):
        raise WordsError(f"recording.announcement: {no_block(said, words.blocks)}")
    spoken = say(said) if said in words.blocks else (Say(said),)
    if not spoken:
        raise WordsError(f"nothing is said in '{said}'; write {{% block {said} %}}…{{% endblock %}}")
    return spoken


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TITLE_MOST else f"{line[: TITLE_MOST - 1]}…"


def _refuse_silence(script: Script) -> None:
    said = {"greeting": script.greeting, "voicemail": script.voicemail}
    if script.ask is not None:
        said["menu"] = script.ask.menu
    silent = [block for block, parts in said.items() if parts == ()]
    if silent:
        blocks = " and ".join(f"'{block}'" for block in silent)
        raise WordsError(f"nothing is said in {blocks}; write {{% block {silent[0]} %}}…{{% endblock %}}")


def _ask(campaign: Campaign, words: Speaker, say: Any, manager: Sequence[str]) -> Ask | None:
    if campaign.script is None:
        return None
    choices = []
    for place, (key, one) in enumerate(campaign.keys.items(), start=1):
        block = one.say or f"after_{one.answer}"
        then = say(block) if block in words.blocks or one.say is not None else say("after_answer")
        connect = None
        if one.connect is not None:
            number = one.connect if one.connect != RESPONSIBLE else _own_number(campaign, manager) or one.or_else or ""
            connect = Connect(number, round(one.ring_for.total_seconds()), say(one.nobody or "nobody_free"))
        choices.append(Choice(key, place, one.answer, then, connect, opts_out=one.answer == OPT_OUT))
    return Ask(
        menu=say("menu"),
        choices=tuple(choices),
        wait_seconds=round(campaign.script.wait.total_seconds()),
        times=campaign.script.ask,
        not_understood=say("not_understood"),
        silent=say("silent"),
        repeats=campaign.repeats,
    )


def _own_number(campaign: Campaign, typed: Sequence[str]) -> str | None:
    """The first that can be rung as those of the campaign are: a number abroad would be a call that we pay for."""
    for text in typed:
        if EXTENSION.search(text) is not None:
            continue  # a switchboard's
        for phone in read_all(text, region=campaign.region):
            if why_not(phone, countries=campaign.rings_in) is None and phone.number not in campaign.shows:
                return phone.number
    return None


def _person(campaign: Campaign, contact: str, contract_end: date) -> dict[str, Any]:
    person = json.loads(contact)
    first, last = person["first_name"], person["last_name"]
    return {
        "contact": {"first_name": first, "last_name": last, "name": f"{first} {last}".strip()},
        "facts": person["facts"],
        "contract_end": contract_end,
        "campaign": campaign.name,
        "keys": campaign.key_of,
    }


def _plain(text: Any) -> Any:
    """What somebody has typed into a form is no mark-up in what a manager reads: a link, or a call for attention."""
    return text.translate(BRACKETS) if isinstance(text, str) else text


def _days_left(campaign: Campaign, contract_end: date, now: datetime) -> int:
    return (contract_end - now.astimezone(ZoneInfo(campaign.time_zone)).date()).days


def _context(told: Told) -> dict[str, Any]:
    """The furthest that anybody has proved of the target, over all its attempts."""
    outcomes = told.outcomes
    final = final_of(outcomes)
    chosen = chosen_in(outcomes) or final
    waiting = next((one for one in told.tries if one.phase == "planned"), None)
    person = _person(told.campaign, told.target.contact, told.target.contract_end)
    return {
        **person,
        **{what: {name: _plain(text) for name, text in person[what].items()} for what in ("contact", "facts")},
        "disposition": final.disposition,
        "answer": chosen.answer,
        "transfer": transferred_in(outcomes).transfer,
        "keys_unheard": final.keys_unheard,
        "attempts": [_attempt(told.campaign, one) for one in outcomes],
        "next_at": None if waiting is None else _local(told.campaign, waiting.due_at),
        "over": waiting is None and told.target.state != "open",
    }


def _attempt(campaign: Campaign, one: Any) -> dict[str, Any]:
    return {
        "number": one.number,
        "at": _local(campaign, one.claimed_at),
        "utc": _offset(campaign, one.claimed_at),
        "placed": one.counts,
        "disposition": one.disposition,
        "answer": one.answer,
        "transfer": one.transfer,
        "talked": one.talked,
        "answered_by": one.answered_by,
        "detail": one.detail,
        "keys_unheard": one.keys_unheard,
    }


def _local(campaign: Campaign, moment: datetime) -> str:
    return moment.astimezone(ZoneInfo(campaign.time_zone)).strftime(MOMENTS[campaign.language])


def _offset(campaign: Campaign, moment: datetime) -> str:
    """UTC+3, UTC+5:30, UTC: whoever reads it may live elsewhere."""
    ahead = moment.astimezone(ZoneInfo(campaign.time_zone)).strftime("%z")
    hours, minutes = int(ahead[:3]), ahead[3:5]
    return (
        "UTC"
        + (f"{ahead[0]}{abs(hours)}" if hours or minutes != "00" else "")
        + (f":{minutes}" if minutes != "00" else "")
    )
