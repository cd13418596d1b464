"""Messages of the telephone company that are lost, doubled, reordered and late, all at once; some come days late."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer.memory.tables import attempts, do_not_call, targets
from dialer.sandbox.callees import Callee
from dialer.sandbox.faults import Rule
from dialer.sandbox.people import Person
from dialer.sandbox.telephone_call import Call
from dialer.sandbox.telephone_posts import sign
from tests.faults.referee import expect_a_good_end, judge
from tests.faults.world import CAMPAIGN, World

ANNA, BORIS = "+79161111111", "+79162222222"
HANGS_UP = Callee(hangs_up_after=1.0)
LATE = 4.0


def test_news_lost_doubled_reordered_and_late_all_at_once(tmp_path: Path, database_url: str) -> None:
    nodes = 1 if database_url.startswith("sqlite") else 2
    with World(tmp_path / "world", database_url, people=40, nodes=nodes) as world:
        telephone = world.sandbox.telephone
        mishaps = [
            Rule("callback", "never", chance=0.3), Rule("callback", "twice", chance=0.3),
            Rule("callback", "shuffled", chance=0.4, seconds=2.0), Rule("callback", "late", chance=0.4, seconds=LATE),
        ]  # fmt: skip
        telephone.exchange.faults.set(*mishaps)
        world.add_wave()
        for place in range(nodes):
            world.start(place)
        expect_a_good_end(world)
        time.sleep(LATE)
        expect_a_good_end(world)
        assert all(rule.times < 1_000_000_000 - 5 for rule in mishaps)
        assert telephone.requests["GET /Calls/{Sid}.json"] > 0, "nobody was asked about what was lost"


def test_an_answer_that_comes_days_late_corrects_what_stands_in_the_crm(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url) as world:
        world.sandbox.telephone.callees.told |= {ANNA: HANGS_UP, BORIS: HANGS_UP}
        world.add_wave(people())
        node = world.start()
        before = expect_a_good_end(world)
        assert (before.calls, before.records, before.notes) == (6, 6, 2)
        node.kill()
        world.start()

        late_answer(world, calls_to(world, ANNA)[2], key="1")
        late_answer(world, calls_to(world, BORIS)[2], key="9")
        assert world.wait_until(lambda: "«продлить»" in "".join(titles(world, 1))), titles(world, 1)
        after = expect_a_good_end(world)
        assert (after.calls, after.records, after.notes) == (6, 6, 2)
        assert sum("«продлить»" in title for title in titles(world, 1)) == 1
        assert "ответ «продлить»" in note(world, 1)
        assert "просят больше не звонить" in note(world, 2)
        forbidden = sa.select(do_not_call.c.number)
        assert world.database.read(lambda c: c.execute(forbidden).scalars().all()) == [BORIS]


def test_an_answer_that_comes_late_cancels_the_next_try(tmp_path: Path, database_url: str) -> None:
    with World(tmp_path / "world", database_url) as world:
        world.sandbox.telephone.callees.told |= {ANNA: HANGS_UP, BORIS: HANGS_UP}
        world.add_wave(people(), campaign=CAMPAIGN.replace("hung_up: 1 second", "hung_up: 1 hour"))
        world.start()
        assert world.wait_until(lambda: planned_again(world) == 2)
        late_answer(world, calls_to(world, ANNA)[0], key="1")
        boris_waits = {"attempts planned": 1, "targets open": 1}
        assert world.wait_until(lambda: world.left() == boris_waits), (world.left(), world.log()[-3000:])
        assert not judge(world).complaints
        assert (len(calls_to(world, ANNA)), len(calls_to(world, BORIS))) == (1, 1)
        became = sa.select(targets.c.state, targets.c.reason).order_by(targets.c.card_id)
        assert world.database.read(lambda c: c.execute(became).first()) == ("done", "reached")


def people() -> list[Person]:
    end = datetime.now(ZoneInfo("Europe/Moscow")).date() + timedelta(days=14)
    return [
        Person(id, name, "Иванов", [(number, "MOBILE")], end, 1)
        for id, name, number in ((1, "Анна", ANNA), (2, "Борис", BORIS))
    ]


def late_answer(world: World, call: Call, *, key: str) -> None:
    """The page is asked for once more, and the key pressed: both signed by the telephone company."""
    fields = dict(call._fields())
    page = post(world, str(call.asked["Url"]), fields)
    gather = ElementTree.fromstring(page).find(".//Gather")
    assert gather is not None, page
    post(world, gather.attrib["action"], {**fields, "Digits": key})
    call.acknowledged.append(key)


def post(world: World, url: str, fields: Mapping[str, str]) -> bytes:
    address = url.partition("#")[0]
    token = world.sandbox.telephone.exchange.auth_token
    request = urllib.request.Request(address, urlencode(fields).encode())
    request.add_header("X-Twilio-Signature", sign(token, address, fields))
    body: bytes = b""

    def answered() -> bool:
        nonlocal body
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                body = answer.read()
        except OSError:
            return False  # the node is not up yet
        return True

    assert world.wait_until(answered)
    return body


def calls_to(world: World, number: str) -> list[Call]:
    calls = [call for call in world.sandbox.telephone.calls.values() if call.to == number]
    return sorted(calls, key=lambda call: call.created)


def planned_again(world: World) -> int:
    planned = sa.select(sa.func.count()).where(attempts.c.phase == "planned")
    try:
        second = planned.where(attempts.c.target_id.in_(sa.select(attempts.c.target_id).where(attempts.c.counts)))
        return int(world.database.read(lambda c: c.execute(second).scalar_one()))
    except sa.exc.DBAPIError:
        return 0  # there are no tables yet


def titles(world: World, contact: int) -> list[str]:
    """A note has none."""
    return [entry["subject"] for entry in world.sandbox.portal.timeline("contact", contact)]


def note(world: World, contact: int) -> str:
    [text] = [one["text"] for one in world.sandbox.portal.timeline("contact", contact) if one["kind"] == "note"]
    return str(text)
