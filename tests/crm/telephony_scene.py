"""A call on its way into the portal's statistics: the real stage and the real adapter, on a clock that a test moves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dialer.call import AnsweredBy, Hangup
from dialer.crm.base import Entry, Renew, Result
from dialer.crm.bitrix24 import Bitrix24
from dialer.crm.bitrix24.access import Access, Address, Webhook
from dialer.memory.database import Database
from dialer.memory.tables import targets
from dialer.sandbox.portal_cards import DEAL
from dialer.stages.owe import owe_entries
from dialer.stages.write_back import Manners, look_for_doubtful, write_owed
from tests.portal_on_loopback import OnLoopback
from tests.rows import add_attempt
from tests.stages.scene import Scene

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
MANNERS = Manners(doubt_after=65 * SECOND, linger=0 * SECOND)
FACTS = json.dumps({"first_name": "Анна", "last_name": "Ким", "facts": {}}, ensure_ascii=False)


class Installed:
    """An application whose token never ends."""

    way = "application"
    shown = "the sandbox"
    secrets: list[str] = []

    def __init__(self, on: OnLoopback) -> None:
        self._address = Address(f"{on.url}/rest", on.portal.oauth.install()["auth[access_token]"])

    def now(self) -> Address:
        return self._address

    def renew(self, old: Address) -> bool:
        return False

    def moved(self, old: Address, to: str) -> str:
        raise NotImplementedError

    def close(self) -> None:
        pass


def opened(on: OnLoopback, *, with_line: bool = True) -> Access:
    """The portal as it is once the application has its scopes, and `dialer init --bitrix24` was run."""
    on.portal.scopes.append("telephony")
    if with_line:
        on.portal.telephony.line_add({"NUMBER": "dialer", "CRM_AUTO_CREATE": "N"})
    return Installed(on)


class Killed(BaseException):
    pass


class Dies:
    """A node that dies in its n-th request to write: before it is sent, or when it has been answered."""

    def __init__(self, bitrix: Bitrix24, place: int, *, sent: bool) -> None:
        self._bitrix, self._left, self._sent = bitrix, place, sent
        self.batch, self.send_within = bitrix.batch, bitrix.send_within
        self.at_once, self.room = bitrix.at_once, bitrix.room

    def write(self, entries: Sequence[Entry], *, renew: Renew, now: datetime) -> dict[int, Result]:
        self._left -= 1
        if self._left and not self._sent:
            return self._bitrix.write(entries, renew=renew, now=now)
        results = self._bitrix.write(entries, renew=renew, now=now) if self._left or self._sent else {}
        if not self._left:
            raise Killed
        return results


class Calls:
    """`ahead` moves our clock and the portal's together."""

    def __init__(self, database: Database, folder: Path, on: OnLoopback, access: Access) -> None:
        self.on, self.scene, self.ahead = on, Scene(database, folder), timedelta(0)
        self.said: list[str] = []
        self.bitrix = self.adapter(access)

    def adapter(self, access: Access) -> Bitrix24:
        return Bitrix24(access, clock=self.now, rate=1e6, burst=1_000_000, sleep=self._skip, log=self.said.append)

    def by_webhook(self) -> None:
        self.bitrix = self.adapter(Webhook(self.on.webhook_url))

    def by_application(self) -> None:
        self.bitrix = self.adapter(Installed(self.on))

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def _skip(self, seconds: float) -> None:
        self.pass_by(seconds * SECOND)

    def pass_by(self, span: timedelta) -> None:
        self.ahead += span
        self.on.portal.telephony.ahead = self.ahead

    def ring(self, card: int = 1, kind: str = "deal", **known: Any) -> int:
        """Somebody on the deal was talked to. Returns the attempt."""
        number, now = f"+7916{card:07d}", self.now()
        target = self.scene.target(number, now=now, plan_at=None, card_id=card, contact_id=card)
        self.scene.set(targets, target, card_type=kind, contact=FACTS, responsible_id=2)
        attempt = add_attempt(self.scene.database, target, now, number)
        how = {"hangup": Hangup.completed, "answered_by": AnsweredBy.human, "talked": 30 * SECOND, **known}
        self.scene.end(attempt, now=now, **how)
        self.pass_by(MINUTE)
        return attempt

    def owe(self) -> None:
        self.scene.plan(self.now())
        owe_entries(self.scene.database, self.scene.store, key="inst", now=self.now())

    def round(self, crm: Any = None) -> None:
        self.owe()
        while self.step(crm):
            pass
        self.look()

    def step(self, crm: Any = None) -> int:
        return write_owed(
            self.scene.database, crm or self.bitrix, MANNERS, node="me", now=self.now(), fallback_users={"renewal": 3}
        )

    def look(self) -> None:
        look_for_doubtful(self.scene.database, self.bitrix, MANNERS, node="me", now=self.now())

    def go_on(self, rounds: int = 4, *, skipping: timedelta = 2 * MINUTE) -> None:
        for _ in range(rounds):
            self.round()
            self.pass_by(skipping)

    def record(self) -> Any:
        """The row of the only call record."""
        (row,) = [row for row in self.scene.entries() if row.kind == "call"]
        return row

    def stands_once(self, card: int = 1, kind: str = "deal", text: str = "reached None 30") -> None:
        """In the statistics, and on the card, with its text; and nothing else does."""
        portal = self.on.portal
        assert len(portal.telephony.statistics) == 1, portal.telephony.statistics
        told = [one for one in portal.timeline(kind, card) if one["kind"] == "call"]
        assert [one["text"] for one in told] == [text], self.scene.entries()
        assert list(portal.activities) == [told[0]["id"]]
        assert (portal.telephony.chats, portal.telephony.shown) == (0, 0)
        if kind == "deal":
            assert portal._timeline.bindings[told[0]["id"]] == [(DEAL, card)]
        row = self.record()
        assert (row.state, row.remote_id) == ("written", told[0]["id"]), (row.state, row.why)
