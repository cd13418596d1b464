"""Two nodes behind one proxy: one is restarted all the while, or a newer program comes; no webhook stays unanswered."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

from dialer.memory.migrate import migrate
from dialer.memory.tables import attempts
from dialer.sandbox.telephone_posts import FAILED
from dialer.sandbox.wire import Poster
from tests.faults.referee import expect_a_good_end
from tests.faults.world import Node, World

PEOPLE = 80
KILLED = 2
"""Which of the restarts is no polite one."""
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@dataclass(slots=True)
class Telling(Poster):
    """Keeps what was answered to every webhook, trial by trial."""

    answers: dict[str, list[int | str]] = field(default_factory=lambda: defaultdict(list))

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, within: float) -> tuple[int, str, bytes]:
        told = self.answers[headers["I-Twilio-Idempotency-Token"]]
        try:
            answer = await Poster.post(self, url, headers, body, within=within)
        except FAILED as error:
            told.append(type(error).__name__)
            raise
        told.append(answer[0])
        return answer

    @property
    def unanswered(self) -> list[list[int | str]]:
        return [told for told in self.answers.values() if told[-1] not in (200, 204)]


@on_postgresql
def test_one_of_two_nodes_is_restarted_again_and_again_while_calls_run(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url, people=PEOPLE, nodes=2, rate=5.0, speed=20.0) as world:
        world.sandbox.telephone.exchange.poster = webhooks = Telling()
        migrate(world.database)
        world.add_wave()
        world.start(0)
        restarted = world.start(1)
        for restart in range(4):
            assert world.wait_until(lambda n=restart: len(nodes_that_rang(world)) >= n + 2), world.log()[-3000:]
            assert world.wait_until(lambda: answers(world, 1) and rings(world, 2)), world.log()[-3000:]
            stop(world, restarted, politely=restart != KILLED)
            restarted = world.start(1)
        assert world.left(), "all was done before the last restart"
        verdict = expect_a_good_end(world)
        assert verdict.calls >= PEOPLE
        assert len(nodes_that_rang(world)) >= 5
        assert len(webhooks.answers) > 4 * PEOPLE
        assert not webhooks.unanswered


@on_postgresql
def test_a_running_node_goes_on_when_a_newer_program_adds_to_the_tables(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url, people=25, rate=5.0) as world:
        world.add_wave()
        node = world.start()
        assert world.wait_until(lambda: rings(world, 3)), world.log()[-3000:]
        world.database.write(add_to_the_tables)
        refused = world.start(plain=True)
        assert refused.wait(30)
        assert refused.returncode == 1
        assert "at version later, which this program does not know" in world.log()
        assert expect_a_good_end(world).calls >= 25
        assert node.is_up
        assert "Traceback" not in world.log()


def answers(world: World, place: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{world.ports[place]}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def rings(world: World, least: int) -> bool:
    """So many calls are live at the telephone company."""
    return sum(not call.is_over for call in list(world.sandbox.telephone.calls.values())) >= least


def stop(world: World, node: Node, *, politely: bool) -> None:
    if not politely:
        node.kill()
        return
    node.terminate()
    assert node.wait(30), world.log()[-3000:]
    assert node.returncode == 0, world.log()[-3000:]


def nodes_that_rang(world: World) -> set[str]:
    placed = sa.select(attempts.c.node).where(attempts.c.call_id.is_not(None)).distinct()
    return set(world.database.read(lambda c: c.execute(placed).scalars().all()))


def add_to_the_tables(c: sa.Connection) -> None:
    for table in ("trunk", "campaign", "target", "attempt", "entry", "news", "node"):
        c.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN later VARCHAR"))
    c.execute(sa.text("CREATE TABLE later (id INTEGER PRIMARY KEY)"))
    c.execute(sa.text("UPDATE alembic_version SET version_num = 'later'"))
