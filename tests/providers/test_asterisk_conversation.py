"""Asterisk's adapter beside the sandbox's PBX, as 20 and as 22 are: what every provider must do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from dialer.providers.asterisk import words
from dialer.providers.asterisk.call import Call
from dialer.providers.base import News, Webhook
from dialer.sandbox.callees import Callee
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from tests.providers.asterisk_scene import asterisk, clock, pbx, words_of
from tests.providers.conversation import Company, EveryProvider, wait
from tests.providers.scene import CALLER_ID, SID, TOKEN, order

FATES = {
    "lost_request": "drop_before", "lost_answer": "drop_after", "unavailable": "503", "account": "401", "slow": "slow",
}  # fmt: skip


CHANNEL, PEER = {"channel": {"id": "dial-x-1.", "state": "Up"}}, {"peer": {"id": "dial-x-1.", "state": "Down"}}
CAUSES = {"BUSY": 17, "NOANSWER": 19, "CONGESTION": 34, "CHANUNAVAIL": 20, "CANCEL": 0}


class AsteriskCompany:
    caller_id = CALLER_ID
    receiver = None
    finds_by_number = knows_caller_ids = False

    def __init__(self, folder: Path, version: str) -> None:
        self.heard: list[News] = []
        self.folder, self._silent = folder, False
        telephone = Telephone(account_sid=SID, auth_token=TOKEN, caller_ids=[CALLER_ID])
        self.sandbox = Sandbox(Portal([], secret="p" * 16), telephone, pbx=pbx(folder, version=version))

    def __enter__(self) -> AsteriskCompany:
        self.sandbox.__enter__()
        self.provider = asterisk(self.sandbox.ari_url, self.folder)
        assert self.provider.listen(self._hear, within=5, now=clock)
        self.callee()
        return self

    def __exit__(self, *_: object) -> None:
        self.provider.close()
        self.sandbox.__exit__(None, None, None)

    def callee(self, **does: Any) -> None:
        self.sandbox.pbx.callees.told[None] = Callee(**does)

    def befall(self, what: str) -> None:
        if what == "refused":
            pytest.skip("Asterisk refuses no number when it is placed")
        if what == "busy":
            self.sandbox.pbx.refuses_sockets = True
            self.sandbox.do(self.sandbox.pbx.cut)
            wait(lambda: not self.provider._board.events.up.is_set())
        else:
            self.sandbox.pbx.faults.set(Rule("originate", FATES[what], times=1))

    def close(self) -> None:
        self.sandbox.__exit__(None, None, None)

    def silence(self) -> None:
        self._silent = True

    def placements(self) -> int:
        return len(self.sandbox.pbx.log)

    def rung(self) -> list[str]:
        return [f"+{call.number}" for call in self.sandbox.pbx.calls if "originator" not in call.asked]

    def said(self) -> list[str]:
        customer = [call for call in self.sandbox.pbx.calls if "originator" not in call.asked][-1]
        return words_of(customer.said, self.folder)

    def webhook(self) -> Webhook:
        raise NotImplementedError

    def signed_before(self) -> Sequence[Webhook]:
        raise NotImplementedError

    def signed_by_strangers(self) -> Sequence[Webhook]:
        raise NotImplementedError

    def documented(self) -> dict[str, News | None]:
        """Dial statuses as the event and with the cause of the end; channel states; AMDSTATUS."""
        told: dict[str, News | None] = {}
        for status in ("", "PROGRESS", "PROCEEDING", "RINGING", "ANSWER"):
            told[f"Dial {status}"] = self._after({"type": "Dial", "dialstatus": status, **PEER})
        for status in ("BUSY", "NOANSWER", "CONGESTION", "CHANUNAVAIL", "CANCEL"):
            ended = {"type": "ChannelDestroyed", "cause": CAUSES[status], "cause_txt": "x", **CHANNEL}
            told[f"Dial {status}"] = self._after({"type": "Dial", "dialstatus": status, **PEER}, ended)
        for state in ("Down", "Rsrvd", "OffHook", "Dialing", "Ring", "Ringing", "Up", "Busy", "Dialing Offhook",
                      "Pre-ring"):  # fmt: skip
            told[state] = self._after({"type": "ChannelStateChange", "channel": {"id": "dial-x-1.", "state": state}})
        for verdict in ("HUMAN", "MACHINE", "NOTSURE", "HANGUP"):
            told[verdict] = self._after({"type": "StasisStart", "args": ["amd", verdict, "x"], **CHANNEL})
            assert verdict in words.AMD
        return told

    def _after(self, *events: dict[str, Any]) -> News | None:
        call = Call("dial-x-1.", order(), 0)
        return [call.take(event) for event in events][-1]

    def strange(self) -> News:
        from tests.providers.conversation import place

        placed = place(self)
        before = len(self.heard)
        call = self.provider._board.calls[placed.call_id]
        news = call.take({"type": "Dial", "dialstatus": "LEVITATING", "peer": {"id": placed.call_id, "state": "Up"}})
        assert news is not None
        assert len(self.heard) >= before
        return news

    def _hear(self, news: News) -> Future[None]:
        future: Future[None] = Future()
        if not self._silent:
            self.heard.append(news)
        future.set_result(None)
        return future


class TestAsterisk(EveryProvider):
    @pytest.fixture(params=["22.10.1", "20.6.0"])
    def company(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Company]:
        with AsteriskCompany(tmp_path, request.param) as made:
            yield made
