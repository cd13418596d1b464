"""Which of our numbers a person sees: by country, by beginning, and always the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.call import Hangup
from dialer.caller_ids import choose, pool
from dialer.phone_number import region_of
from tests.campaign.folder import changed, read, told
from tests.stages.scene import DAY, HOUR, NOON, SECOND, Scene

USUAL = "+74950000000"
TABLE = {
    "KZ": ("+77270000000",),
    "+7812": ("+78120000001", "+78120000002"),
    "+781": ("+78120000003",),
}
ours = st.lists(st.sampled_from([f"+7812000{n:04d}" for n in range(9)]), min_size=1, unique=True)
theirs = st.integers(0, 9_999_999).map(lambda n: f"+7812{n:07d}")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+77012345678", TABLE["KZ"]),
        ("+78121234567", TABLE["+7812"]),
        ("+78142123456", TABLE["+781"]),
        ("+79161234567", (USUAL,)),
        ("+34612345678", (USUAL,)),
    ],
)
def test_the_longest_beginning_counts_and_then_the_country(number: str, shown: tuple[str, ...]) -> None:
    assert pool(TABLE, USUAL, number) == shown
    assert pool({}, USUAL, number) == (USUAL,)


def test_russia_and_kazakhstan_share_a_code_and_are_two_countries() -> None:
    assert (region_of("+77012345678"), region_of("+79161234567"), region_of("+8812345678")) == ("KZ", "RU", "")


@given(ours, theirs, st.data())
def test_the_same_person_sees_the_same_number_however_the_list_is_written(
    shown: list[str], number: str, data: st.DataObject
) -> None:
    first = choose(shown, number)
    assert first in shown
    assert choose(data.draw(st.permutations(shown)), number) == first
    gone = data.draw(st.sampled_from(shown))
    if gone != first:
        assert choose([one for one in shown if one != gone], number) == first, "another was given up"
    assert choose([*shown, "+78129999999"], number, [first]) == first, "seen before"


def test_several_numbers_share_the_people() -> None:
    shown = [f"+7812000000{n}" for n in range(4)]
    shares = Counter(choose(shown, f"+7916{n:07d}") for n in range(4_000))
    assert all(850 <= share <= 1150 for share in shares.values()), shares


TWO = '{"+7916": [+78120000001, +78120000002]}'
THREE = '{"+7916": [+78120000003, +78120000001, +78120000002]}'


def ring(scene: Scene, target: int, *, day: int) -> str:
    now = NOON + day * DAY
    scene.plan(now)
    [claim] = scene.claim(now)
    scene.end(claim.attempt, hangup=Hangup.no_answer, ended_at=now + SECOND, now=now + SECOND)
    assert scene.attempt(claim.attempt).caller_id == claim.caller_id
    return claim.caller_id


def test_the_next_try_shows_what_the_last_one_has_shown_though_a_number_was_added(scene: Scene) -> None:
    scene.campaign(caller_ids=TWO, attempts="{at_most: 9, wait: {no_answer: 3 hours}}")
    target = scene.target()
    first = ring(scene, target, day=0)
    scene.campaign(caller_ids=THREE, attempts="{at_most: 9, wait: {no_answer: 3 hours}}", now=NOON + HOUR)
    assert {ring(scene, target, day=day) for day in (1, 2)} == {first}
    kept = ({"+78120000001", "+78120000002"} - {first}).pop()
    scene.campaign(caller_ids=f'{{"+7916": [{kept}]}}', now=NOON + 2 * DAY + HOUR)


def test_what_another_campaign_has_shown_is_shown_again(scene: Scene) -> None:
    often = "{per_person: {1 day: 9, 7 days: 9, 30 days: 9}}"
    scene.campaign(caller_ids=TWO, limits=often)
    scene.campaign("other", caller_ids=THREE, limits=often)
    numbers = [scene.a_number() for _ in range(20)]
    for place, number in enumerate(numbers):
        scene.planned(number, card_id=place)
    claims = scene.claim(most=100, lines=100, horizon=HOUR)
    seen = {claim.number: claim.caller_id for claim in claims}
    for claim in claims:
        scene.end(claim.attempt, hangup=Hangup.busy)
    for place, number in enumerate(numbers):
        scene.planned(number, card_id=place, campaign="other")
    later = NOON + 2 * HOUR
    again = {claim.number: claim.caller_id for claim in scene.claim(later, most=100, lines=100, horizon=HOUR)}
    assert len(seen) == 20
    assert again == seen
    assert len(set(seen.values())) == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("caller_ids: {KZ: +77272345678}", "caller_ids.KZ: numbers of KZ are not rung; write `countries: [KZ]`"),
        ("caller_ids: {'+34': +34912345678}", "caller_ids.+34: no number that begins so is rung (countries: RU)"),
        ("caller_ids: {Moscow: +74951234567}", "caller_ids.Moscow: 'Moscow' is neither a country nor the beginning"),
        ("caller_ids: {RU: [+74951234567, +74951234567]}", "caller_ids.RU.1: stands there twice"),
        ("caller_ids: {RU: [+74951234567, 84951234567]}", "caller_ids.RU.1: '84951234567' is not a number in internat"),
        ("caller_ids: {RU: [+74951234567, +70000000000]}", "caller_ids.RU.1: is not a number that exists"),
        ("caller_ids: {RU: []}", "caller_ids.RU: must be 1 to 100 numbers"),
        ("caller_ids: [+74951234567]", "caller_ids: must hold countries or beginnings and your numbers"),
        ("caller_ids: {'+7 812': +78121234567, '+7812': +78121234567}", "caller_ids.+7812: stands there twice"),
        ("caller_ids: {RU: +74950000001}", "script.keys.2.connect: is the caller_id itself"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(tmp_path: Path, line: str, says: str) -> None:
    lines = told(read(tmp_path, changed("# voice:", line)))
    assert len(lines) == 1, lines
    assert says in lines[0]
    if "rung" in says:
        assert f":{len('caller_ids: {') + 1}: " in lines[0]  # at the key
