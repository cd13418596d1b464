"""A key in the very moment in which a person hangs up: it stands in the inbox, and nothing can be said any more."""

from __future__ import annotations

import asyncio

import pytest

from dialer.providers.asterisk.call import Call
from dialer.providers.asterisk.channel import Channel
from dialer.providers.asterisk.conversation import Conversation
from dialer.script import Say
from tests.providers.asterisk_board import CHANNEL, Ended, Talking, event
from tests.providers.scene import order


@pytest.mark.parametrize("detection", [True, False])
@pytest.mark.parametrize(("keys", "answer"), [("9", "do_not_call"), ("19", "renew"), ("7", None)])
def test_it_counts(keys: str, answer: str | None, detection: bool) -> None:
    call, board = Call(CHANNEL, order(machine_detection=detection), 0), Ended()
    for key in keys:
        call.inbox.put_nowait(event("ChannelDtmfReceived", digit=key))
    call.inbox.put_nowait(event("ChannelHangupRequest"))
    asyncio.run(Conversation(Channel(board, call)).lead())
    wanted = "do_not_call" if detection and "9" in keys else answer  # before anything was said only that one counts
    assert sorted({one.answer for one in board.proven if one.answer}) == ([] if wanted is None else [wanted])
    assert call.known.opted_out == ("9" in keys)


def test_whoever_has_answered_may_still_ask_never_to_be_called_again() -> None:
    call, board = Call(CHANNEL, order(machine_detection=False), 0), Ended()
    for key in "19":
        call.inbox.put_nowait(event("ChannelDtmfReceived", digit=key))
    call.inbox.put_nowait(event("ChannelHangupRequest"))
    asyncio.run(Conversation(Channel(board, call)).lead())
    assert [(one.answer, one.opted_out) for one in board.proven] == [("renew", False), ("renew", True)]
    assert (call.known.answer, call.known.opted_out) == ("renew", True)


@pytest.mark.parametrize("stores", [True, False])
def test_whoever_asks_while_machines_are_told_hears_that_it_is_done_only_when_it_is_stored(stores: bool) -> None:
    call, board = Call(CHANNEL, order(), 0), Ended()
    board.stores = stores
    call.inbox.put_nowait(event("ChannelDtmfReceived", digit="9"))
    call.inbox.put_nowait(event("StasisStart", args=["amd", "HUMAN", "x"]))
    asyncio.run(Conversation(Channel(board, call)).lead())
    assert board.said == [Say("Больше не позвоним" if stores else "Извините")]


def test_that_of_another_channel_does_not() -> None:
    call, board = Call(CHANNEL, order(machine_detection=False), 0), Ended()
    call.inbox.put_nowait({**event("ChannelDtmfReceived", digit="9"), "channel": {"id": f"{CHANNEL}-m2"}})
    asyncio.run(Conversation(Channel(board, call)).lead())
    assert board.proven == []


def test_whoever_is_not_known_to_have_answered_is_asked_nothing() -> None:
    call = Call(CHANNEL, order(machine_detection=False), 0)
    board = Talking(call, {})
    board.stores = False
    asyncio.run(Conversation(Channel(board, call)).lead())
    assert board.said == [Say("Извините")]
