"""Keys that were pressed while nobody heard Asterisk's events: who answered so must not be rung again as if they had
not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dialer.call import AnsweredBy, Phase, Progress
from dialer.providers.asterisk.call import Call
from dialer.providers.asterisk.channel import Channel
from dialer.providers.asterisk.conversation import Conversation
from tests.providers.asterisk_board import CHANNEL, Heard, Talking, event
from tests.providers.scene import order

GREETING, MENU_AGAIN = 1, 2
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
    assert (call.known.answer, call.known.keys_unheard, call.known.answer_step) == (None, True, 1)


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


def test_an_answer_after_an_interruption_leaves_no_doubt() -> None:
    def answered(board: Talking) -> dict[int, Callable[[], None]]:
        def press() -> None:
            board.call.inbox.put_nowait(event("ChannelDtmfReceived", digit="1"))

        return {GREETING: interrupt(board), MENU_AGAIN: press}

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
