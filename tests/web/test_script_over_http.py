"""The script as Twilio asks for it, page by page: what is said, where it goes on, and what it proves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from dialer.call import AnsweredBy, Hangup, Phase, Transfer
from dialer.lasting import lasts_at_most
from dialer.providers.base import Heard
from dialer.providers.twilio.twiml import pieces
from dialer.script import REPEATS_MOST, Play, Say, Script
from tests.providers.scene import CALL, CALLER_ID, MANAGER, OTHER, SCRIPT
from tests.web.node import PUBLIC, Node, find, form, said, verbs

MENU, GREETING, NOT_UNDERSTOOD = "Нажмите 1, 2 или 9", "Здравствуйте", "Не понял"


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as made:
        yield made


def path_of(address: str) -> str:
    """Of an address in a page; it asks for every repetition that Twilio offers."""
    assert address.startswith(PUBLIC)
    path, _, wishes = address.removeprefix(PUBLIC).partition("#")
    assert wishes == "rc=5&rp=5xx,ct,rt"
    return path


def test_an_answered_call_is_greeted_and_asked(node: Node) -> None:
    answer = node.post("voice")
    gather = find(answer, "Gather")
    assert said(answer) == [GREETING, MENU]
    assert path_of(gather.get("action")) == node.path("keys", 1)
    assert (gather.get("numDigits"), gather.get("timeout"), gather.get("actionOnEmptyResult")) == ("1", "5", "true")
    assert gather.get("finishOnKey") == ""
    assert node.proven.phase is Phase.answered


def test_a_right_key_is_thanked_and_ends_the_call(node: Node) -> None:
    answer = node.post("keys", 1, Digits="1")
    assert (said(answer), verbs(answer)) == (["Спасибо"], ["Say", "Hangup"])
    assert (node.proven.answer, node.proven.answer_step, node.proven.answer_key) == ("renew", 1, 1)


def test_a_wrong_key_is_said_so_and_asked_again_and_the_last_time_goodbye_is_said(node: Node) -> None:
    again = node.post("keys", 1, Digits="5")
    assert said(again) == [NOT_UNDERSTOOD, MENU]
    assert path_of(find(again, "Gather").get("action")) == node.path("keys", 2)
    assert (node.proven.answer, node.proven.answer_step) == (None, 1)
    last = node.post("keys", 2, Digits="5")
    assert (said(last), verbs(last)) == (["До свидания"], ["Say", "Hangup"])


def test_silence_is_asked_again_without_a_reproach(node: Node) -> None:
    assert said(node.post("keys", 1, Digits="")) == [MENU]
    assert said(node.post("keys", 2, Digits="")) == ["До свидания"]
    assert (node.proven.answer, node.proven.keys_unheard) == (None, False)


def test_a_key_that_repeats_says_the_menu_again_and_not_without_end() -> None:
    ask = SCRIPT.ask
    assert ask is not None
    with Node(script=replace(SCRIPT, ask=replace(ask, repeats=("0",)))) as node:
        for step in range(1, ask.times + REPEATS_MOST):
            again = node.post("keys", step, Digits="0")
            assert said(again) == [MENU]
            assert path_of(find(again, "Gather").get("action")) == node.path("keys", step + 1)
        assert verbs(node.post("keys", ask.times + REPEATS_MOST, Digits="0")) == ["Say", "Hangup"]
        assert verbs(node.post("keys", ask.times + 1, Digits="")) == ["Say", "Hangup"]
        assert (node.proven.answer, node.proven.keys_unheard) == (None, False)
        node.post("keys", ask.times + 1, Digits="1")
        assert node.proven.answer == "renew"


def test_a_menu_that_may_be_repeated_may_take_longer() -> None:
    ask = SCRIPT.ask
    assert ask is not None
    longer = replace(SCRIPT, ask=replace(ask, repeats=("0",)))
    assert lasts_at_most(longer) > lasts_at_most(SCRIPT) + timedelta(seconds=ask.wait_seconds * REPEATS_MOST)


def test_the_managers_leg_is_never_taken_for_the_call_whatever_it_says_of_itself(node: Node) -> None:
    node.send(node.path("leg", 2), form(CallSid=OTHER, ParentCallSid=CALL, CallStatus="in-progress"))
    node.send(node.path("leg", 2), form(CallSid=OTHER, CallStatus="completed"))
    assert [one.news.call_id for one in node.heard if isinstance(one, Heard)] == [CALL, None]
    assert node.proven.phase is Phase.answered


def test_a_step_beyond_the_script_ends_the_call(node: Node) -> None:
    assert verbs(node.post("keys", 99, Digits="5")) == ["Say", "Hangup"]


def test_the_answer_of_the_furthest_step_holds(node: Node) -> None:
    node.post("keys", 2, Digits="2")
    node.post("keys", 1, Digits="1")
    assert node.proven.answer == "talk"


def test_opting_out_beats_every_other_answer(node: Node) -> None:
    node.post("keys", 1, Digits="9")
    node.post("keys", 2, Digits="1")
    assert node.proven.opted_out


def test_keys_count_although_the_call_has_ended(node: Node) -> None:
    node.post("keys", 1, Digits="9", CallStatus="completed")
    assert (node.proven.opted_out, node.proven.phase, node.proven.hangup) == (True, Phase.ended, Hangup.completed)


def test_a_transfer_shows_our_number_and_its_leg_never_ends_the_call(node: Node) -> None:
    answer = node.post("keys", 1, Digits="2")
    dial, number = find(answer, "Dial"), find(answer, "Number")
    assert said(answer) == ["Соединяю"]
    assert (dial.get("callerId"), dial.get("timeout"), number.text) == (CALLER_ID, "20", MANAGER)
    assert path_of(dial.get("action")) == node.path("dial", 2)
    leg = number.get("statusCallback")
    node.send(path_of(leg), form(CallSid=OTHER, ParentCallSid=CALL, CallStatus="in-progress"))
    node.send(path_of(leg), form(CallSid=OTHER, ParentCallSid=CALL, CallStatus="completed"))
    assert (node.proven.transfer, node.proven.phase, node.proven.hangup) == (Transfer.connected, Phase.answered, None)
    assert {one.news.call_id for one in node.heard[1:]} == {CALL}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "transfer", "words"),
    [
        ("busy", Transfer.busy, ["Никого нет"]),
        ("no-answer", Transfer.no_answer, ["Никого нет"]),
        ("failed", Transfer.failed, ["Никого нет"]),
        ("canceled", Transfer.no_answer, ["Никого нет"]),
        ("completed", Transfer.connected, []),
        ("answered", Transfer.connected, []),
        ("levitating", Transfer.none, ["Никого нет"]),
    ],
)
def test_when_a_transfer_is_over(node: Node, status: str, transfer: Transfer, words: list[str]) -> None:
    answer = node.post("dial", 2, DialCallStatus=status)
    assert (said(answer), verbs(answer)[-1]) == (words, "Hangup")
    assert node.proven.transfer is transfer
    assert node.proven.hangup is None


def test_a_person_who_hangs_up_in_a_transfer_has_ended_the_call(node: Node) -> None:
    node.post("dial", 2, DialCallStatus="no-answer", CallStatus="completed")
    assert (node.proven.transfer, node.proven.hangup) == (Transfer.no_answer, Hangup.completed)


def test_a_child_legs_status_is_never_the_calls_wherever_it_is_told(node: Node) -> None:
    node.post("status", ParentCallSid=CALL, CallStatus="completed")
    assert (node.proven.phase, node.proven.hangup) == (Phase.answered, None)


@pytest.mark.parametrize("verdict", ["machine_start", "machine_end_beep", "machine_end_other", "fax"])
def test_a_machine_is_hung_up_on(node: Node, verdict: str) -> None:
    answer = node.post("voice", AnsweredBy=verdict)
    assert verbs(answer) == ["Hangup"]
    assert node.proven.answered_by is AnsweredBy.machine


def test_a_machine_gets_the_message_where_there_is_one() -> None:
    with Node(script=replace(SCRIPT, voicemail=(Say("Перезвоните"),))) as node:
        answer = node.post("voice", AnsweredBy="machine_end_beep")
    assert (said(answer), verbs(answer)) == (["Перезвоните"], ["Say", "Hangup"])


@pytest.mark.parametrize("verdict", ["human", "unknown", "martian"])
def test_whoever_is_not_surely_a_machine_is_a_person(node: Node, verdict: str) -> None:
    assert said(node.post("voice", AnsweredBy=verdict)) == [GREETING, MENU]


def failed(node: Node, kind: str, step: int = 0, code: str = "11200") -> dict[str, str]:
    return {"ErrorCode": code, "ErrorUrl": PUBLIC + node.path(kind, step)}


def test_the_fallback_says_what_the_page_would_have_said(node: Node) -> None:
    assert said(node.post("fallback", **failed(node, "voice"))) == [GREETING, MENU]
    assert said(node.post("fallback", **failed(node, "voice"), AnsweredBy="fax")) == []
    assert said(node.post("fallback", **failed(node, "keys", 1), Digits="1")) == ["Спасибо"]
    assert said(node.post("fallback", **failed(node, "keys", 1), Digits="")) == [MENU]
    assert said(node.post("fallback", **failed(node, "dial", 2), DialCallStatus="busy")) == ["Никого нет"]


def test_keys_that_reach_only_the_fallback_are_heard(node: Node) -> None:
    node.post("fallback", **failed(node, "keys", 1), Digits="9")
    assert (node.proven.opted_out, node.proven.answer_step) == (True, 1)


def test_keys_that_the_fallback_is_not_told_are_unheard(node: Node) -> None:
    answer = node.post("fallback", **failed(node, "keys", 1))
    assert said(answer) == ["Извините"]
    assert (node.proven.keys_unheard, node.proven.answer) == (True, None)


def test_keys_are_heard_but_a_page_that_cannot_be_spoken_is_not_tried_again(node: Node) -> None:
    answer = node.post("fallback", **failed(node, "keys", 1, code="12100"), Digits="9")
    assert said(answer) == ["Извините"]
    assert node.proven.opted_out


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"ErrorCode": "11200"},
        {"ErrorCode": "11200", "ErrorUrl": ""},
        {"ErrorCode": "11200", "ErrorUrl": "http://[broken"},
        {"ErrorCode": "11200", "ErrorUrl": f"{PUBLIC}/twilio/keys/abcdefgh-42/1/forged"},
    ],
)
def test_a_fallback_that_names_no_page_of_ours_is_an_apology(node: Node, fields: dict[str, str]) -> None:
    answer = node.post("fallback", **fields, Digits="9")
    assert (said(answer), verbs(answer)) == (["Извините"], ["Say", "Hangup"])
    assert len(node.heard) == 1
    assert not node.proven.opted_out


def test_a_page_of_another_attempt_is_not_told_at_the_fallback(node: Node) -> None:
    other = {"ErrorCode": "11200", "ErrorUrl": PUBLIC + node.path("keys", 1, attempt=43)}
    assert said(node.post("fallback", **other, Digits="9")) == ["Извините"]
    assert not node.proven.opted_out


def test_every_page_says_that_it_is_xml_and_what_names_hold_is_escaped() -> None:
    script = Script("ru-RU", None, (Say("Иван <&> «Петров» \U0001f600"), Play("https://example.com/a.mp3?a=1&b=2")))
    with Node(script=script) as node:
        answer = node.post("voice")
    assert answer.headers["content-type"] == "text/xml"
    assert said(answer) == ["Иван <&> «Петров» \U0001f600"]
    assert find(answer, "Play").text == "https://example.com/a.mp3?a=1&b=2"
    assert verbs(answer) == ["Say", "Play", "Hangup"]


@pytest.mark.parametrize(
    ("language", "voice", "sent"),
    [
        ("ru-RU", None, ("Polly.Tatyana", "ru-RU")),
        ("en-US", None, ("Polly.Joanna", "en-US")),
        ("es-ES", None, ("Polly.Lucia", "es-ES")),
        ("ru-RU", "Polly.Maxim", ("Polly.Maxim", "ru-RU")),
        ("ru-RU", "Google.ru-RU-Wavenet-A", ("Google.ru-RU-Wavenet-A", "ru-RU")),
        ("ru-RU", "Polly.Joanna-Neural", ("Polly.Tatyana", "ru-RU")),
        ("ru-RU", "Google.es-ES-Wavenet-B", ("Polly.Tatyana", "ru-RU")),
        ("en-US", "Google.en-GB-Neural2-A", ("Google.en-GB-Neural2-A", "en-GB")),
        ("ru-RU", "Vendor.Unknown", ("Vendor.Unknown", "ru-RU")),
    ],
)
def test_a_voice_speaks_its_own_language_and_never_another(
    language: str, voice: str | None, sent: tuple[str, str]
) -> None:
    with Node(script=replace(SCRIPT, language=language, voice=voice)) as node:
        say = find(node.post("voice"), "Say")
    assert (say.get("voice"), say.get("language")) == sent


def test_a_long_text_is_said_in_pieces_that_twilio_takes() -> None:
    from urllib.parse import quote_plus

    sentence = "Уважаемый Иван Иванович, срок действия вашего договора заканчивается. "
    text = (sentence * 55).strip()
    assert len(text) < 4_000
    with Node(script=replace(SCRIPT, greeting=(Say(text),))) as node:
        answer = node.post("voice")
    spoken = said(answer)[:-1]
    assert len(spoken) > 4
    assert " ".join(spoken) == text
    assert all(len(quote_plus(piece)) <= 4_500 and len(piece.encode()) <= 3_000 for piece in spoken)
    assert all(piece.endswith(".") for piece in spoken)
    assert len(answer.content) < 64 * 1024


@pytest.mark.parametrize("text", ["слово " * 600, "Б" * 3_999, "a" * 3_999, "& " * 1_999, "Да. " + "Б" * 2_000])
def test_whatever_the_text_every_piece_is_short_enough_and_nothing_is_lost(text: str) -> None:
    from urllib.parse import quote_plus

    parts = list(pieces(text))
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(part and len(quote_plus(part)) <= 4_500 and len(part.encode()) <= 3_000 for part in parts)


def test_the_longest_page_is_within_what_twilio_takes() -> None:
    ask = SCRIPT.ask
    assert ask is not None
    longest = (Say("&" * 3_999),)
    script = replace(SCRIPT, greeting=longest, ask=replace(ask, menu=longest, not_understood=longest))
    with Node(script=script) as node:
        for answer in (node.post("voice"), node.post("keys", 1, Digits="5")):
            assert len(answer.content) < 64 * 1024
