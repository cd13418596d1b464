"""From event to event: read, plan, claim, record, by the service's own stages and a clock of its own.

A claim takes what can be rung within the next step. Lines are counted here, for it is known when each gets free; all
else is the claim's. With a step of a second it is what the service does; longer ones play large bases in a moment.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer import log
from dialer.foresight.answers import Assumed, Ending, ends
from dialer.foresight.people import People, brought, brought_by_id, brought_first, cancel_gone, has_conditions
from dialer.intake import take_in_people
from dialer.memory.budgets import Budget
from dialer.memory.campaign_store import Running
from dialer.memory.cancelling import LIVE
from dialer.memory.claiming import Claim, claim_due
from dialer.memory.database import ThrowAway, among
from dialer.memory.putting_off import put_off_the_rest
from dialer.memory.schedule import Today
from dialer.memory.tables import PAST, attempts, campaigns, targets, trunks
from dialer.providers.base import Heard, News
from dialer.script import Script, to_json
from dialer.stages.plan import plan_due
from dialer.stages.read import PEOPLE_AT_ONCE
from dialer.stages.record import Timing, record

SETTLED_AFTER = timedelta(seconds=20)
"""As the service's wrap-up."""
A_DAY = timedelta(days=1)
CLAIMED_AT_ONCE = 500
FOR_EVER = timedelta(days=36_500)
AT_ONCE = Timing(wrap_up=timedelta(0), silent_after=timedelta(days=1))
STATES = ("open", "done", "left_out", "cancelled")
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rung:
    """One call as it would be. `nth` counts the dials of this target, from 1."""

    campaign: str
    target: int
    number: str
    caller_id: str
    nth: int
    at: datetime
    ending: Ending

    @property
    def until(self) -> datetime:
        return self.at + self.ending.lasts


@dataclass(slots=True)
class Play:
    """`people` by campaign. `calls` are those that were rung, in order."""

    copy: ThrowAway
    now: datetime
    running: Mapping[str, Running]
    budgets: Sequence[Budget]
    """One of each trunk."""
    people: Mapping[str, People]
    assumed: Assumed
    today: Mapping[str, Today] = field(default_factory=dict)
    """By campaign: what becomes of its reading on the first day; else it is read at once."""
    with_words: bool = True
    """Without, nobody's words are made: it is quicker, and nobody is left out for a template that does not fit."""
    calls: list[Rung] = field(default_factory=list)
    step: timedelta = timedelta(seconds=1)
    """One claim takes what can begin within it."""
    least: timedelta = timedelta(seconds=1)
    """From one look to the next."""
    outside: dict[str, Counter[str]] = field(default_factory=dict)
    """By campaign: how many people the last reading has found who are not of the audience, by reason."""
    _lines: dict[str, list[datetime]] = field(default_factory=dict)
    """By trunk: when each of its lines gets free."""
    _ends: list[tuple[datetime, int, Ending, datetime]] = field(default_factory=list)
    _read: dict[str, date] = field(default_factory=dict)
    _read_whole: set[str] = field(default_factory=set)
    """Campaigns that have been read once; later readings bring only whom they would find changed."""
    _last: dict[str, datetime] = field(default_factory=dict)
    since: datetime = field(init=False)
    """When it began."""

    def __post_init__(self) -> None:
        self.since = self.now

    @property
    def lines(self) -> int:
        return sum(budget.lines for budget in self.budgets)

    @property
    def calls_per_second(self) -> float:
        return sum(budget.calls_per_second for budget in self.budgets)

    def go_on(self, until: datetime) -> None:
        """Whoever is due at the beginning is read at once, unless `today` says otherwise; on later days at the
        reading's hour."""
        if not self._lines:
            self._take_over_live(self.now)
        while self.now < until:
            now, begins = self.now, not self._read
            any_read = self._read_due(now)
            if self._end(now) or any_read or begins:
                self._plan(now)
            self._ring(now)
            # beyond the end nothing has been looked at yet
            self.now = min(self._next(now), until)

    def end(self) -> None:
        """What is still rung comes to its end."""
        self._end(_NEVER)

    def _take_over_live(self, now: datetime) -> None:
        """Of other campaigns, too: each ends as a conversation that begins now."""
        live = sa.select(attempts.c.id, attempts.c.number, attempts.c.trunk).where(attempts.c.phase.in_(LIVE))
        anybody = next(iter(self.running.values())).campaign
        self._lines = {budget.trunk: [now] * budget.lines for budget in self.budgets}
        for row in self.copy.read(lambda c: c.execute(live.order_by(attempts.c.id)).all()):
            ending = ends(Assumed(), anybody, row.number, 1)
            heapq.heappush(self._ends, (now + ending.lasts, row.id, ending, now))
            if row.trunk in self._lines:
                heapq.heapreplace(self._lines[row.trunk], now + ending.lasts)

    def _read_due(self, now: datetime) -> bool:
        any_read = False
        for name, here in self.running.items():
            campaign, people = here.campaign, self.people.get(name)
            if people is None:
                continue
            local = now.astimezone(ZoneInfo(campaign.time_zone))
            day, before = local.date(), self._read.get(name)
            if before is None:
                cancel_gone(self.copy, campaign, people, now=now)
                today = self.today.get(name, Today.now)
                # the hour that is still to come is today's
                self._read[name] = day - A_DAY if today is Today.later else day
                if today is Today.now:
                    due = brought_first(campaign, people, day)
                else:
                    due = brought_by_id(self.copy, campaign, people)
            elif before < day and local.time() >= campaign.read_at:
                again = name in self._read_whole
                due = brought(self.copy, campaign, people, day) if again else brought_first(campaign, people, day)
                self._read[name] = day
            else:
                continue
            whole = before is not None or self.today.get(name, Today.now) is Today.now
            first = whole and name not in self._read_whole
            self._read_whole |= {name} if whole else set()
            tally = Counter[str]()
            for start in range(0, len(due), PEOPLE_AT_ONCE):
                some = [person for of_card in due[start : start + PEOPLE_AT_ONCE] for person in of_card]
                tally += take_in_people(self.copy, campaign, some, day, now=now)
            if first or (whole and has_conditions(campaign)):
                self.outside[name] = Counter({why: n for why, n in tally.items() if why not in STATES})
            any_read = any_read or bool(due)
        if any_read and not self.with_words:
            silent = sa.update(targets).where(targets.c.script.is_(None), targets.c.state == "open")
            self.copy.write(lambda c: c.execute(silent.values(script=to_json(Script("", None, ())))))
        return any_read

    def _end(self, now: datetime) -> bool:
        heard, last = [], now
        while self._ends and self._ends[0][0] <= now:
            last, attempt, ending, began = heapq.heappop(self._ends)
            heard.append(Heard(News(attempt, "ended", ending.progress(began), call_id=f"foreseen-{attempt}")))
        if heard:
            record(self.copy, heard, now=last if now == _NEVER else now, timing=AT_ONCE)
        return bool(heard)

    def _plan(self, now: datetime) -> None:
        only, billed_at_most = self.budgets[0].only, self.budgets[0].billed_at_most
        plan_due(self.copy, self.running, now=now, only=only)
        put_off_the_rest(self.copy, self.running, now=now, only=only, billed_at_most=billed_at_most)

    def _ring(self, now: datetime) -> None:
        """All that can begin before the next step."""
        for budget in self.budgets:
            self._ring_through(budget, now)

    def _ring_through(self, budget: Budget, now: datetime) -> None:
        until = now + self.step
        wide = replace(budget, lines=10**6, send_within=max(budget.send_within, self.step), fresh_for=FOR_EVER)
        while (most := self._room(budget.trunk, until)) > 0 and self._any_due(budget.trunk, now):
            changed = self._changes()
            with log.silent():
                claims = claim_due(
                    self.copy, wide, self.running, node="foresight", now=now, until=until, most=most, lead=timedelta(0)
                )
            self._begin(claims, budget)
            if len(claims) < most:  # perhaps somebody was put off, or left out
                self._plan(now)
                if self._changes() == changed:
                    return

    def _room(self, trunk: str, until: datetime) -> int:
        """How many calls can begin before `until`, each as long as usual; as many as one claim takes."""
        frees, count = list(self._lines[trunk]), 0
        while frees[0] < until and count < CLAIMED_AT_ONCE:
            heapq.heapreplace(frees, frees[0] + self.assumed.usual)
            count += 1
        return count

    def _any_due(self, trunk: str, now: datetime) -> bool:
        return self.copy.read(lambda c: c.execute(_due, {"trunk": trunk, "now": now}).first()) is not None

    def _changes(self) -> int:
        """Of rows, since the copy was made."""
        return self.copy.read(lambda c: int(c.exec_driver_sql("SELECT total_changes()").scalar_one()))

    def _begin(self, claims: list[Claim], budget: Budget) -> None:
        if not claims:
            return
        lines, last = self._lines[budget.trunk], self._last.get(budget.trunk, PAST)
        ids = {"ids": [one.attempt for one in claims]}
        rows = self.copy.read(lambda c: {row.id: row for row in c.execute(_begun, ids)})
        for claim in claims:
            row = rows[claim.attempt]
            ending = ends(self.assumed, self.running[row.campaign].campaign, claim.number, row.nth)
            at = last = max(claim.slot, lines[0], last + budget.spacing)
            call = Rung(row.campaign, row.target_id, claim.number, claim.caller_id, row.nth, at, ending)
            heapq.heapreplace(lines, call.until)
            heapq.heappush(self._ends, (call.until, claim.attempt, ending, at))
            self.calls.append(call)
        self._last[budget.trunk] = last

    def _next(self, now: datetime) -> datetime:
        """The next moment at which there may be something to do."""
        soonest = min((moment for moment in self._moments(now) if moment > now), default=_NEVER)
        return max(soonest, now + self.least)

    def _moments(self, now: datetime) -> Iterator[datetime]:
        if self._ends:
            yield self._ends[0][0] + SETTLED_AFTER
        for name, day in self._read.items():
            campaign = self.running[name].campaign
            tomorrow = datetime.combine(day + A_DAY, campaign.read_at, ZoneInfo(campaign.time_zone))
            yield tomorrow.astimezone(UTC)
        yield from self.copy.read(lambda c: self._waited_for(c, now))
        due = [budget.trunk for budget in self.budgets if self._any_due(budget.trunk, now)]
        if due:
            yield from (self._lines[trunk][0] for trunk in due)
            if self._ends:  # a campaign's own line gets free, or a number
                yield self._ends[0][0]

    def _waited_for(self, c: sa.Connection, now: datetime) -> list[datetime]:
        mine = (attempts.c.trunk.in_(list(self._lines)), attempts.c.phase == "planned", attempts.c.due_at > now)
        due = sa.select(sa.func.min(attempts.c.due_at)).where(*mine)
        found = [c.execute(due.where(attempts.c.campaign == name)).scalar() for name in self.running]
        found.append(c.execute(sa.select(sa.func.min(attempts.c.plan_at)).where(attempts.c.plan_at > now)).scalar())
        found += c.execute(sa.select(trunks.c.next_slot_at).where(trunks.c.name.in_(list(self._lines)))).scalars()
        found += c.execute(sa.select(trunks.c.paused_until).where(trunks.c.name.in_(list(self._lines)))).scalars()
        found += c.execute(sa.select(campaigns.c.next_slot_at)).scalars()
        return [moment for moment in found if moment is not None]


_due = (
    sa.select(attempts.c.id)
    .where(
        attempts.c.trunk == sa.bindparam("trunk"), attempts.c.phase == "planned",
        attempts.c.due_at <= sa.bindparam("now"),
    )
    .limit(1)
)  # fmt: skip
_others = attempts.alias("others")
_begun = sa.select(
    attempts.c.id,
    attempts.c.target_id,
    attempts.c.campaign,
    sa.select(sa.func.count())
    .where(_others.c.target_id == attempts.c.target_id, _others.c.counts)
    .scalar_subquery()
    .label("nth"),
).where(among(attempts.c.id, "ids"))
