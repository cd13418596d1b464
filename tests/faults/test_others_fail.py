"""The portal and the telephone company fail before, during and after what they are asked for; so does the way there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dialer.sandbox.faults import Faults, Rule
from tests.faults.proxy import Proxy
from tests.faults.referee import expect_a_good_end
from tests.faults.world import World

FOR_SECONDS = 6.0
HARDLY_EVER_WELL = 0.12
"""Of each of some ten mishaps: about a quarter of the requests are spared."""
OF_REQUESTS = ("503", "500_before", "500_after", "drop_before", "drop_after", "html", "html_after", "garbage", "slow")
OF_COMMANDS = ("503", "500_before", "500_after", "drop_before", "drop_after", "refuse_after", "leave_out")


def test_the_portal_fails_before_during_and_after_the_writing(tmp_path: Path, database_url: str) -> None:
    mishaps = [
        *mishaps_of("batch", *OF_REQUESTS, "late", "hang"),
        *mishaps_of("batch/crm.activity.add", *OF_COMMANDS),
        *mishaps_of("batch/crm.activity.update", *OF_COMMANDS),
        *mishaps_of("batch/crm.timeline.comment.add", *OF_COMMANDS),
        *mishaps_of("batch/crm.timeline.comment.update", *OF_COMMANDS),
        *mishaps_of("batch/tasks.task.add", *OF_COMMANDS),
        *mishaps_of("batch/im.notify.system.add", *OF_COMMANDS),
        *mishaps_of("batch/crm.item.add", *OF_COMMANDS),
        *mishaps_of("batch/crm.item.update", *OF_COMMANDS),
    ]
    with World(tmp_path / "world", database_url, people=30) as world:
        world.add_wave()
        world.start()
        assert world.wait_until(lambda: world.sandbox.telephone.calls), world.log()[-3000:]
        with failing(world.sandbox.portal.faults, mishaps):
            time.sleep(FOR_SECONDS)
        expect_a_good_end(world)
        assert befallen(mishaps) >= 5


def test_the_telephone_company_fails_before_during_and_after_what_it_is_asked(
    tmp_path: Path, database_url: str
) -> None:
    verbs = ("calls.create", "calls.list", "calls.fetch", "calls.update")
    mishaps = [mishap for verb in verbs for mishap in mishaps_of(verb, *OF_REQUESTS, "429", "hang", seconds=2.5)]
    nodes = 1 if database_url.startswith("sqlite") else 2
    with World(tmp_path / "world", database_url, people=40, nodes=nodes) as world:
        world.sandbox.telephone.exchange.faults.set(*mishaps)
        world.add_wave()
        for place in range(nodes):
            world.start(place)
        assert world.wait_until(lambda: len(world.sandbox.telephone.log) >= 3), world.log()[-3000:]
        with failing(world.sandbox.telephone.exchange.faults, mishaps):
            time.sleep(FOR_SECONDS)
        expect_a_good_end(world)
        assert befallen(mishaps) >= 10


def test_one_direction_is_cut_between_the_telephone_company_and_the_nodes(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url, people=45, rate=10.0) as world, there(world) as there_and_back:
        world.add_wave()
        world.start(DIALER_TWILIO_API_URL=there_and_back.url)
        assert world.wait_until(lambda: len(world.sandbox.telephone.calls) > 5), world.log()[-3000:]
        for direction in ("requests", "answers"):
            for proxy in (world.proxy, there_and_back):  # without its requests nobody is rung any more
                before = proxy.swallowed
                proxy.drops = direction
                assert world.wait_until(lambda proxy=proxy, before=before: proxy.swallowed > before + 2)
            time.sleep(FOR_SECONDS / 2)
            there_and_back.drops = world.proxy.drops = ""
        expect_a_good_end(world)


@contextmanager
def there(world: World) -> Iterator[Proxy]:
    proxy = Proxy([int(world.sandbox.telephone_url.rpartition(":")[2])])
    yield proxy
    proxy.close()


@contextmanager
def failing(faults: Faults, mishaps: list[Rule]) -> Iterator[None]:
    faults.set(*mishaps)
    yield
    faults.set()


def mishaps_of(what: str, *words: str, seconds: float = 1.0) -> list[Rule]:
    return [Rule(what, word, chance=HARDLY_EVER_WELL, seconds=seconds) for word in words]


def befallen(mishaps: list[Rule]) -> int:
    return sum(1_000_000_000 - mishap.times for mishap in mishaps)
