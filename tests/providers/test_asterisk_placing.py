"""The three outcomes of `place` over ARI, that nothing is sent twice, and what a look-up may say."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from dialer.call import AnsweredBy, Hangup, Phase, Transfer
from dialer.errors import CallForgotten, CallRefused, Fault, PerhapsPlaced, ProviderUnavailable, TryLater
from dialer.providers.asterisk.rest import Address, Rest, trusted
from dialer.providers.asterisk.switchboard import REMEMBERED, STORED_REMEMBERED
from dialer.providers.base import News
from dialer.sandbox.faults import Rule
from dialer.script import Say
from tests.peer import Answer, Peer, json_answer
from tests.providers.asterisk_scene import Lab, asterisk, clock, lab_in, stored, words_of
from tests.providers.conversation import wait
from tests.providers.scene import SCRIPT, ask, order

CHANNEL = "dial-abcdefgh-42."
HTML = b"HTTP/1.1 502 X\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"


def rest(url: str, timeout: float = 0.5) -> Rest:
    return Rest(Address(url, "dialer", "secret"), timeout=timeout)


def nothing() -> None:
    pass


# Over raw sockets


def silent(_: socket.socket) -> None:
    time.sleep(1.5)


@pytest.mark.parametrize(
    "answer", [None, silent, b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"]
)
def test_a_peer_that_gives_no_whole_answer_was_asked_once(answer: Answer) -> None:
    with Peer(answer) as peer:
        with pytest.raises(PerhapsPlaced):
            rest(peer.url).place({}, {}, nothing)
        time.sleep(0.2)
    assert len(peer.requests) == 1


def test_nothing_leaves_before_the_gate_and_nothing_after_it_says_no() -> None:
    with Peer(json_answer(200, "{}")) as peer:
        seen: list[int] = []
        asking = rest(peer.url)
        asking.place({}, {}, lambda: seen.append(len(peer.requests)))
        assert (seen, peer.connections) == ([0], 1)

        def closed() -> None:
            raise TryLater("its moment had gone by", fault=Fault.ours)

        with pytest.raises(TryLater):
            asking.place({}, {}, closed)
        time.sleep(0.1)
        assert len(peer.requests) == 1


def test_a_connection_that_ends_while_the_call_waits_sends_nothing() -> None:
    with Peer(json_answer(200, "{}")) as peer:
        asking = rest(peer.url)
        asking.place({}, {}, nothing)

        def hang_up() -> None:
            peer.hang_up()
            time.sleep(0.1)

        with pytest.raises(TryLater) as later:
            asking.place({}, {}, hang_up)
        assert later.value.fault is Fault.ours
        assert len(peer.requests) == 1
        assert asking.place({}, {}, nothing).status == 200


def test_a_peer_that_cannot_be_reached_was_not_asked() -> None:
    with Peer(None) as peer:
        pass
    with pytest.raises(TryLater) as later:
        rest(peer.url).place({}, {}, nothing)
    assert later.value.fault is Fault.busy


@pytest.mark.parametrize(
    "answer",
    [HTML, json_answer(200, "<html>"), json_answer(401, '{"error": "no"}'), json_answer(404, "{}"),
     json_answer(404, "[]"), json_answer(500, '{"message": "no"}'), None],
)  # fmt: skip
def test_a_look_up_believes_only_ari(answer: Answer) -> None:
    """Somebody else's 404 would say that a call has ended."""
    with Peer(answer) as peer, pytest.raises(ProviderUnavailable):
        rest(peer.url).ask("GET", "/channels/x")


def test_no_password_is_shown() -> None:
    assert "secret" not in repr(Address("http://127.0.0.1:1", "dialer", "secret"))
    with Peer(None) as peer, pytest.raises(PerhapsPlaced) as doubt:
        rest(peer.url).place({"endpoint": "PJSIP/79161234567@trunk"}, {}, nothing)
    assert not [secret for secret in ("secret", "79161234567", "ZGlhbGVy") if secret in repr(doubt.value)]


# Beside the sandbox


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with lab_in(tmp_path) as made:
        yield made


@pytest.mark.parametrize("do", ["invalid", "401", "403"])
def test_a_definite_no_pauses_the_trunk_and_says_what_to_do(lab: Lab, do: str) -> None:
    lab.befall(do)
    with pytest.raises(TryLater) as later:
        lab.provider.place(order())
    assert later.value.fault is Fault.account
    assert "+7" not in str(later.value)
    assert lab.sandbox.pbx.calls == []
    assert lab.provider.place(order()).call_id == CHANNEL


@pytest.mark.parametrize("do", ["allocation", "spurious_409"])
@pytest.mark.parametrize(
    ("trunk", "endpoint", "fault", "why"),
    [("another", "online", Fault.account, "is this trunk configured"), ("trunk", "offline", Fault.busy, "OPTIONS"),
     ("trunk", "online", Fault.busy, "its log says why")],
)  # fmt: skip
def test_a_channel_that_cannot_be_made_is_nobodys_call_and_its_reason_is_looked_for(
    lab: Lab, do: str, trunk: str, endpoint: str, fault: Fault, why: str
) -> None:
    """Asterisk says the same of a trunk that it does not know and of an operator that it cannot reach."""
    lab.provider.place(order(attempt=41, ref="abcdefgh-41"))
    lab.sandbox.pbx.trunk, lab.sandbox.pbx.endpoint = trunk, endpoint
    lab.befall(do)
    with pytest.raises(TryLater, match=why) as later:
        lab.provider.place(order())
    assert later.value.fault is fault
    assert len(lab.sandbox.pbx.calls) == 1


def test_an_asterisk_that_shuts_down_is_not_one_without_our_trunk(lab: Lab) -> None:
    lab.does(does="busy", rings=0.0)
    lab.provider.place(order(attempt=41, ref="abcdefgh-41"))
    wait(lambda: bool(lab.heard) and lab.heard[-1].progress.phase is Phase.ended)
    lab.sandbox.pbx.faults.set(Rule("originate", "allocation"), Rule("rest", "drop_before"))
    with pytest.raises(TryLater, match="shutting down") as later:
        lab.provider.place(order())
    assert later.value.fault is Fault.busy


@pytest.mark.parametrize("do", ["503", "500_before", "500_after", "html_after", "garbage", "drop_after"])
def test_anything_else_is_perhaps(lab: Lab, do: str) -> None:
    lab.befall(do)
    with pytest.raises(Exception) as doubt:
        lab.provider.place(order())
    assert not isinstance(doubt.value, CallRefused | TryLater)
    assert len(lab.sandbox.pbx.log) == 1


def test_a_duplicate_of_a_living_call_is_that_call(lab: Lab) -> None:
    lab.does(rings=1_000.0)
    lab.provider.place(order())
    assert lab.provider.place(order()).call_id == CHANNEL
    assert len(lab.sandbox.pbx.calls) == 1


def test_an_earlier_call_is_placed_beside_a_later_one_whose_number_begins_alike(lab: Lab) -> None:
    lab.does(rings=1_000.0)
    for attempt in (10, 1, 100, 19, 2):
        assert lab.provider.place(order(attempt=attempt, ref=f"abcdefgh-{attempt}"))
    assert len({call.id for call in lab.sandbox.pbx.calls}) == 5


def test_nobody_is_dialed_while_no_socket_is_up(lab: Lab) -> None:
    lab.sandbox.pbx.refuses_sockets = True

    def cut() -> None:
        lab.sandbox.do(lab.sandbox.pbx.cut)
        wait(lambda: not lab.provider._board.events.up.is_set())

    with pytest.raises(TryLater) as later:  # it is up when the call is claimed, and cut while it waits for its slot
        lab.provider.place(order(gate=cut))
    assert later.value.fault is Fault.busy
    with pytest.raises(TryLater):
        lab.provider.place(order())
    assert lab.sandbox.pbx.log == []


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [(json_answer(401, "{}"), "DIALER_ASTERISK_PASSWORD"), (json_answer(404, "{}"), "without /ari"),
     (json_answer(503, "{}"), "sessionlimit"), (b"SSH-2.0-OpenSSH\r\n", "is Asterisk running there"),
     (None, "is Asterisk running there")],
)  # fmt: skip
def test_why_asterisk_is_not_heard_is_said_with_a_remedy(tmp_path: Path, answer: Answer, remedy: str) -> None:
    said: list[str] = []
    with Peer(answer) as peer:
        alone = asterisk(peer.url, tmp_path, warn=said.append)
        assert not alone.listen(stored([]), within=0.2, now=clock)
        with pytest.raises(TryLater, match=remedy):
            alone.place(order())
        alone.close()
        assert peer.url in said[0]
    assert remedy in said[0]
    assert "p" * 24 not in said[0]


@pytest.mark.parametrize(
    ("trusts", "remedy"), [(True, "without /ari"), (False, "an authority that this machine trusts")]
)
def test_a_certificate_of_an_authority_of_ones_own_is_trusted_where_the_machine_trusts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusts: bool, remedy: str
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    said: list[str] = []
    trusted.cache_clear()
    with authority.cert_pem.tempfile() as path, Peer(json_answer(404, "{}"), tls=context) as peer:
        if trusts:
            monkeypatch.setenv("SSL_CERT_FILE", path)
        alone = asterisk(peer.url, tmp_path, warn=said.append)
        assert not alone.listen(stored([]), within=0.5, now=clock)
        alone.close()
    trusted.cache_clear()
    assert remedy in said[0]


def test_a_second_program_under_our_name_stops_the_dialing(lab: Lab) -> None:
    other = asterisk(lab.sandbox.ari_url, lab.folder)
    assert other.listen(stored([]), within=5, now=clock)
    wait(lambda: lab.provider._board.events.replaced)
    assert not lab.provider._board.hears()  # though its socket stays open, and answers
    with pytest.raises(TryLater) as later:
        lab.provider.place(order())
    assert later.value.fault is Fault.account
    other.close()


def test_a_trunk_that_fails_call_after_call_rests_longer_and_longer(lab: Lab) -> None:
    lab.does(does="failed", rings=0.0)
    for attempt in range(5):
        lab.provider.place(order(attempt=attempt, ref=f"abcdefgh-{attempt}"))
        wait(lambda: lab.sandbox.pbx.calls[-1].is_over)
    wait(lambda: lab.provider._board.troubles == 5)
    with pytest.raises(TryLater) as later:
        lab.provider.place(order())
    assert later.value.fault is Fault.busy
    lab.provider.place(order(attempt=6, ref="abcdefgh-6"))
    wait(lambda: lab.provider._board.troubles == 5)
    with pytest.raises(TryLater) as again:
        lab.provider.place(order())
    assert None not in (later.value.after, again.value.after)
    assert again.value.after == later.value.after * 2  # type: ignore[operator]


def test_what_this_node_took_back_and_another_placed_is_not_called_not_placed(lab: Lab) -> None:
    def closed() -> None:
        raise TryLater("its moment had gone by", fault=Fault.ours)

    with pytest.raises(TryLater):
        lab.provider.place(order(gate=closed))
    with pytest.raises(CallForgotten):
        lab.known()


def test_of_a_call_that_this_node_never_placed_it_cannot_tell(lab: Lab) -> None:
    with pytest.raises(CallForgotten):
        lab.provider.look_up(ask(attempt=7, ref="abcdefgh-7"))


def test_a_request_that_was_lost_before_an_interruption_is_not_called_not_placed(lab: Lab) -> None:
    lab.befall("drop_before")
    with pytest.raises(PerhapsPlaced):
        lab.provider.place(order())
    assert lab.known() is None
    lab.sandbox.do(lab.sandbox.pbx.cut)
    wait(lambda: lab.provider._board.events.gap == 1)
    with pytest.raises(CallForgotten):
        lab.known()


def test_an_orphan_is_hung_up_and_its_end_is_told(lab: Lab) -> None:
    lab.does(presses=("",))
    lab.provider.place(order(script=replace(SCRIPT, greeting=(Say("раз"),) * 400)))
    wait(lambda: lab.sandbox.pbx.calls[-1].state == "Up")
    other = asterisk(lab.sandbox.ari_url, lab.folder, app="dialer-other")
    living = other.look_up(ask())
    assert living is not None
    assert living.progress.phase is Phase.answered
    told = other.look_up(ask(orphaned=True))
    assert told is not None
    assert (told.progress.hangup, told.progress.keys_unheard) == (Hangup.completed, True)
    wait(lambda: lab.sandbox.pbx.calls[-1].is_over)


def test_an_orphan_that_talks_to_a_manager_goes_on_talking(lab: Lab) -> None:
    lab.does(presses=("2",), talks=5_000.0)
    lab.provider.place(order())
    wait(lambda: any(call.bridge for call in lab.sandbox.pbx.calls))
    other = asterisk(lab.sandbox.ari_url, lab.folder, app="dialer-other")
    told = other.look_up(ask(orphaned=True))
    assert told is not None
    assert (told.progress.phase, told.progress.transfer) == (Phase.answered, Transfer.connected)
    time.sleep(0.2)
    assert not any(call.is_over for call in lab.sandbox.pbx.calls)


@pytest.mark.parametrize("leaves", ["customer", "manager"])
def test_whom_a_dead_node_has_left_alone_with_nobody_to_talk_to_is_hung_up_on(lab: Lab, leaves: str) -> None:
    lab.does(presses=("2",), talks=5_000.0)
    lab.provider.place(order())
    wait(lambda: any(news.progress.transfer is Transfer.connected for news in lab.heard))
    lab.provider.close()
    customer, manager = lab.sandbox.pbx.calls
    assert not (customer.is_over or manager.is_over)
    lab.sandbox.do(lambda: (customer if leaves == "customer" else manager).hang_up("bye"))
    wait(lambda: customer.is_over or manager.is_over)
    other = asterisk(lab.sandbox.ari_url, lab.folder, app="dialer-other")
    told = other.look_up(ask("dial-abcdefgh-42.", orphaned=True, answered=True))
    wait(lambda: customer.is_over and manager.is_over)
    assert (customer.is_over, manager.is_over) == (True, True)
    assert told is not None
    assert (told.progress.hangup, told.progress.transfer) == (Hangup.completed, Transfer.connected)


@pytest.mark.parametrize("leaves", [True, False])
def test_who_waits_for_the_manager_when_the_node_dies_was_not_put_through(lab: Lab, leaves: bool) -> None:
    lab.does(presses=("2",), manager="no-answer")
    lab.provider.place(order())
    wait(lambda: len(lab.sandbox.pbx.calls) == 2)
    customer = lab.sandbox.pbx.calls[0]
    if leaves:
        lab.sandbox.do(lambda: customer.hang_up("bye"))
        wait(lambda: customer.is_over)
    other = asterisk(lab.sandbox.ari_url, lab.folder, app="dialer-other")
    told = other.look_up(ask("dial-abcdefgh-42.", orphaned=True, answered=True, connects=True))
    assert told is not None
    assert (told.progress.hangup, told.progress.transfer) == (Hangup.completed, Transfer.failed)


def test_whom_nobody_could_hang_up_on_is_hung_up_on_later(lab: Lab) -> None:
    lab.does(presses=())
    lab.provider.place(order(script=replace(SCRIPT, greeting=(Say("раз"),) * 400), machine_detection=False))
    [call] = lab.sandbox.pbx.calls
    wait(lambda: bool(call.said))
    lab.sandbox.pbx.faults.set(Rule("rest", "503"))
    tried = lab.sandbox.pbx.requests["DELETE channels"]
    lab.sandbox.do(lambda: call.press("1"))
    wait(lambda: lab.sandbox.pbx.requests["DELETE channels"] > tried)
    assert not call.is_over
    lab.sandbox.pbx.faults.set()
    wait(lambda: call.is_over)
    assert call.is_over
    assert lab.heard[-1].progress.answer == "renew"


def test_two_who_talk_go_on_talking_while_asterisk_cannot_be_asked(lab: Lab) -> None:
    lab.does(presses=("2",), talks=50.0)
    lab.provider.place(order(machine_detection=False))
    wait(lambda: any(news.progress.transfer is Transfer.connected for news in lab.heard))
    lab.sandbox.pbx.faults.set(Rule("rest", "503"))
    looked = lab.sandbox.pbx.requests["GET channels"]
    wait(lambda: lab.sandbox.pbx.requests["GET channels"] > looked)
    time.sleep(0.1)
    customer, manager = lab.sandbox.pbx.calls
    assert (customer.is_over, manager.is_over) == (False, False)
    lab.sandbox.pbx.faults.set()
    wait(lambda: customer.is_over)
    assert None not in (customer.ended_at, manager.ended_at)
    assert manager.ended_at < customer.ended_at, "it was the manager who has hung up"


def test_a_stopping_node_hangs_up_whom_it_leads_and_lets_the_others_talk(lab: Lab) -> None:
    lab.does(presses=("2",), talks=5_000.0)
    lab.provider.place(order())
    wait(lambda: any(call.bridge for call in lab.sandbox.pbx.calls))
    lab.does(presses=("",))
    lab.provider.place(order(attempt=43, ref="abcdefgh-43", script=replace(SCRIPT, greeting=(Say("раз"),) * 400)))
    wait(lambda: bool(lab.sandbox.pbx.calls[-1].said))
    lab.provider.close()
    talking, manager, led = lab.sandbox.pbx.calls
    assert (talking.is_over, manager.is_over, led.is_over) == (False, False, True)
    assert {news.attempt for news in lab.heard if news.progress.phase is Phase.ended} == {43}


def test_a_key_is_stored_before_anything_is_said_about_it(lab: Lab) -> None:
    waiting: list[Future[None]] = []

    def slow(news: News) -> Future[None]:
        future: Future[None] = Future()
        lab.heard.append(news)
        if news.progress.answer is None:
            future.set_result(None)
        else:
            waiting.append(future)
        return future

    lab.provider._board._hear = slow
    lab.provider.place(order())
    wait(lambda: bool(waiting))
    time.sleep(0.3)
    [call] = lab.sandbox.pbx.calls
    said = len(call.said)
    waiting.pop().set_result(None)
    wait(lambda: len(call.said) > said)


def test_where_it_cannot_be_stored_the_person_hears_an_apology(lab: Lab) -> None:
    hear = lab.provider._board._hear
    assert hear is not None

    def broken(news: News) -> Future[None]:
        if news.progress.answer is None:
            return hear(news)
        future: Future[None] = Future()
        future.set_exception(OSError("the disk is full"))
        return future

    lab.provider._board._hear = broken
    lab.provider.place(order())
    [call] = lab.sandbox.pbx.calls
    wait(lambda: call.is_over)
    assert (lab.folder / f"{call.said[-1].removeprefix('sound:')}.txt").read_text(encoding="utf-8") == "Извините"
    # and whoever asks later is told
    told = lab.known()
    assert told is not None
    assert (told.progress.answer, told.progress.hangup) == ("renew", Hangup.completed)


def test_a_key_during_the_prompt_ends_it(lab: Lab) -> None:
    lab.does(presses=())
    lab.provider.place(order(script=replace(SCRIPT, greeting=(Say("раз"),) * 400)))
    [call] = lab.sandbox.pbx.calls
    wait(lambda: bool(call.said))
    lab.sandbox.do(lambda: call.press("1"))
    wait(lambda: call.is_over)
    assert len(call.said) < 300
    assert lab.heard[-1].progress.answer == "renew"


@pytest.mark.parametrize("presses", ["", "7"])
def test_whoever_says_nothing_or_presses_a_key_is_not_taken_for_a_machine(lab: Lab, presses: str) -> None:
    lab.does(does="machine", taken_for="machine" if presses else "silent")
    script = replace(SCRIPT, voicemail=(Say("Перезвоните нам"),))
    lab.provider.place(order(script=script))
    [call] = lab.sandbox.pbx.calls
    wait(lambda: call.state == "Up" and not call.in_stasis)
    for key in presses:
        lab.sandbox.do(lambda key=key: call.press(key))
    wait(lambda: bool(call.said))
    assert words_of(call.said, lab.folder)[0] == "Здравствуйте"
    assert lab.heard[-1].progress.answered_by is (AnsweredBy.human if presses else AnsweredBy.unknown)


def test_sounds_that_asterisk_does_not_see_are_noticed_before_anybody_is_rung(tmp_path: Path, lab: Lab) -> None:
    other = asterisk(lab.sandbox.ari_url, tmp_path / "elsewhere", app="dialer-other")
    assert other.listen(stored(lab.heard), within=5, now=clock)
    with pytest.raises(TryLater, match="DIALER_ASTERISK_SOUNDS") as later:
        other.place(order())
    assert later.value.fault is Fault.account
    assert lab.sandbox.pbx.log == []
    other.close()


def test_sounds_that_vanish_are_missed_by_one_person_and_by_nobody_after_them(tmp_path: Path, lab: Lab) -> None:
    lab.does(rings=5.0, presses=("1",))
    lab.provider.place(order(machine_detection=False))
    lab.sandbox.pbx.sounds = tmp_path / "elsewhere"
    wait(lambda: lab.sandbox.pbx.calls[-1].is_over)
    with pytest.raises(TryLater):
        lab.provider.place(order(attempt=43, ref="abcdefgh-43"))
    assert len(lab.sandbox.pbx.log) == 1
    lab.sandbox.pbx.sounds = lab.folder
    assert lab.provider.place(order(attempt=43, ref="abcdefgh-43"))


def test_without_the_dialplan_that_tells_machines_nobody_is_rung_who_would_be_hung_up_on(lab: Lab) -> None:
    lab.sandbox.pbx.amd_context = "of another name"
    with pytest.raises(TryLater, match="dialer-amd") as later:
        lab.provider.place(order())
    assert later.value.fault is Fault.campaign
    assert lab.sandbox.pbx.log == []
    assert lab.provider.place(order(machine_detection=False))


@pytest.mark.parametrize("end", ["channelId", "otherChannelId"])
def test_a_dialplan_of_ones_own_that_answers_or_decides_at_once_is_there(lab: Lab, end: str) -> None:
    lab.sandbox.pbx.detects_at_once = end
    assert lab.provider.place(order())


def test_trying_out_that_is_not_answered_has_placed_nothing(lab: Lab) -> None:
    lab.sandbox.pbx.faults.set(Rule("rest", "503"))
    with pytest.raises(TryLater) as later:
        lab.provider.place(order())
    assert later.value.fault is Fault.busy
    assert lab.sandbox.pbx.log == []


@pytest.mark.parametrize("kept", [True, False])
def test_a_dead_socket_that_nobody_has_noticed_does_not_make_a_call_not_placed(lab: Lab, kept: bool) -> None:
    """Its events were told to nobody, and it has ended."""
    lab.provider.place(order(attempt=41, ref="abcdefgh-41"))
    if not kept:
        lab.sandbox.pbx.ended_context = "of another name"
    lab.sandbox.do(lab.sandbox.pbx.go_dead)
    lab.does(does="busy", rings=0.0)
    lab.befall("drop_after")
    with pytest.raises(PerhapsPlaced):
        lab.provider.place(order())
    wait(lambda: lab.sandbox.pbx.calls[-1].is_over)
    assert lab.provider._board.events.up.is_set()
    if kept:
        told = lab.known()
        assert told is not None
        assert told.progress.hangup is Hangup.busy
    else:
        with pytest.raises(CallForgotten):
            lab.known()


def test_what_another_program_hears_under_our_name_does_not_make_a_call_not_placed(lab: Lab) -> None:
    lab.provider.place(order(attempt=41, ref="abcdefgh-41"))
    lab.sandbox.pbx.ended_context = "of another name"
    lab.befall("drop_before")
    with pytest.raises(PerhapsPlaced):
        lab.provider.place(order())
    other = asterisk(lab.sandbox.ari_url, lab.folder)
    assert other.listen(stored([]), within=5, now=clock)
    wait(lambda: lab.provider._board.events.replaced)
    with pytest.raises(CallForgotten):
        lab.known()
    other.close()


def test_a_network_that_blinks_is_no_reason_to_hang_up_on_a_person(lab: Lab) -> None:
    lab.does(rings=5.0, presses=("1",))
    lab.provider.place(order(machine_detection=False))
    lab.sandbox.pbx.faults.set(Rule("rest", "drop_before", times=1))
    [call] = lab.sandbox.pbx.calls
    wait(lambda: call.is_over)
    assert lab.heard[-1].progress.answer == "renew"


def test_nobody_is_asked_before_it_is_stored_that_they_have_answered(lab: Lab) -> None:
    """Of whoever has answered without a node that knows it, the one who takes the call up thinks they heard nothing."""
    writing: Future[None] = Future()
    board = lab.provider._board
    hear, board._hear = board._hear, lambda news: writing
    lab.does(presses=("1",))
    lab.provider.place(order(machine_detection=False))
    [call] = lab.sandbox.pbx.calls
    wait(lambda: call.state == "Up")
    time.sleep(0.1)
    assert call.said == []
    board._hear = hear
    writing.set_result(None)
    wait(lambda: call.is_over)
    assert lab.heard[-1].progress.answer == "renew"


def test_whoever_hung_up_on_a_dead_socket_may_have_answered_also_where_asterisk_has_kept_the_end(lab: Lab) -> None:
    lab.does(presses=())
    lab.provider.place(order(machine_detection=False))
    [call] = lab.sandbox.pbx.calls
    wait(lambda: bool(call.said) and lab.heard[-1].progress.phase is Phase.answered)
    lab.sandbox.do(lab.sandbox.pbx.go_dead)
    lab.sandbox.do(lambda: call.hang_up("bye"))
    board = lab.provider._board
    board.end_unheard(board.calls[call.id])
    assert (board.calls[call.id].known.hangup, board.calls[call.id].known.keys_unheard) == (Hangup.completed, True)


def test_how_a_call_has_ended_is_not_told_without_the_last_key(lab: Lab) -> None:
    """Whoever dies between the two would have them rung again."""
    lab.does(presses=())
    placed = lab.provider.place(order(machine_detection=False))
    [call] = lab.sandbox.pbx.calls
    wait(lambda: bool(call.said))
    channel, board = {"channel": {"id": placed.call_id, "state": "Up"}}, lab.provider._board

    def both() -> None:
        board.take(json.dumps({"type": "ChannelDtmfReceived", "digit": "1", **channel}))
        board.take(json.dumps({"type": "ChannelDestroyed", "cause": 16, **channel}))

    board._loop.call_soon_threadsafe(both)
    wait(lambda: lab.heard[-1].progress.phase is Phase.ended)
    assert {one.progress.answer for one in lab.heard if one.progress.phase is Phase.ended} == {"renew"}


def test_whoever_knows_the_key_may_ask_at_once_never_to_be_called_again(lab: Lab) -> None:
    """While Asterisk still listens whether it is a machine."""
    lab.does(does="machine", hangs_up_after=100.0)
    lab.provider.place(order())
    [call] = lab.sandbox.pbx.calls
    wait(lambda: call.state == "Up" and not call.in_stasis)
    lab.sandbox.do(lambda: call.press("9"))
    wait(lambda: call.is_over)
    known = lab.heard[-1].progress
    assert (known.opted_out, known.answer, known.answered_by) == (True, "do_not_call", AnsweredBy.human)
    assert words_of(call.said, lab.folder) == ["Больше не позвоним"]


def test_whoever_presses_the_key_after_the_last_question_is_not_called_again(lab: Lab) -> None:
    lab.does(presses=())
    assert SCRIPT.ask is not None
    long = replace(SCRIPT, ask=replace(SCRIPT.ask, times=1, wait_seconds=1, silent=(Say("До свидания"),) * 20))
    lab.provider.place(order(script=long, machine_detection=False))
    [call] = lab.sandbox.pbx.calls
    wait(lambda: bool(call.said) and words_of(call.said, lab.folder)[-1] == "До свидания")
    lab.sandbox.do(lambda: call.press("9"))
    wait(lambda: call.is_over)
    assert lab.heard[-1].progress.opted_out
    assert words_of(call.said, lab.folder)[-1] == "Больше не позвоним"


def test_whoever_waits_for_the_manager_may_ask_never_to_be_called_again(lab: Lab) -> None:
    lab.does(presses=("2",), manager="no-answer")
    lab.provider.place(order(machine_detection=False))
    [call] = lab.sandbox.pbx.calls
    wait(lambda: len(lab.sandbox.pbx.calls) == 2)
    lab.sandbox.do(lambda: call.press("9"))
    wait(lambda: call.is_over)
    known = lab.heard[-1].progress
    assert (known.answer, known.opted_out, known.transfer) == ("talk", True, Transfer.no_answer)
    assert words_of(call.said, lab.folder)[-1] == "Больше не позвоним"
    assert "Никого нет" not in words_of(call.said, lab.folder)


def test_a_campaigns_words_that_cannot_be_spoken_make_it_wait_and_say_why(lab: Lab) -> None:
    def mute(*_: object) -> None:
        raise OSError("no such program")

    lab.provider._sounds._speak = mute
    place = super(type(lab.provider), lab.provider).place
    script = replace(SCRIPT, greeting=(Say("новые слова"),))
    faults: list[Fault] = []

    def refused() -> bool:
        with pytest.raises(TryLater) as later:
            place(order(script=script))
        faults.append(later.value.fault)
        return faults[-1] is Fault.campaign

    wait(refused)
    assert faults[-1] is Fault.campaign
    assert set(faults) <= {Fault.ours, Fault.campaign}
    assert lab.sandbox.pbx.log == []


def test_what_is_stored_is_soon_forgotten_and_what_nobody_has_stored_is_not(lab: Lab) -> None:
    lab.does(does="busy", rings=0.0)
    lab.provider.place(order(attempt=1, ref="abcdefgh-1"))
    wait(lambda: bool(lab.heard) and lab.heard[-1].progress.phase is Phase.ended)

    def broken(news: News) -> Future[None]:
        future: Future[None] = Future()
        future.set_exception(OSError("the disk is full"))
        return future

    board = lab.provider._board
    board._hear = broken
    lab.provider.place(order(attempt=2, ref="abcdefgh-2"))
    wait(lambda: board.calls["dial-abcdefgh-2."].is_over)
    lab.befall("drop_before")
    with pytest.raises(PerhapsPlaced):
        lab.provider.place(order(attempt=3, ref="abcdefgh-3"))
    lab.does(rings=1_000.0)
    lab.provider.place(order(attempt=4, ref="abcdefgh-4"))
    wait(lambda: board.calls["dial-abcdefgh-4."].heard_of)
    left = []
    for later in (STORED_REMEMBERED + 1, REMEMBERED + 1):
        now = board._loop.time() + later
        lab.provider._board.forget_old(now)
        left.append({channel[-2] for channel in board.calls})
    assert left == [{"2", "3", "4"}, {"4"}]


def test_two_hundred_at_once_are_all_heard(lab: Lab) -> None:
    lab.does(rings=2.0, presses=("1",))
    lab.provider.prepare(SCRIPT)
    with ThreadPoolExecutor(20) as pool:
        placing: Callable[[int], object] = lambda n: lab.provider.place(order(attempt=n, ref=f"abcdefgh-{n}"))  # noqa: E731
        list(pool.map(placing, range(1, 201)))
    wait(lambda: sum(news.progress.phase is Phase.ended for news in list(lab.heard)) >= 200, 60)
    ended = {news.attempt: news.progress for news in lab.heard if news.progress.phase is Phase.ended}
    assert set(ended) == set(range(1, 201))
    assert {one.answer for one in ended.values()} == {"renew"}
    assert threading.active_count() < 60
