"""The product as a story: a portal, a telephone company, the real `dialer serve`, and eight people of one day.

This is the specification; everything else in the tests is detail.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from dialer.sandbox.callees import Callee
from dialer.sandbox.people import Person
from tests.faults.referee import judge
from tests.faults.world import World

ANNA, BORIS, VERA, GLEB, DARIA, EGOR, ZOYA, INNA = range(1, 9)
DISMISSED = 9


def test_a_campaign_day(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url) as world:
        everybody_does_as_they_do(world)
        world.add_wave(everybody())
        world.start(plain=True)
        left = world.wait_until_settled()
        assert not left, (left, world.log()[-3000:])

        anna_renews_at_the_first_ring(world)
        boris_wants_to_talk_and_no_manager_is_free(world)
        vera_opts_out_and_her_number_is_never_called_again(world)
        glebs_machine_is_hung_up_on_three_times(world)
        daria_is_not_rung_because_the_crm_says_so(world)
        egor_has_no_number_that_can_be_rung(world)
        zoya_shares_annas_phone_and_it_rings_once(world)
        innas_number_is_refused_and_her_manager_is_told(world)
        assert not judge(world).complaints


def everybody() -> list[Person]:
    end = datetime.now(ZoneInfo("Europe/Moscow")).date() + timedelta(days=14)
    return [
        _person(ANNA, "Анна", "8 (916) 111-11-11", end),
        _person(BORIS, "Борис", "+7 916 222-22-22", end, responsible=DISMISSED),
        _person(VERA, "Вера", "79163333333", end),
        _person(GLEB, "Глеб", "+7(916)444-44-44", end),
        _person(DARIA, "Дарья", "+7 916 555-55-55", end, do_not_call=True),
        _person(EGOR, "Егор", "спросить у жены", end),
        _person(ZOYA, "Зоя", "+7 916 111 11 11 доб. 5", end),
        _person(INNA, "Инна", "+7 916 888-88-88", end),
    ]


def everybody_does_as_they_do(world: World) -> None:
    callees = world.sandbox.telephone.callees
    callees.told["+79161111111"] = Callee(presses=("1",))
    callees.told["+79162222222"] = Callee(presses=("5", "2"), manager="no-answer")
    callees.told["+79163333333"] = Callee(presses=("", "9"))
    callees.told["+79164444444"] = Callee(does="machine")
    world.sandbox.telephone.forbidden["+79168888888"] = 21211


def anna_renews_at_the_first_ring(world: World) -> None:
    assert _titles(world, ANNA) == ["Автозвонок: дозвонились, ответ «продлить»", ""]
    note = _note(world, ANNA)
    assert "дозвонились, ответ «продлить»" in note
    assert note.count("+79161111111") == 1


def boris_wants_to_talk_and_no_manager_is_free(world: World) -> None:
    """A wrong key repeats the menu; an unconnected transfer is the hottest lead there is, and the note says so."""
    assert _titles(world, BORIS) == ["Автозвонок: дозвонились, ответ «поговорить с менеджером»", ""]
    assert "перезвоните!" in _note(world, BORIS)
    record = next(one for one in world.sandbox.portal.activities.values() if str(one["OWNER_ID"]) == str(BORIS))
    assert str(record["RESPONSIBLE_ID"]) == "1", "his manager is dismissed: the webhook's own user stands in"


def vera_opts_out_and_her_number_is_never_called_again(world: World) -> None:
    assert "просят больше не звонить" in _note(world, VERA)
    assert [call.keys for call in world.sandbox.telephone.calls.values() if call.to == "+79163333333"] == [["9"]]


def glebs_machine_is_hung_up_on_three_times(world: World) -> None:
    calls = [call for call in world.sandbox.telephone.calls.values() if call.to == "+79164444444"]
    assert [call.said for call in calls] == [[], [], []]
    assert _titles(world, GLEB).count("Автозвонок: автоответчик") == 3
    assert _note(world, GLEB).count("автоответчик") == 4, "the outcome, and one line a call, in one note"


def daria_is_not_rung_because_the_crm_says_so(world: World) -> None:
    assert _titles(world, DARIA) == []
    assert not [call for call in world.sandbox.telephone.calls.values() if call.to == "+79165555555"]


def egor_has_no_number_that_can_be_rung(world: World) -> None:
    assert _titles(world, EGOR) == []


def zoya_shares_annas_phone_and_it_rings_once(world: World) -> None:
    assert _titles(world, ZOYA) == []
    assert len([call for call in world.sandbox.telephone.calls.values() if call.to == "+79161111111"]) == 1


def innas_number_is_refused_and_her_manager_is_told(world: World) -> None:
    assert not [call for call in world.sandbox.telephone.calls.values() if call.to == "+79168888888"]
    assert _titles(world, INNA) == [""], "a note, and no record of a call that was none"
    assert "+79168888888: такого номера нет (звонка не было: Twilio 400/21211" in _note(world, INNA)


def _person(id: int, name: str, phone: str, end: date, *, responsible: int = 1, do_not_call: bool = False) -> Person:
    return Person(id, name, "Иванов", [(phone, "MOBILE")], end, responsible, do_not_call)


def _titles(world: World, contact: int) -> list[str]:
    """Oldest first; a note has none."""
    return sorted((one["subject"] for one in world.sandbox.portal.timeline("contact", contact)), reverse=True)


def _note(world: World, contact: int) -> str:
    notes = [one["text"] for one in world.sandbox.portal.timeline("contact", contact) if one["kind"] == "note"]
    assert len(notes) == 1
    return str(notes[0])
