"""The stage and the real adapter between a database and the sandbox portal: what is owed, and what stands."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dialer.call import AnsweredBy, Hangup
from dialer.crm.bitrix24 import Bitrix24
from dialer.crm.bitrix24.access import Access, Webhook
from dialer.memory.database import Database
from dialer.memory.tables import attempts, targets
from dialer.sandbox.portal_cards import DEAL
from dialer.stages.owe import owe_entries
from dialer.stages.write_back import Manners, look_for_doubtful, write_owed
from tests.portal_on_loopback import OnLoopback
from tests.rows import add_attempt
from tests.stages.scene import Scene

SECOND = timedelta(seconds=1)
LATE = 0.3
"""Real seconds that the portal goes on writing after a dropped connection."""

OUTCOMES = """{renew: [{task: {within: 1 working day}}, {stage: Подготовка продления}, {notify: responsible},
  {field: {Город: Казань}}, {item: {create: deal, pipeline: Договоры}},
  {item: {create: lead}}, {item: {create: Договоры обслуживания}}]}"""


class Backlog:
    """Time: what really passes, and what a round skips. No round is shorter than the portal's late writes."""

    def __init__(
        self, database: Database, folder: Path, on: OnLoopback, access: Access | None = None, **how: Any
    ) -> None:
        self.on, self.scene, self.ahead = on, Scene(database, folder), timedelta(0)
        self.pause = LATE * 1.2
        self.bitrix = Bitrix24(
            access or Webhook(on.webhook_url),
            clock=self.now,
            rate=1000,
            burst=1000,
            send_within=5 * SECOND,
            sleep=self._skip,
            **how,
        )
        self.manners = Manners(doubt_after=LATE * SECOND + SECOND, linger=0 * SECOND)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def _skip(self, seconds: float) -> None:
        self.ahead += seconds * SECOND

    def ring(self, card: int) -> int:
        number = f"+7916{card:07d}"
        target = self.scene.target(number, now=self.now(), plan_at=None, card_id=card, contact_id=card)
        attempt = add_attempt(self.scene.database, target, self.now(), number)
        self.scene.end(
            attempt, now=self.now(), hangup=Hangup.completed, answered_by=AnsweredBy.human, talked=30 * SECOND
        )
        return attempt

    def round(self) -> None:
        database, now = self.scene.database, self.now()
        owe_entries(database, self.scene.store, key="inst", now=now)
        while write_owed(database, self.bitrix, self.manners, node="me", now=self.now()):
            pass
        look_for_doubtful(database, self.bitrix, self.manners, node="me", now=self.now())

    def go_on(self, rounds: int, *, skipping: timedelta) -> None:
        for _ in range(rounds):
            self.round()
            time.sleep(self.pause)
            self.ahead += skipping

    def settle(self, rounds: int = 6, *, skipping: timedelta = 400 * SECOND) -> None:
        """Until all is written, or so many rounds are over."""
        for _ in range(rounds):
            self.go_on(1, skipping=skipping)
            if set(self.states()) == {"written"}:
                return

    def states(self) -> Counter[str]:
        return Counter(row.state for row in self.scene.entries())

    def ring_deals(self, first: int, count: int) -> None:
        """Each of these deals owes entries of all kinds."""
        for card in range(first, first + count):
            attempt = self.ring(card)
            target = self.scene.attempt(attempt).target_id
            facts = json.dumps({"first_name": "Анна", "last_name": "Ким", "facts": {"stageId": "C1:EXECUTING"}})
            self.scene.set(targets, target, card_type="deal", contact=facts, state="done")
            self.scene.set(attempts, attempt, answer="renew")
        self.ahead += 60 * SECOND

    def all_kinds(self) -> None:
        audience = "{card: deal, contract_end: Дата окончания договора}"
        self.scene.campaign(now=self.now(), outcomes=OUTCOMES, audience=audience)

    def books(self) -> Counter[tuple[str, str]]:
        """What stands on the portal, by reference and the card on which a manager sees it. Moves and fields have no
        reference: theirs is the kind."""
        portal = self.on.portal
        made = [(entity, one) for entity in portal.cards.items for one in portal.cards.items[entity].values()]
        # a comment on a card that is not there is seen by nobody
        there = {f"{kind} {id}" for entity, kind in ((2, "deal"), (3, "contact")) for id in portal.cards.items[entity]}
        kinds = {"1": "lead", "2": "deal", "3": "contact", "4": "company"}
        return Counter([
            *[(str(one["ORIGIN_ID"]), f"{kinds[one['OWNER_TYPE_ID']]} {one['OWNER_ID']}")
              for one in portal.activities.values()],
            *[(_mark(one["COMMENT"]), card) for one in portal.comments.values()
              if (card := f"{one['ENTITY_TYPE']} {one['ENTITY_ID']}") in there],
            *[(_mark(one["DESCRIPTION"]), card.replace("D_", "deal ").replace("C_", "contact "))
              for one in portal.work.tasks.values() for card in one["UF_CRM_TASK"]],
            *[(str(one["TAG"]), "") for one in portal.work.notifications.values()],
            *[(str(ref), "") for _, one in made if (ref := one.get("originId") or one.get("xmlId"))],
            *[("stage", f"deal {id}") for _, id, _ in portal.changes.moves],
            *[("field", f"deal {id}") for id, one in portal.cards.items[DEAL].items()
              if one.get("ufCrm_1700000003") == "Казань" and not one.get("originId")],
        ])  # fmt: skip

    def owed(self) -> Counter[tuple[str, str]]:
        """What has to stand there, once the last entry is written or set aside."""
        cards = {row.id: f"{row.card_type} {row.card_id}" for row in self.scene.rows(targets.select())}
        found: Counter[tuple[str, str]] = Counter()
        for row in self.scene.entries():
            if row.state != "set_aside":
                ref = row.kind if row.kind in ("stage", "field") else row.ref
                found[ref, "" if row.kind in ("notify", "item") else cards[row.target_id]] += 1
        return found

    def wrong(self) -> dict[str, Any]:
        """Entries lost, doubled and on the wrong card; and those that are not written."""
        stands, owed = self.books(), self.owed()
        strange = [one for one in stands if one not in owed]
        unwritten = [row for row in self.scene.entries() if row.state != "written"]
        told = {
            "lost": sorted(one for one in owed if one not in stands),
            "doubled": sorted(one for one in stands if stands[one] > 1),
            "elsewhere": sorted(strange),
            "unwritten": sorted((row.kind, row.state, row.why) for row in unwritten),
        }  # fmt: skip
        return {what: ones for what, ones in told.items() if ones}


def _mark(text: object) -> str:
    return str(text).rpartition("#")[2]
