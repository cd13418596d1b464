"""Orders → calls placed over ARI under an id of ours; look-ups from what this node has heard, and from the channels."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from dialer.call import NOTHING, Dialed, Hangup, Phase, Progress, Transfer
from dialer.cost import Price
from dialer.errors import CallForgotten, Fault, PerhapsPlaced, ProviderUnavailable, TryLater
from dialer.finding import Finding
from dialer.providers.asterisk import examining, recording, words
from dialer.providers.asterisk.call import Call, channel_of
from dialer.providers.asterisk.keeping import Keeping, Kept, of_a_call
from dialer.providers.asterisk.rehearsing import Rehearsal
from dialer.providers.asterisk.rest import Address, Answer, Rest
from dialer.providers.asterisk.sounds import Sounds, SpeechFailed
from dialer.providers.asterisk.switchboard import Line, Switchboard
from dialer.providers.base import Ability, Asked, Hear, News, Order, Placed, Recorded
from dialer.script import Script

RENDERING_AFTER = timedelta(seconds=2)
RENDERERS = 2
TROUBLES_MOST = 5
"""Calls in a row that the trunk has failed: the next ones wait."""
TRUNK_RESTS, TRUNK_RESTS_MOST = timedelta(seconds=30), timedelta(minutes=10)
ASTERISK = "Asterisk"


class Asterisk:
    """`listen` must have been called, and its socket be up, before anything is placed."""

    name = "asterisk"
    abilities = frozenset(Ability)
    lists_lag = timedelta(seconds=2)

    def __init__(
        self,
        address: Address,
        line: Line,
        sounds: Sounds,
        *,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        self.request_timeout = timeout
        self._line, self._sounds = line, sounds
        self._rest = Rest(address, timeout=timeout.total_seconds())
        self._keeping = Keeping(self._rest, line.app)
        self._rehearsal = Rehearsal(
            self._rest, line.app, line.amd_context, lambda channel: channel in self._board.strangers
        )  # fmt: skip
        self._board = Switchboard(
            address, line, sounds, self._keeping, say=say, warn=warn, doubt=self._rehearsal.doubt
        )  # fmt: skip
        self._guard = threading.Lock()
        self._rendering: dict[Script, str] = {}
        """What is being made into sound, and why it last failed."""
        self._renderers = ThreadPoolExecutor(RENDERERS, thread_name_prefix="speech")

    def listen(self, hear: Hear, *, within: float, now: Callable[[], datetime]) -> bool:
        return self._board.listen(hear, within=within, now=now)

    def close(self) -> None:
        self._board.close()
        self._renderers.shutdown(wait=False, cancel_futures=True)

    def warm(self) -> None:
        self._rest.warm()

    def place(self, order: Order) -> Placed:
        self._refuse_what_nobody_would_lead()
        if not self.prepare(order.script):
            raise self._not_ready(order.script)
        said = self._sounds.media(order.script, order.script.greeting)
        self._rehearsal.before(said, detection=order.machine_detection, gap=self._board.events.gap)
        call = Call(channel_of(order.ref), order, self._board.events.gap, self._line.speed)

        def gate() -> None:
            order.gate()
            self._refuse_what_nobody_would_lead()
            self._board.expect(call)

        try:
            answer = self._rest.place(self._parameters(call), {"variables": self._variables(call)}, gate)
            return self._verdict(call, answer)
        except TryLater:
            # another node may place it next: that this one has heard nothing of it must then prove nothing
            self._forget(call)
            raise

    def look_up(self, asked: Asked) -> News | None:
        channel = asked.call_id or channel_of(asked.ref)
        call = self._board.calls.get(channel)
        if call is not None and call.is_over:
            return call.whole()
        transfer = Transfer.none
        if asked.orphaned and call is None:
            # nobody else puts them through any more
            met = self._part_who_is_alone(channel)
            transfer = Transfer.connected if met else Transfer.failed if asked.connects else Transfer.none
        answer = self._rest.ask("GET", f"/channels/{channel}")
        if answer.status != 404:
            return self._living(channel, answer, asked, transfer)
        heard_all = call is not None and self._board.hears() and call.gap == self._board.events.gap
        if call is not None and call.heard_of:
            self._board.end_unheard(call)  # does nothing where its end has come meanwhile
            return call.whole()
        if heard_all:
            return None  # whatever it had done here would have been heard
        return self._as_kept(channel, asked, transfer)

    def _as_kept(self, channel: str, asked: Asked, transfer: Transfer) -> News | None:
        kept = self._keeping.end_of(asked.ref, channel, asked.claimed_at)
        if kept is not None:
            ended = replace(_end_of(kept, asked), transfer=transfer)
            return News(asked.attempt, f"kept:{kept.state}:{kept.cause}"[:60], ended, channel)
        if asked.call_id is None and self._keeping.never_was(asked.ref, channel, since=asked.claimed_at):
            return None
        raise CallForgotten(f"{ASTERISK} has no such channel, and has not kept how it ended")

    def cancel(self, call_id: str, *, talking_too: bool) -> None:
        if not talking_too:
            answer = self._rest.ask("GET", f"/channels/{call_id}")
            if answer.status == 404 or answer.state == "Up":
                return
        if (call := self._board.calls.get(call_id)) is not None:
            call.by_us = True
        self._rest.ask("DELETE", f"/channels/{call_id}", {"reason": "normal"})

    def price(self, call_ids: Sequence[str], *, with_legs: bool) -> Price | None:
        return None  # the operator's bill comes by the month

    def fetch_recording(self, name: str, write: Callable[[bytes], None]) -> Recorded:
        return recording.fetch(self._rest, name, write)

    def forget_recording(self, name: str) -> None:
        recording.forget(self._rest, name)

    def prepare(self, script: Script) -> bool:
        if not self._sounds.lacking(script):
            return True
        with self._guard:
            if script in self._rendering:
                return False
            self._rendering[script] = ""
        self._renderers.submit(self._render, script)
        return False

    def findings(self, caller_ids: set[str], regions: set[str], now: Callable[[], datetime]) -> Iterator[Finding]:
        return examining.examine(
            self._rest, self._line, self._sounds, self._keeping, self._rehearsal, caller_ids, now
        )  # fmt: skip

    def _refuse_what_nobody_would_lead(self) -> None:
        if self._board.events.replaced:
            why = f"another program listens to {ASTERISK} under our name: stop it, and start this one again"
            raise TryLater(why, fault=Fault.account)
        if not self._board.events.up.is_set():
            raise TryLater(f"{ASTERISK} is not heard: {self._board.events.why}", fault=Fault.busy)
        if self._board.troubles >= TROUBLES_MOST:
            why = f"the trunk has failed {TROUBLES_MOST} calls in a row (congestion, or it is out of order)"
            raise TryLater(why, fault=Fault.busy, after=self._rest_of_the_trunk())

    def _rest_of_the_trunk(self) -> timedelta:
        """One more failure makes it rest again, for twice as long."""
        rests = min(TRUNK_RESTS * (1 << min(self._board.rests, 10)), TRUNK_RESTS_MOST)
        self._board.troubles, self._board.rests = TROUBLES_MOST - 1, self._board.rests + 1
        return rests

    def _not_ready(self, script: Script) -> TryLater:
        with self._guard:
            failed = self._rendering.get(script, "")
            if failed:
                del self._rendering[script]  # tried again at the next call
        if failed:
            return TryLater(f"its words cannot be spoken: {failed}", fault=Fault.campaign)
        return TryLater("its words are still being made into sound", fault=Fault.ours, after=RENDERING_AFTER)

    def _render(self, script: Script) -> None:
        try:
            self._sounds.render(script)
        except SpeechFailed as error:
            why = str(error)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        else:
            why = ""
        with self._guard:
            if why:
                self._rendering[script] = why
            else:
                self._rendering.pop(script, None)

    def _parameters(self, call: Call) -> dict[str, str]:
        order = call.order
        return {
            "endpoint": self._board.endpoint(order.number), "app": self._line.app, "appArgs": f"out,{order.attempt}",
            "callerId": self._board.shown(order.caller_id), "timeout": str(round(order.ring_for.total_seconds())),
            "channelId": call.channel,
        }  # fmt: skip

    def _variables(self, call: Call) -> dict[str, str]:
        return {"DIALER_APP": self._line.app, **of_a_call(call.order.ref)}

    def _verdict(self, call: Call, answer: Answer) -> Placed:
        status, said = answer.status, answer.said
        if status == 200 and answer.words.get("id") == call.channel:
            return Placed(call.channel)
        if status == 409:
            return self._confirmed(call)
        if status == 500 and said == "Allocation failed":
            raise self._undialed()
        if status in (400, 401, 403, 404):
            remedy = _REMEDIES.get(status, "check DIALER_ASTERISK_URL")
            raise TryLater(f"{ASTERISK} {status}: {said or 'no'}; {remedy}", fault=Fault.account)
        raise PerhapsPlaced(f"{ASTERISK} {status}: {said or 'that is no answer of ARI'}")

    def _undialed(self) -> TryLater:
        where = re.sub(r"\{[a-z0-9]+\}", "…", self._line.dial)
        trunk = examining.trunk_of(self._line.dial)
        try:
            state = None if trunk is None else self._rest.ask("GET", f"/endpoints/PJSIP/{trunk}")
        except ProviderUnavailable as error:
            return TryLater(f"{ASTERISK} cannot dial {where}; it may be shutting down: {error}", fault=Fault.busy)
        if state is None or state.status == 404:
            return TryLater(f"{ASTERISK} cannot dial {where}: is this trunk configured there?", fault=Fault.account)
        if state.state == "online":
            why = "it makes no channel, and its log says why; it may be shutting down"
        else:
            why = examining.SILENT_OPERATOR
        return TryLater(f"{ASTERISK} cannot dial {where}: {why}", fault=Fault.busy)

    def _confirmed(self, call: Call) -> Placed:
        """After a true duplicate Asterisk may say so of a channel that it could not make."""
        if call.heard_of or self._rest.ask("GET", f"/channels/{call.channel}").status == 200:
            return Placed(call.channel)
        raise self._undialed()

    def _forget(self, call: Call) -> None:
        if not call.heard_of:
            self._board.calls.pop(call.channel, None)

    def _part_who_is_alone(self, channel: str) -> bool:
        """A customer, or the manager they talked to, when the other has hung up and nobody has told them. Returns
        whether the two have met."""
        bridges = self._bridges(channel)
        for bridge, members in bridges.items():
            if len(members) < 2:
                for one in members:
                    self._rest.ask("DELETE", f"/channels/{one}", {"reason": "normal"})
                self._rest.ask("DELETE", f"/bridges/{bridge}")
        return bool(bridges)

    def _is_put_through(self, channel: str) -> bool:
        """To a manager: the two need nobody to lead them."""
        return any(channel in members for members in self._bridges(channel).values())

    def _bridges(self, channel: str) -> dict[str, set[str]]:
        """Of a call's transfers, and who is in them."""
        told = self._rest.ask("GET", "/bridges").body
        known = [one for one in (told if isinstance(told, list) else ()) if isinstance(one, dict)]
        return {
            str(one.get("id")): set(map(str, one.get("channels", ())))
            for one in known if str(one.get("id")).startswith(f"{channel}-m")
        }  # fmt: skip

    def _living(self, channel: str, answer: Answer, asked: Asked, transfer: Transfer) -> News | None:
        state = answer.state
        if asked.orphaned and channel not in self._board.calls and not self._is_put_through(channel):
            gone = self._rest.ask("DELETE", f"/channels/{channel}", {"reason": "normal"}).status == 404
            if gone:
                return self._as_kept(channel, asked, transfer)
            was_up = asked.answered or state == "Up"
            ended = Progress(
                phase=Phase.ended, hangup=Hangup.completed if was_up else Hangup.cancelled, transfer=transfer,
                keys_unheard=was_up and asked.keys_left, detail="" if was_up else "the node that rang has died",
            )  # fmt: skip
            return News(asked.attempt, f"orphan:{state}", ended, channel)
        phase = words.STATES.get(state, Phase.planned)
        known = Progress(phase=phase, transfer=transfer) if phase is not Phase.planned else NOTHING
        return News(asked.attempt, f"look_up:{state}"[:60], known, channel, unknown="" if known != NOTHING else state)


def _end_of(kept: Kept, asked: Asked) -> Progress:
    """Who answered when nobody led the call was hung up on at once, and has heard nothing."""
    hangup = words.ended(was_up=kept.was_up, by_us=False, rang=kept.rang, last_dial="", cause=kept.cause)
    return Progress(
        phase=Phase.ended, hangup=hangup, dialed=Dialed.yes, ended_at=kept.at,
        keys_unheard=asked.answered and asked.keys_left,
        detail="" if kept.was_up else f"kept by {ASTERISK} ({kept.cause})",
    )  # fmt: skip


_REMEDIES = {
    400: "check DIALER_ASTERISK_DIAL",
    401: "check DIALER_ASTERISK_USER and DIALER_ASTERISK_PASSWORD",
    403: "its user in ari.conf may only read: set read_only = no",
}
