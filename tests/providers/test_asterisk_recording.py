"""A call is recorded after it was told so, by a channel that is gone with it; what fails there harms no call."""

from __future__ import annotations

import io
import socket
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dialer.call import AnsweredBy, Phase, Progress, Transfer, merge
from dialer.errors import ProviderUnavailable
from dialer.providers.base import Recorded
from dialer.sandbox.ari_channel import Channel
from dialer.sandbox.faults import Rule
from dialer.script import Connect, Say
from tests.peer import Answer, Peer, json_answer
from tests.providers.asterisk_scene import Lab, asterisk, clock, lab_in, words_of
from tests.providers.conversation import wait
from tests.providers.scene import SCRIPT, order

NAME = "dial-abcdefgh-42-1764180000"
TOLD = replace(SCRIPT, announcement=(Say("Разговор записывается"),))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with lab_in(tmp_path, speed=30.0) as made:
        yield made


def talk(lab: Lab, **more: object) -> Progress:
    """To its end; what is known of it."""
    lab.provider.place(order(**{"script": TOLD, "record_as": NAME, "machine_detection": False, **more}))
    return until_ended(lab)


def until_ended(lab: Lab) -> Progress:
    known = Progress()

    def is_over() -> bool:
        nonlocal known
        for news in list(lab.heard):
            known = merge(known, news.progress)
        return known.phase is Phase.ended

    wait(is_over)
    return known


def press(lab: Lab, key: str) -> Channel:
    """As soon as anything is said."""
    wait(lambda: bool(lab.sandbox.pbx.calls and lab.sandbox.pbx.calls[-1].said))
    customer = lab.sandbox.pbx.calls[-1]
    lab.sandbox.do(lambda: customer.press(key))
    return customer


def fetched(lab: Lab, name: str = NAME) -> tuple[Recorded, bytes]:
    made = io.BytesIO()
    became = lab.provider.fetch_recording(name, lambda piece: made.write(piece) and None)
    return became, made.getvalue()


def said_while_recorded(lab: Lab, name: str = NAME) -> list[str]:
    return words_of(lab.sandbox.pbx.tape.made[name].heard, lab.folder)


def test_a_conversation_is_recorded_from_the_end_of_the_announcement_to_its_own(lab: Lab) -> None:
    known = talk(lab)
    assert known.answer == "renew"
    customer = lab.sandbox.pbx.calls[-1]
    assert words_of(customer.said, lab.folder)[:2] == ["Разговор записывается", "Здравствуйте"]
    assert said_while_recorded(lab) == ["Здравствуйте", "Нажмите 1, 2 или 9", "Спасибо"]
    became, file = fetched(lab)
    assert became is Recorded.whole
    with wave.open(io.BytesIO(file)) as sound:
        assert sound.getframerate() == 8000
        assert sound.getnframes() > 8000
    assert not lab.sandbox.pbx.tape.is_snoop(f"{customer.id}-snoop"), "it is gone with the call"


def test_a_transfer_is_recorded_too(lab: Lab) -> None:
    lab.does(presses=("2",), talks=5)
    assert talk(lab).transfer is Transfer.connected
    assert lab.sandbox.pbx.tape.made[NAME].talked
    assert fetched(lab)[0] is Recorded.whole


def test_a_machine_is_neither_told_nor_recorded(lab: Lab) -> None:
    lab.does(does="machine")
    left = replace(TOLD, voicemail=(Say("Перезвоните"),))
    assert talk(lab, script=left, machine_detection=True).answered_by is AnsweredBy.machine
    assert words_of(lab.sandbox.pbx.calls[-1].said, lab.folder) == ["Перезвоните"]
    assert lab.sandbox.pbx.tape.made == {}
    assert fetched(lab) == (Recorded.nowhere, b"")


@pytest.mark.parametrize(("announcement", "name"), [((), NAME), (TOLD.announcement, "")])
def test_nobody_is_recorded_who_was_not_told_or_whose_call_is_not_to_be(
    lab: Lab, announcement: tuple[Say, ...], name: str
) -> None:
    assert talk(lab, script=replace(SCRIPT, announcement=announcement), record_as=name).answer == "renew"
    assert lab.sandbox.pbx.tape.made == {}


def test_who_hangs_up_during_the_announcement_is_not_recorded(lab: Lab) -> None:
    lab.does(hangs_up_after=0.5)
    talk(lab)
    assert lab.sandbox.pbx.tape.made == {}


def test_a_key_during_the_announcement_is_stored_at_once_and_the_announcement_is_said_to_its_end(
    tmp_path: Path,
) -> None:
    with lab_in(tmp_path, speed=5.0) as lab:
        lab.does(presses=())
        lab.provider.place(order(script=TOLD, record_as=NAME, machine_detection=False))
        customer = press(lab, "1")
        wait(lambda: any(news.progress.answer == "renew" for news in lab.heard))
        assert lab.sandbox.pbx.tape.made == {}, "it has not been said yet"
        assert until_ended(lab).answer == "renew"
        assert words_of(customer.said, lab.folder) == ["Разговор записывается", "Спасибо"]
        assert said_while_recorded(lab) == ["Спасибо"]


def test_whoever_asks_during_the_announcement_never_to_be_called_again_is_asked_nothing_more(tmp_path: Path) -> None:
    """Though another key, of no meaning, came first."""
    with lab_in(tmp_path, speed=5.0) as lab:
        lab.does(presses=())
        lab.provider.place(order(script=TOLD, record_as=NAME, machine_detection=False))
        customer = press(lab, "5")
        lab.sandbox.do(lambda: customer.press("9"))
        wait(lambda: any(news.progress.opted_out for news in lab.heard))
        assert lab.sandbox.pbx.tape.made == {}, "the announcement goes on"
        assert until_ended(lab).answer == "do_not_call"
        assert words_of(customer.said, lab.folder) == ["Разговор записывается", "Больше не позвоним"]


def test_a_call_put_through_by_a_key_during_the_announcement_is_recorded(tmp_path: Path) -> None:
    """Though nothing more is said before it rings."""
    assert SCRIPT.ask is not None
    quiet = replace(SCRIPT.ask.choices[1], then=(), connect=Connect("+74957654321", 20))
    script = replace(TOLD, ask=replace(SCRIPT.ask, choices=(quiet,)))
    with lab_in(tmp_path, speed=6.0) as lab:
        lab.does(presses=(), talks=3)
        lab.provider.place(order(script=script, record_as=NAME, machine_detection=False))
        press(lab, "2")
        assert until_ended(lab).transfer is Transfer.connected
        assert lab.sandbox.pbx.tape.made[NAME].talked


@pytest.mark.parametrize("fault", ["500", "not_yet", "gone"])
def test_a_recording_that_fails_harms_no_call(tmp_path: Path, fault: str) -> None:
    said: list[str] = []
    with lab_in(tmp_path, warn=said.append, speed=30.0) as lab:
        lab.sandbox.pbx.tape.works = fault != "gone"
        lab.sandbox.pbx.faults.set(Rule("record", fault, times=1_000 if fault == "500" else 2))
        known = talk(lab)
        assert known.answer == "renew"
        if fault == "not_yet":
            assert fetched(lab)[0] is Recorded.whole, "it was tried again at once"
            return
        [warning] = [one for one in said if "recorded" in one]
        assert "attempt=42 may not be recorded: Asterisk 500: Internal Server Error; is there a folder" in warning
        assert fetched(lab)[0] is Recorded.nowhere
        snoops = [path for path in lab.sandbox.pbx.requests if path == "DELETE channels"]
        assert snoops, "what records nothing is not left listening"


def test_a_node_that_dies_leaves_a_recording_that_ends_with_the_call(lab: Lab) -> None:
    lab.does(presses=("2",), talks=20)
    lab.provider.place(order(script=TOLD, record_as=NAME, machine_detection=False))
    wait(lambda: any(news.progress.transfer is Transfer.connected for news in lab.heard))
    lab.provider.close()
    other = asterisk(lab.sandbox.ari_url, lab.folder, app="dialer-other")
    assert other.fetch_recording(NAME, lambda piece: None) is Recorded.unfinished
    lab.sandbox.do(lambda: lab.sandbox.pbx.calls[0].hang_up("bye"))
    wait(lambda: not lab.sandbox.pbx.tape.made[NAME].is_live)
    assert other.fetch_recording(NAME, lambda piece: None) is Recorded.whole


def test_what_was_fetched_is_forgotten_and_again_is_no_mistake(lab: Lab) -> None:
    talk(lab)
    lab.provider.forget_recording(NAME)
    lab.provider.forget_recording(NAME)
    assert lab.sandbox.pbx.tape.stored == {}
    assert fetched(lab)[0] is Recorded.nowhere


def test_one_that_is_still_being_made_is_ended_when_it_is_to_be_forgotten(lab: Lab) -> None:
    lab.does(presses=("2",), talks=60)
    lab.provider.place(order(script=TOLD, record_as=NAME, machine_detection=False))
    wait(lambda: any(news.progress.transfer is Transfer.connected for news in lab.heard))
    lab.provider.forget_recording(NAME)
    assert not lab.sandbox.pbx.tape.made[NAME].is_live
    assert lab.sandbox.pbx.tape.stored == {}


WAV = b"RIFF" + b"\0" * 96
GONE = json_answer(404, '{"message": "Recording not found"}')


def sound(body: bytes, length: int | None = None, kind: str = "audio/wav") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length or len(body)}\r\n\r\n".encode() + body


def half(connection: socket.socket) -> None:
    connection.sendall(sound(WAV, 500))
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("answers", "what"),
    [
        ((GONE, half), "half of a file"),
        ((GONE, sound(WAV, kind="text/html")), "somebody else's page"),
        ((GONE, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "somebody else's 404"),
        ((b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",), "a 404 that ARI did not say"),
        ((GONE, json_answer(500, '{"message": "Internal Server Error"}')), "a 500"),
        ((GONE, None), "a connection that is closed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_recording_is_none_and_proves_nothing(
    tmp_path: Path, answers: tuple[Answer, ...], what: str
) -> None:
    with Peer(*answers) as peer:
        provider = asterisk(peer.url, tmp_path)
        with pytest.raises(ProviderUnavailable):
            provider.fetch_recording(NAME, lambda piece: None)
        provider.close()


def test_whatever_stops_the_writing_stops_the_fetching(tmp_path: Path) -> None:
    def full(piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    with Peer(GONE, sound(WAV)) as peer:
        provider = asterisk(peer.url, tmp_path)
        with pytest.raises(OSError, match="No space left"):
            provider.fetch_recording(NAME, full)
        provider.close()


def test_doctor_says_where_nothing_can_be_recorded(lab: Lab) -> None:
    def found() -> list[tuple[str, bool, str]]:
        told = lab.provider.findings(set(), set(), clock)
        return [(one.text, one.good, one.remedy) for one in told if one.subject == "Asterisk recordings"]

    assert found() == []
    lab.sandbox.pbx.tape.works = False
    [(text, good, remedy)] = found()
    assert (text, good) == ("have no folder there: no call can be recorded", True)
    assert "/var/spool/asterisk/recording" in remedy
