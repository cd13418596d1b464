"""Nodes killed again and again, at numbered points and at random; and how long lines are held."""

from __future__ import annotations

import random
import time
from collections import Counter

import sqlalchemy as sa

from dialer.memory.cancelling import LIVE
from dialer.memory.tables import attempts
from tests.faults.world import SHORT, Node, World

SETTLED_WITHIN = 300


def kill_again_and_again(world: World, *, kills: int, nodes: int, seed: int) -> tuple[int, Held]:
    """Every other kill at a point that was rarely met yet. Returns at how many points, and what was held how long."""
    rng, held = random.Random(seed), Held()
    running: dict[int, Node] = {place: world.start(place) for place in range(nodes)}
    stopped_at: Counter[str] = Counter()
    for _ in range(kills):
        world.add_wave()
        place = rng.randrange(nodes)
        running[place].kill()
        points = world.points_seen()
        at = min(points, key=lambda name: (stopped_at[name], rng.random())) if points and rng.random() < 0.5 else ""
        stopped_at[at] += 1
        running[place] = world.start(place, at=at)
        until = time.monotonic() + (8.0 if at else rng.uniform(1.0, 6.0))
        while time.monotonic() < until and running[place].is_up:
            held.look(world)
            time.sleep(0.2)
    for place, node in running.items():
        node.kill()
        running[place] = world.start(place)
    until = time.monotonic() + SETTLED_WITHIN
    while world.left() and time.monotonic() < until:
        held.look(world)
        time.sleep(0.2)
    return len(stopped_at), held


class Held:
    """How long rows say that a line is taken, in seconds: `over` after the telephone company has freed it, `empty`
    where it knows of no call, after its lists would show one."""

    def __init__(self) -> None:
        self.over = self.empty = 0.0

    def __str__(self) -> str:
        return f"a line was held {self.over:.1f} s after its call at most, and {self.empty:.1f} s without one"

    def look(self, world: World) -> None:
        live = sa.select(attempts.c.id, attempts.c.claimed_at).where(attempts.c.phase.in_(LIVE))
        try:
            rows = world.database.read(lambda c: c.execute(live).all())
        except sa.exc.DBAPIError:
            return
        now, lag = time.time(), float(SHORT["DIALER_TWILIO_LISTS_LAG"])
        ended_at = {int(call.ref.rpartition("-")[2]): call.ended_at for call in world.rung()}
        for id, claimed_at in rows:
            if id not in ended_at:
                self.empty = max(self.empty, now - claimed_at.timestamp() - lag)
            else:
                self.over = max(self.over, now - (ended_at[id] or now))
