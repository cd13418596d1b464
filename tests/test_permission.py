"""May we ring this number now: every rule, every reason, and the property that a promised moment is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.calling_window import choose_zones, known_zone, next_opening, zone_named
from dialer.campaign.campaign import Campaign
from dialer.day_parts import fresh_parts, part_of
from dialer.permission import Facts, Verdict, ask_permission, each_rule, zones_of
from dialer.phone_number import read_all

MOSCOW = ZoneInfo("Europe/Moscow")
TUESDAY = datetime(2026, 11, 24, 12, 0, tzinfo=MOSCOW)
NUMBER = "+74951234567"
EVERY_DAY = {"mon-sun": "10:00-19:00"}


def campaign(**said: Any) -> Campaign:
    values: Mapping[str, Any] = {
        "campaign": "renewal", "purpose": "service", "audience": {"card": "contact", "contract_end": "End"},
        "call_days_before": ["30"], "time_zone": "Europe/Moscow", "window": EVERY_DAY, "caller_id": "+74950000000",
        "template": "renewal.ru.j2", "script": "none",
    }  # fmt: skip
    return Campaign.model_validate({**values, **said})


def facts(**said: Any) -> Facts:
    known: dict[str, Any] = {
        "number": NUMBER, "zones": ("Europe/Moscow",), "zone": None, "contract_end": date(2026, 12, 24),
    }  # fmt: skip
    return Facts(**{**known, **said})


def rung(times: int) -> tuple[datetime, ...]:
    return tuple(TUESDAY - timedelta(days=9 * n) for n in range(1, times + 1))


def moscow(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=MOSCOW)


def at(verdict: Verdict) -> datetime:
    assert verdict.at is not None, verdict
    return verdict.at


def test_yes_now_needs_no_reason() -> None:
    verdict = ask_permission(campaign(), facts(), TUESDAY)
    assert verdict == Verdict(TUESDAY, moscow(2026, 11, 24, 19), ())
    assert verdict.is_now(TUESDAY)


def test_a_number_that_must_not_be_called_never_is() -> None:
    verdict = ask_permission(campaign(), facts(do_not_call="asked not to be called"), TUESDAY)
    assert (verdict.at, verdict.reasons) == (None, ("do not call: asked not to be called",))


def test_in_a_rehearsal_every_other_number_is_refused() -> None:
    assert ask_permission(campaign(), facts(only=(NUMBER,)), TUESDAY).at == TUESDAY
    verdict = ask_permission(campaign(), facts(only=("+74951234568",)), TUESDAY)
    assert (verdict.at, verdict.reasons) == (None, ("rehearsal: the number is not in DIALER_ONLY_NUMBERS",))


def test_at_most_as_many_dials_as_the_campaign_says() -> None:
    of_two = campaign(attempts={"at_most": "2"})
    assert ask_permission(of_two, facts(tried=rung(1)), TUESDAY).at == TUESDAY
    verdict = ask_permission(of_two, facts(tried=rung(2)), TUESDAY)
    assert (verdict.at, verdict.reasons) == (None, ("rung 2 of at most 2 times",))


def test_the_contracts_last_day_still_counts_and_no_later_one() -> None:
    last = facts(contract_end=date(2026, 11, 24))
    assert ask_permission(campaign(), last, moscow(2026, 11, 24, 18, 59)).at == moscow(2026, 11, 24, 18, 59)
    for late in (moscow(2026, 11, 24, 19), moscow(2026, 11, 25, 11)):
        verdict = ask_permission(campaign(), last, late)
        assert verdict.at is None
        assert verdict.reasons[-1] == "the contract's last day is 2026-11-24"


def test_the_contracts_last_day_is_the_persons_own() -> None:
    there = facts(zone="Владивосток", contract_end=date(2026, 11, 24))
    assert ask_permission(campaign(), there, moscow(2026, 11, 24, 4)).at == moscow(2026, 11, 24, 4)
    assert ask_permission(campaign(), there, moscow(2026, 11, 24, 20)).at is None, "there it is Wednesday already"


def test_the_campaign_begins_and_ends_on_its_days() -> None:
    short = campaign(starts="2026-12-01", ends="2026-12-02")
    verdict = ask_permission(short, facts(), TUESDAY)
    assert at(verdict) == moscow(2026, 12, 1, 10)
    assert "the campaign starts on 2026-12-01" in verdict.reasons
    for within in (moscow(2026, 12, 1, 15), moscow(2026, 12, 2, 18)):
        assert ask_permission(short, facts(), within) == Verdict(within, within.replace(hour=19, minute=0), ())
    over = ask_permission(short, facts(), moscow(2026, 12, 2, 19))
    assert (over.at, over.reasons[-1]) == (None, "the campaign ends on 2026-12-02")


def test_between_two_tries_lies_the_least_gap_by_the_clock() -> None:
    patient = campaign(attempts={"least_gap": "2 hours"}, limits={"per_person": {"1 day": "9"}})
    tried = facts(tried=(TUESDAY - timedelta(days=3), TUESDAY))
    verdict = ask_permission(patient, tried, TUESDAY + timedelta(minutes=30))
    assert verdict.at == TUESDAY + timedelta(hours=2)
    assert verdict.reasons == ("at least 2 hours between two tries",)
    assert ask_permission(patient, tried, TUESDAY + timedelta(hours=2)).reasons == ()
    assert ask_permission(patient, facts(), TUESDAY).reasons == ()


def test_a_gap_that_ends_in_the_night_waits_for_the_window() -> None:
    patient = campaign(attempts={"least_gap": "10 hours"}, limits={"per_person": {"1 day": "9"}})
    verdict = ask_permission(patient, facts(tried=(TUESDAY,)), TUESDAY)
    assert at(verdict) == moscow(2026, 11, 25, 10)
    assert verdict.reasons == (
        "at least 10 hours between two tries",
        "the calling window opens 2026-11-25 07:00 UTC",
    )


@pytest.mark.parametrize("change", [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)])
def test_a_gap_over_the_hour_at_which_clocks_change_is_as_long_as_any(change: datetime) -> None:
    nightly = campaign(
        attempts={"least_gap": "3 hours"}, limits={"per_person": {"1 day": "9"}}, window={"mon-sun": "00:00-24:00"},
    )  # fmt: skip
    rung_at = change - timedelta(hours=1)
    there = facts(zone="Europe/Madrid", tried=(rung_at,))
    assert ask_permission(nightly, there, change).at == rung_at + timedelta(hours=3)


def test_a_touch_is_not_rung_when_it_is_not_useful_any_more() -> None:
    """The touch of 30 days before 24 December has its day on 24 November."""
    soon = campaign(not_useful_after="5 days")
    there = facts(touch=30)
    last = moscow(2026, 11, 29, 18, 59)
    assert ask_permission(soon, there, last).at == last
    for late in (moscow(2026, 11, 29, 19), moscow(2026, 11, 30, 11)):
        verdict = ask_permission(soon, there, late)
        assert verdict.at is None
        assert verdict.reasons[-1] == "its day was 2026-11-24, and a call is not useful 5 days later"
    assert ask_permission(soon, facts(touch=None), moscow(2026, 12, 10, 11)).reasons == (), "a test call"
    assert ask_permission(campaign(not_useful_after="0 days"), there, TUESDAY).at == TUESDAY


def test_a_day_in_the_person_s_own_calendar_holds_one_call() -> None:
    there = facts(zone="Asia/Vladivostok", dialed_at=(moscow(2026, 11, 24, 3),))
    verdict = ask_permission(campaign(), there, moscow(2026, 11, 24, 6))
    assert at(verdict) == datetime(2026, 11, 25, 10, tzinfo=ZoneInfo("Asia/Vladivostok"))
    assert verdict.reasons[0] == "at most 1 call a person a day"


def test_three_calls_in_seven_days_are_the_most() -> None:
    dialed = tuple(moscow(2026, 11, day, 15) for day in (18, 20, 22))
    assert at(ask_permission(campaign(), facts(dialed_at=dialed), moscow(2026, 11, 24, 12))) == moscow(2026, 11, 25, 10)
    assert ask_permission(campaign(), facts(dialed_at=dialed), moscow(2026, 11, 25, 12)).reasons == ()
    assert ask_permission(campaign(), facts(dialed_at=dialed[:2]), TUESDAY).at == TUESDAY


def test_six_calls_in_thirty_days_are_the_most() -> None:
    dialed = tuple(moscow(2026, 11, day, 15) for day in (1, 4, 8, 11, 15, 18))
    verdict = ask_permission(campaign(), facts(dialed_at=dialed), TUESDAY)
    assert at(verdict) == moscow(2026, 12, 1, 10)
    assert verdict.reasons[0] == "at most 6 calls a person in 30 days"


def test_caps_that_the_file_does_not_name_stay() -> None:
    loose = campaign(limits={"per_person": {"1 day": "2"}})
    assert dict(loose.caps) == {1: 2, 7: 3, 30: 6}
    assert ask_permission(loose, facts(dialed_at=(TUESDAY,)), TUESDAY).at == TUESDAY
    assert at(ask_permission(loose, facts(dialed_at=(TUESDAY,) * 2), TUESDAY)) == moscow(2026, 11, 25, 10)


def test_every_cap_that_is_full_is_named() -> None:
    dialed = tuple(moscow(2026, 11, day, 11) for day in (22, 23, 24))
    reasons = ask_permission(campaign(), facts(dialed_at=dialed), TUESDAY).reasons
    assert reasons[:2] == ("at most 1 call a person a day", "at most 3 calls a person in 7 days")


def test_every_reason_against_is_named_not_the_first() -> None:
    over = campaign(attempts={"at_most": "1"}, ends="2026-11-01")
    everything = facts(do_not_call="asked", only=("+74951234568",), tried=rung(1), contract_end=date(2026, 11, 2))
    assert ask_permission(over, everything, TUESDAY).reasons == (
        "do not call: asked",
        "rehearsal: the number is not in DIALER_ONLY_NUMBERS",
        "rung 1 of at most 1 time",
        "the contract's last day is 2026-11-02",
        "the campaign ends on 2026-11-01",
    )


def test_outside_the_window_the_next_opening_is_named() -> None:
    verdict = ask_permission(campaign(), facts(), moscow(2026, 11, 24, 20))
    assert at(verdict) == moscow(2026, 11, 25, 10)
    assert verdict.reasons == ("the calling window opens 2026-11-25 07:00 UTC",)


def test_a_lunch_break_a_closed_day_and_a_holiday_are_waited_for() -> None:
    hours = campaign(window={"mon-fri": "10:00-13:00, 14:00-19:00", "closed": ["2026-11-25"], "holidays": "RU"})
    far = facts(contract_end=date(2027, 2, 1))
    assert at(ask_permission(hours, far, moscow(2026, 11, 24, 13, 30))) == moscow(2026, 11, 24, 14)
    assert at(ask_permission(hours, far, moscow(2026, 11, 24, 19))) == moscow(2026, 11, 26, 10)
    assert at(ask_permission(hours, far, moscow(2026, 12, 31, 19))) == moscow(2027, 1, 11, 10)


def test_the_field_s_zone_beats_the_numbers() -> None:
    early = moscow(2026, 11, 24, 5)
    assert ask_permission(campaign(), facts(zone="г. Владивосток"), early).at == early
    assert at(ask_permission(campaign(), facts(), early)) == moscow(2026, 11, 24, 10)


def test_a_field_that_names_no_place_leaves_it_to_the_number() -> None:
    assert ask_permission(campaign(), facts(zone="где-то"), TUESDAY) == ask_permission(campaign(), facts(), TUESDAY)


@pytest.mark.parametrize(
    ("policy", "opens", "closes"),
    [
        ("campaign", moscow(2026, 11, 25, 10), moscow(2026, 11, 25, 19)),
        ("intersection", moscow(2026, 11, 25, 10), moscow(2026, 11, 25, 11)),
        ("skip", None, None),
    ],
)
def test_where_the_zone_is_unclear_the_campaign_says_what_to_do(
    policy: str, opens: datetime | None, closes: datetime | None
) -> None:
    """A Russian mobile may be in Kaliningrad or on Kamchatka: 9 to 20 is open in both for one hour."""
    zones = read_all("+79161234567", region="RU")[0].zones
    wide = campaign(zone_unclear=policy, window={"mon-sun": "09:00-20:00"})
    verdict = ask_permission(wide, facts(zones=zones), moscow(2026, 11, 24, 20))
    assert (verdict.at, verdict.closes, verdict.zone_unclear) == (opens, closes, True)
    assert policy != "skip" or verdict.reasons == ("zone unclear, and the campaign skips such people",)


def test_two_zones_that_share_hours_are_rung_when_it_is_open_in_both() -> None:
    verdict = ask_permission(campaign(), facts(zones=("Europe/Moscow", "Europe/Samara")), moscow(2026, 11, 24, 18, 30))
    assert (at(verdict), verdict.zone_unclear) == (moscow(2026, 11, 25, 10), False)
    assert verdict.closes == moscow(2026, 11, 25, 18)


def test_two_hours_together_are_enough_and_a_minute_less_is_not() -> None:
    two = facts(zones=("Europe/Moscow", "Asia/Yekaterinburg"))
    enough = ask_permission(campaign(window={"mon-sun": "10:00-14:00"}), two, TUESDAY)
    assert (enough.zone_unclear, enough.at) == (False, moscow(2026, 11, 25, 10))
    less = ask_permission(campaign(window={"mon-sun": "10:00-13:59"}), two, TUESDAY)
    assert (less.zone_unclear, less.at) == (True, TUESDAY)


def test_whether_zones_share_hours_is_asked_for_the_day_of_the_call() -> None:
    """Madrid is two hours behind Moscow in winter and one in summer."""
    two = facts(zones=("Europe/Moscow", "Europe/Madrid"), contract_end=date(2027, 6, 1))
    window = {"mon-sun": "10:00-13:30"}
    winter = ask_permission(campaign(window=window), two, moscow(2027, 3, 1, 8))
    assert (winter.zone_unclear, winter.at) == (True, moscow(2027, 3, 1, 11))
    summer = ask_permission(campaign(window=window, starts="2027-05-03"), two, moscow(2027, 3, 1, 8))
    assert (summer.zone_unclear, summer.at) == (False, moscow(2027, 5, 3, 11))


def test_a_week_of_holidays_makes_no_zone_unclear() -> None:
    over_new_year = campaign(window={**EVERY_DAY, "holidays": "RU"}, zone_unclear="skip")
    two = facts(zones=("Europe/Moscow", "Europe/Samara"), contract_end=date(2027, 2, 1))
    verdict = ask_permission(over_new_year, two, moscow(2026, 12, 31, 20))
    assert (at(verdict), verdict.zone_unclear) == (moscow(2027, 1, 9, 10), False)


def test_midnights_that_the_clock_leaves_out_belong_to_the_day_after() -> None:
    """In Beirut 28 March 2027 begins at 01:00: at 23:59 it is still the 27th, on which one call was made."""
    beirut = ZoneInfo("Asia/Beirut")
    night = campaign(window={"mon-sun": "00:00-24:00"})
    rung = facts(zone="Asia/Beirut", dialed_at=(datetime(2027, 3, 27, 12, tzinfo=beirut),),
                 contract_end=date(2027, 6, 1))  # fmt: skip
    moment = at(ask_permission(night, rung, datetime(2027, 3, 27, 13, tzinfo=beirut)))
    assert moment.astimezone(beirut).date() == date(2027, 3, 28)


ZONES = ("Europe/Moscow", "Asia/Vladivostok", "America/New_York", "Asia/Beirut", "America/Santiago", "Europe/Madrid")
HOURS = ("10:00-19:00", "09:00-13:00, 14:00-20:00", "00:00-24:00", "23:00-24:00", "00:00-02:30", "02:15-02:45")
START = datetime(2026, 1, 1, tzinfo=UTC)
minutes = st.integers(0, 500 * 1440).map(lambda n: START + timedelta(minutes=n))


@st.composite
def questions(draw: st.DrawFn) -> tuple[Campaign, Facts, datetime]:
    now = draw(minutes)
    day = now.date()
    window: dict[str, Any] = {draw(st.sampled_from(["mon-fri", "mon-sun", "sat", "tue,thu"])): draw(
        st.sampled_from(HOURS))}  # fmt: skip
    window["holidays"] = draw(st.sampled_from(["none", "RU", "ES-MD"]))
    window["closed"] = [str(day + timedelta(days=n)) for n in draw(st.sets(st.integers(0, 9), max_size=3))] or [
        "2020-01-01"
    ]
    said = campaign(
        window=window,
        time_zone=draw(st.sampled_from(ZONES)),
        zone_unclear=draw(st.sampled_from(["skip", "campaign", "intersection"])),
        limits={"per_person": {"1 day": str(draw(st.integers(1, 2))), "7 days": str(draw(st.integers(1, 4)))}},
        attempts={
            "at_most": "6",
            "least_gap": draw(st.sampled_from(["1 second", "2 hours", "31 hours", "20 days"])),
            "spread": draw(st.sampled_from(["yes", "no"])),
        },
        not_useful_after=draw(st.sampled_from(["0 days", "5 days", "30 days"])),
        **({"starts": str(day + timedelta(days=draw(st.integers(-5, 5))))} if draw(st.booleans()) else {}),
        **({"ends": str(day + timedelta(days=draw(st.integers(6, 30))))} if draw(st.booleans()) else {}),
    )
    known = facts(
        zones=tuple(draw(st.lists(st.sampled_from(ZONES), max_size=3, unique=True))),
        zone=draw(st.sampled_from([None, "Asia/Vladivostok", "Asia/Beirut", "мск+7", "?"])),
        contract_end=day + timedelta(days=draw(st.integers(-1, 40))),
        touch=draw(st.sampled_from([None, 0, 3, 14, 30])),
        tried=tuple(now - timedelta(minutes=n) for n in draw(st.lists(st.integers(0, 9 * 1440), max_size=5))),
        dialed_at=tuple(now - timedelta(hours=n) for n in draw(st.lists(st.integers(0, 31 * 24), max_size=8))),
    )
    return said, known, now


@settings(max_examples=400, deadline=None)
@given(questions())
def test_what_was_promised_is_kept_when_it_is_asked_again(question: tuple[Campaign, Facts, datetime]) -> None:
    said, known, now = question
    verdict = ask_permission(said, known, now)
    if verdict.at is None:
        assert verdict.reasons
        return
    assert verdict.at >= now
    again = ask_permission(said, known, verdict.at)
    assert again.is_now(verdict.at), (verdict, again)
    assert again.closes is not None
    assert again.closes > verdict.at
    assert bool(verdict.reasons) == (verdict.at > now), "a delay has a reason, and a yes has none"


@settings(max_examples=400, deadline=None)
@given(questions(), st.floats(0, 1))
def test_no_moment_before_the_promised_one_is_permitted(
    question: tuple[Campaign, Facts, datetime], share: float
) -> None:
    said, known, now = question
    promised = ask_permission(said, known, now).at
    before = now + (promised - now) * share if promised is not None else now + timedelta(days=40) * share
    if promised is None or before < promised:
        assert not ask_permission(said, known, before).is_now(before)


@settings(max_examples=300, deadline=None)
@given(questions())
def test_a_permitted_moment_breaks_no_rule_counted_by_hand(question: tuple[Campaign, Facts, datetime]) -> None:
    said, known, now = question
    moment = ask_permission(said, known, now).at
    if moment is None:
        return
    zones = choose_zones(said.window, number_zones=known.zones, field=known.zone, campaign_zone=said.time_zone,
                         unclear=said.zone_unclear, day=moment.date())  # fmt: skip
    for zone in zones.all:
        local = moment.astimezone(ZoneInfo(zone))
        assert any(opens <= local.time() < closes for opens, closes in said.window.hours[local.weekday()])
        assert local.date() not in said.window.closed
    home = ZoneInfo(zones.home)
    today = moment.astimezone(home).date()
    assert (said.starts or today) <= today <= min(known.contract_end, said.ends or today)
    gap, useful = said.attempts.least_gap, said.not_useful_after
    assert all(moment - tried >= gap for tried in known.tried if gap is not None)
    assert said.attempts.spread is False or is_spread(said, known, moment)
    assert useful is None or known.touch is None or today <= known.contract_end - timedelta(known.touch) + useful
    for span, most in said.caps:
        ages = [(today - dialed.astimezone(home).date()).days for dialed in known.dialed_at]
        assert sum(0 <= age < span for age in ages) < most


def is_spread(said: Campaign, known: Facts, moment: datetime) -> bool:
    """In a part of the day with the fewest tries, or so late that none comes any more: every quarter of an hour."""
    zones = zones_of(said, known.zones, known.zone, moment)
    home = ZoneInfo(zones.home)
    parts = fresh_parts(zones, known.tried, moment.date())
    if not parts or part_of(moment, home) in parts:
        return True
    last = min(known.contract_end, said.ends or known.contract_end)
    if said.not_useful_after is not None and known.touch is not None:
        last = min(last, known.contract_end - timedelta(known.touch) + said.not_useful_after)
    later = (moment + timedelta(minutes=15 * n) for n in range(60 * 96))
    return not any(
        next_opening(zones, one).at == one and part_of(one, home) in parts
        for one in later
        if one.astimezone(home).date() <= last
    )


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("Europe/Moscow", "Europe/Moscow"), ("europe/moscow", "Europe/Moscow"), (" МОСКВА ", "Europe/Moscow"),
        ("г. Москва", "Europe/Moscow"), ("г.Казань", "Europe/Moscow"), ("Москва, Россия", "Europe/Moscow"),
        ("Россия, Омск", "Asia/Omsk"), ("Орёл", "Europe/Moscow"), ("орел", "Europe/Moscow"), ("мск", "Europe/Moscow"),
        ("МСК+2", "Etc/GMT-5"), ("МСК −1", "Etc/GMT-2"), ("UTC+3", "Etc/GMT-3"), ("GMT-5", "Etc/GMT+5"),
        ("(UTC+03:00) Москва", "Etc/GMT-3"), ("UTC+0", "UTC"), ("vladivostok", "Asia/Vladivostok"),
        ("New  York", "America/New_York"),
        ("UTC+15", None), ("UTC+5:30", None), ("Petersburg", None), ("Center", None), ("East", None),
        ("North", None), ("San Juan", None), ("localtime", None), ("Factory", None), ("", None), (",", None),
        ("Москва, Омск", None), ("где-то", None), ("x" * 10_000, None), ("\ud800", None),
    ],
)  # fmt: skip
def test_a_zone_is_named_by_itself_by_a_city_or_by_its_offset(text: str, zone: str | None) -> None:
    assert zone_named(text) == zone
    assert zone is None or known_zone(zone)


@settings(max_examples=300, deadline=None)
@given(questions())
def test_the_rules_one_by_one_agree_with_what_they_say_together(question: tuple[Campaign, Facts, datetime]) -> None:
    said, known, now = question
    against = [rule for rule in each_rule(said, known, now) if rule.why]
    verdict = ask_permission(said, known, now)
    assert verdict.is_now(now) == (against == [])
    if any(rule.at is None and rule.name != "window" for rule in against):
        assert verdict.at is None
    assert all(verdict.at is None or rule.at is None or rule.at <= verdict.at for rule in against)
