"""Keys that were pressed while nobody heard Asterisk's events: who answered so must not be rung again as if they had
not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from dialer.call import AnsweredBy, Phase, Progress
from dialer.providers.asterisk.call import Call
from dialer.providers.asterisk.channel import Channel
from dialer.providers.asterisk.conversation import Conversation
from dialer.script import Say
from tests.providers.asterisk_board import CHANNEL, Heard, Talking, event
from tests.providers.scene import order

GREETING, MENU_AGAIN, GOODBYE = 1, 2, 3
"""Which of the prompts it is."""


def lead(hear: Callable[[Talking], dict[int, Callable[[], None]]]) -> Call:
    """A person who is asked twice, and who has a hundredth of a second to press a key."""
    call = Call(CHANNEL, order(machine_detection=False), 0, speed=500)
    call.take(event("ChannelStateChange"))
    board = Talking(call, {})
    board.after = hear(board)
    asyncio.run(Conversation(Channel(board, call)).lead())
    return call


def interrupt(board: Talking) -> Callable[[], None]:
    def interrupt() -> None:
        board.events.gap += 1

    return interrupt


def test_who_hangs_up_after_an_interruption_may_have_answered() -> None:
    def interrupted_and_gone(board: Talking) -> dict[int, Callable[[], None]]:
        return {GREETING: interrupt(board), MENU_AGAIN: board.hang_up}

    call = lead(interrupted_and_gone)
    assert (call.known.answer, call.known.keys_unheard, call.known.answer_step) == (None, True, 0)


def test_who_was_interrupted_only_in_the_last_step_may_have_answered() -> None:
    assert lead(lambda board: {MENU_AGAIN: interrupt(board)}).known.keys_unheard


def test_who_had_all_their_time_once_more_has_not_answered() -> None:
    assert not lead(lambda board: {GREETING: interrupt(board)}).known.keys_unheard


def test_nobody_is_doubted_where_nothing_was_interrupted() -> None:
    assert not lead(lambda board: {}).known.keys_unheard
    assert not lead(lambda board: {MENU_AGAIN: board.hang_up}).known.keys_unheard


def test_silence_on_a_dead_socket_is_no_silence() -> None:
    def goes_dead(board: Talking) -> dict[int, Callable[[], None]]:
        board.events.comes = False
        return {}

    assert lead(goes_dead).known.keys_unheard


def test_who_was_asked_again_while_nothing_came_may_have_answered() -> None:
    """The events come again only in the middle of the second menu."""

    def down_and_up(board: Talking) -> dict[int, Callable[[], None]]:
        def down() -> None:
            board.events.gap, board.events.comes = 1, False
            board.events.up.clear()

        def up() -> None:
            board.events.comes = True
            board.events.up.set()

        return {GREETING: down, MENU_AGAIN: up}

    assert lead(down_and_up).known.keys_unheard


@pytest.mark.parametrize("comes", [True, False])
def test_who_hung_up_while_the_socket_was_dead_may_have_answered(comes: bool) -> None:
    """That the channel is gone is seen before the event that says so, or there is none."""

    def dead_and_gone(board: Talking) -> dict[int, Callable[[], None]]:
        def gone() -> None:
            board.events.comes, board.is_gone = comes, True

        return {MENU_AGAIN: gone}

    assert lead(dead_and_gone).known.keys_unheard is not comes


def test_a_step_that_may_have_been_answered_is_not_over_for_whoever_takes_the_call_up() -> None:
    steps: list[int] = []

    def unheard(board: Talking) -> dict[int, Callable[[], None]]:
        return {MENU_AGAIN: interrupt(board), GOODBYE: lambda: steps.append(board.call.known.answer_step)}

    script = lead(unheard).order.script
    assert [script.asks_after(step) for step in steps] == [True]


@pytest.mark.parametrize(("key", "said"), [("1", "Спасибо"), ("9", "Больше не позвоним")])
def test_a_key_during_the_goodbye_is_an_answer(key: str, said: str) -> None:
    boards: list[Talking] = []

    def late(board: Talking) -> dict[int, Callable[[], None]]:
        boards.append(board)
        return {GOODBYE: lambda: [board.press(one)() for one in f"7{key}"][-1]}

    call = lead(late)
    assert (call.known.answer, call.known.opted_out) == ("renew" if key == "1" else "do_not_call", key == "9")
    assert boards[0].said[-1] == Say(said)


def test_a_key_while_they_are_hung_up_on_is_an_answer() -> None:
    class HangsUpLate(Talking):
        def hang_up(self) -> None:
            self.press("1")()
            super().hang_up()

    call = Call(CHANNEL, order(machine_detection=False), 0, speed=500)
    asyncio.run(Conversation(Channel(HangsUpLate(call, {}), call)).lead())
    assert (call.known.answer, call.known.keys_unheard) == ("renew", False)


def test_an_answer_after_an_interruption_leaves_no_doubt() -> None:
    def answered(board: Talking) -> dict[int, Callable[[], None]]:
        return {GREETING: interrupt(board), MENU_AGAIN: board.press("1")}

    call = lead(answered)
    assert (call.known.answer, call.known.keys_unheard) == ("renew", False)


def test_a_machine_presses_nothing() -> None:
    def interrupted(board: Talking) -> dict[int, Callable[[], None]]:
        board.call.known = Progress(phase=Phase.answered, answered_by=AnsweredBy.machine)
        return {GREETING: interrupt(board), MENU_AGAIN: board.hang_up}

    assert not lead(interrupted).known.keys_unheard


def test_a_key_that_is_read_late_counts_where_it_was_pressed() -> None:
    """As after a freeze: the time is over, and what came meanwhile is read only then."""

    class Late(Heard):
        async def heard_all(self) -> bool:
            call.inbox.put_nowait(event("ChannelDtmfReceived", digit="1"))
            return True

    call = Call(CHANNEL, order(machine_detection=False), 0, speed=500)
    board = Talking(call, {})
    board.events = Late()
    asyncio.run(Conversation(Channel(board, call)).lead())
    assert (call.known.answer, call.known.answer_step) == ("renew", 1)
