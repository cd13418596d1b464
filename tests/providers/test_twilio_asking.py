"""Look-ups, cancelling and what `doctor` asks, over real sockets: what cannot be told proves nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from dialer.call import AnsweredBy, Dialed, Hangup, Phase
from dialer.errors import ProviderUnavailable
from dialer.finding import Finding
from tests.peer import Answer, Peer, json_answer
from tests.providers.scene import (
    CALL,
    CALLER_ID,
    HTML,
    NOW,
    NUMBER,
    OTHER,
    SID,
    ask,
    call_resource,
    error,
    listed,
    twilio,
)


def test_a_look_up_of_a_completed_call_with_keys_says_that_keys_were_not_heard() -> None:
    with Peer(json_answer(200, json.dumps(call_resource()))) as peer:
        news = twilio(peer.url).look_up(ask(CALL))
    assert news is not None
    known = news.progress
    assert (known.phase, known.hangup, known.answered_by, known.keys_unheard) == (
        Phase.ended, Hangup.completed, AnsweredBy.human, True,
    )  # fmt: skip


def test_a_look_up_tells_when_it_was_answered_not_when_it_was_dialled() -> None:
    with Peer(json_answer(200, json.dumps(call_resource()))) as peer:
        news = twilio(peer.url).look_up(ask(CALL))
    assert news is not None
    assert news.progress.ended_at == datetime(2026, 11, 24, 9, 0, 45, tzinfo=UTC)
    assert news.progress.answered_at == news.progress.ended_at - timedelta(seconds=31)


def test_a_machine_that_was_hung_up_on_leaves_no_keys_unheard() -> None:
    with Peer(json_answer(200, json.dumps(call_resource(answered_by="machine_start")))) as peer:
        news = twilio(peer.url).look_up(ask(CALL))
    assert news is not None
    assert not news.progress.keys_unheard


QUEUED = {"status": "queued", "duration": None, "answered_by": None, "start_time": None, "end_time": None}


def test_a_queued_call_without_a_start_is_found_by_number_and_time() -> None:
    old = call_resource(sid=OTHER, date_created="Tue, 24 Nov 2026 08:00:01 +0000")
    with Peer(listed(call_resource(**QUEUED), old)) as peer:
        found = twilio(peer.url).look_up(ask())
    assert found is not None
    assert (found.call_id, found.progress.phase) == (CALL, Phase.dialing)
    request = peer.requests[0].decode()
    assert "To=%2B79161234567" in request
    assert "StartTime" not in request


@pytest.mark.parametrize(
    ("start", "queued", "dialed"),
    [
        (None, "9000", Dialed.no),
        (None, "0", Dialed.unknown),
        (None, None, Dialed.unknown),
        ("Tue, 24 Nov 2026 09:00:01 +0000", "9000", Dialed.yes),
    ],
)
def test_only_a_call_that_was_queued_and_has_no_start_was_never_dialled(
    start: str | None, queued: str | None, dialed: Dialed
) -> None:
    resource = call_resource(status="canceled", duration=None, start_time=start, queue_time=queued)
    with Peer(json_answer(200, json.dumps(resource))) as peer:
        found = twilio(peer.url).look_up(ask(CALL))
    assert found is not None
    assert (found.progress.hangup, found.progress.dialed) == (Hangup.cancelled, dialed)


@pytest.mark.parametrize(
    "other",
    [
        {"date_created": "Tue, 24 Nov 2026 08:58:59 +0000"},
        {"date_created": "Tue, 24 Nov 2026 09:01:01 +0000"},
        {"from": "+74950000000"},
        {"to": "+79160000000"},
        {"direction": "inbound"},
        {"direction": "outbound-dial"},
    ],
)
def test_a_call_of_another_time_caller_or_direction_is_not_ours(other: dict[str, str]) -> None:
    with Peer(listed(call_resource(**other))) as peer:
        assert twilio(peer.url).look_up(ask()) is None


def test_a_call_that_belongs_to_another_attempt_is_not_taken() -> None:
    with Peer(listed(call_resource(), call_resource(sid=OTHER))) as peer:
        found = twilio(peer.url).look_up(ask(known=lambda call_id: call_id == CALL))
        assert found is not None
        assert found.call_id == OTHER
        assert twilio(peer.url).look_up(ask(known=lambda call_id: True)) is None


@pytest.mark.parametrize("other", ["Tue, 24 Nov 2026 08:59:20 +0000", "Tue, 24 Nov 2026 09:00:09 +0000"])
def test_of_two_calls_that_may_be_ours_the_one_nearest_to_the_sending_is(other: str) -> None:
    with Peer(listed(call_resource(sid=OTHER, date_created=other), call_resource())) as peer:
        found = twilio(peer.url).look_up(ask())
    assert found is not None
    assert found.call_id == CALL


def test_a_call_on_the_next_page_is_found_by_the_address_that_the_page_gives() -> None:
    following = f"/2010-04-01/Accounts/{SID}/Calls.json?Page=1&PageToken=PA1"
    stranger = call_resource(sid=OTHER, direction="inbound")
    with Peer(listed(stranger, following=following), listed(call_resource())) as peer:
        found = twilio(peer.url).look_up(ask())
    assert found is not None
    assert found.call_id == CALL
    assert b"PageToken=PA1" in peer.requests[1]


def test_a_list_without_end_proves_nothing() -> None:
    following = f"/2010-04-01/Accounts/{SID}/Calls.json?Page=1"
    with Peer(listed(call_resource(direction="inbound"), following=following)) as peer:
        with pytest.raises(ProviderUnavailable):
            twilio(peer.url).look_up(ask())
    assert len(peer.requests) < 30


def test_an_empty_list_means_that_nobody_was_rung() -> None:
    with Peer(listed()) as peer:
        assert twilio(peer.url).look_up(ask()) is None


@pytest.mark.parametrize(
    "answer",
    [
        None,
        HTML % 500,
        HTML % 200,
        HTML % 404,
        error(503, 20503),
        error(401, 20003),
        error(429, 20429),
        error(404, None),
        error(500, 20404),
        json_answer(200, "{"),
        json_answer(200, "{}"),
        json_answer(200, "[]"),
        json_answer(200, "null"),
        json_answer(200, '"no"'),
        json_answer(200, "[" * 100_000),
        json_answer(200, '{"message": ""}'),
        json_answer(200, '{"errors": []}'),
        json_answer(200, '{"calls": {}}'),
        json_answer(200, '{"calls": null}'),
        json_answer(200, '{"calls": ["x"]}'),
        json_answer(302, "{}"),
        json_answer(200, json.dumps({"sid": OTHER, "status": "completed"})),
        b"HTTP/1.1 200 X\r\nContent-Length: 50\r\n\r\n{",
    ],
)
@pytest.mark.parametrize("call_id", [CALL, None])
def test_a_look_up_that_fails_proves_nothing(answer: Answer, call_id: str | None) -> None:
    with Peer(answer) as peer, pytest.raises(ProviderUnavailable):
        twilio(peer.url).look_up(ask(call_id))


def test_a_list_that_is_not_there_does_not_mean_that_nobody_was_rung() -> None:
    with Peer(error(404, 20404)) as peer:
        assert twilio(peer.url).look_up(ask(CALL)) is None
        with pytest.raises(ProviderUnavailable):
            twilio(peer.url).look_up(ask())


def test_an_unknown_word_proves_nothing_and_is_kept() -> None:
    strange = call_resource(status="levitating", duration=None, answered_by="martian")
    with Peer(json_answer(200, json.dumps(strange))) as peer:
        news = twilio(peer.url).look_up(ask(CALL))
    assert news is not None
    assert (news.progress.phase, news.progress.hangup) == (Phase.planned, None)
    assert "levitating" in news.unknown
    assert "martian" in news.unknown


def test_the_same_look_up_twice_is_the_same_news() -> None:
    with Peer(json_answer(200, json.dumps(call_resource()))) as peer:
        one, two = (twilio(peer.url).look_up(ask(CALL)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(("talking_too", "status"), [(True, b"Status=completed"), (False, b"Status=canceled")])
def test_a_conversation_is_ended_only_when_it_is_asked_for(talking_too: bool, status: bytes) -> None:
    with Peer(json_answer(200, json.dumps(call_resource()))) as peer:
        twilio(peer.url).cancel(CALL, talking_too=talking_too)
    assert peer.requests[0].endswith(status)
    assert f"/Calls/{CALL}.json".encode() in peer.requests[0]


@pytest.mark.parametrize("answer", [error(400, 21220), error(404, 20404)])
def test_what_has_ended_already_needs_no_cancelling(answer: bytes) -> None:
    with Peer(answer) as peer:
        twilio(peer.url).cancel(CALL, talking_too=False)
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "answer", [None, error(503, 20503), error(429, 20429), HTML % 404, HTML % 200, error(401, 20003)]
)
def test_a_cancelling_that_is_not_confirmed_is_not_done(answer: Answer) -> None:
    with Peer(answer) as peer, pytest.raises(ProviderUnavailable):
        twilio(peer.url).cancel(CALL, talking_too=True)
    assert len(peer.requests) == 1


def test_what_is_said_of_a_failed_look_up_holds_no_number() -> None:
    for answer in (HTML % 500, error(500, 20500, f"no {NUMBER}"), None):
        with Peer(answer) as peer:
            for call_id in (CALL, None):
                with pytest.raises(ProviderUnavailable) as raised:
                    twilio(peer.url).look_up(ask(call_id))
                assert NUMBER[1:] not in str(raised.value)
                assert "\n" not in str(raised.value)


def numbers(name: str, *found: str) -> bytes:
    return json_answer(200, json.dumps({name: [{"phone_number": one} for one in found], "next_page_uri": None}))


def account(status: str, *, date: str = "") -> bytes:
    answer = json_answer(200, json.dumps({"sid": SID, "status": status}))
    return answer.replace(b"\r\n", f"\r\nDate: {date}\r\n".encode(), 1) if date else answer


BALANCE = json_answer(200, json.dumps({"account_sid": SID, "balance": "25.00", "currency": "EUR"}))
ALLOWED = json_answer(200, json.dumps({"iso_code": "RU", "low_risk_numbers_enabled": True}))


def findings(*answers: Answer, caller_ids: set[str], regions: set[str] = frozenset()) -> list[Finding]:
    with Peer(*answers) as peer:
        return list(twilio(peer.url).findings(caller_ids, set(regions), lambda: NOW))


def test_doctor_sees_the_account_its_money_each_caller_id_and_each_country() -> None:
    verified = "+74950000000"
    found = findings(
        account("active"), BALANCE, numbers("incoming_phone_numbers", CALLER_ID),
        numbers("outgoing_caller_ids", verified), ALLOWED,
        caller_ids={CALLER_ID, verified, NUMBER}, regions={"RU"},
    )  # fmt: skip
    assert {one.subject: one.good for one in found} == {
        "Twilio account": True, "Twilio balance": True, f"caller ID {CALLER_ID}": True, f"caller ID {verified}": True,
        f"caller ID {NUMBER}": False, "calls to RU": True,
    }  # fmt: skip
    assert all(one.good or one.remedy for one in found)
    assert next(one.text for one in found if one.subject == "Twilio balance") == "25.00 EUR"


@pytest.mark.parametrize(
    ("date", "level"),
    [
        ("Tue, 24 Nov 2026 09:00:00 GMT", "ok"),
        ("Tue, 24 Nov 2026 09:00:10 GMT", "warning"),
        ("Tue, 24 Nov 2026 08:50:00 GMT", "wrong"),
        ("soon", None),
    ],
)
def test_doctor_compares_this_clock_with_twilios(date: str, level: str | None) -> None:
    found = {one.subject: one.level for one in findings(account("active", date=date), HTML % 502, caller_ids=set())}
    assert found.get("Twilio clock") == level


@pytest.mark.parametrize(
    "answer", [account("suspended"), account("closed"), error(401, 20003), error(404, 20404), HTML % 502, None]
)
def test_doctor_says_what_is_wrong_with_the_account_and_what_to_do(answer: Answer) -> None:
    found = findings(answer, caller_ids={CALLER_ID}, regions={"RU"})
    assert [(one.good, bool(one.remedy)) for one in found] == [(False, True)]


def test_doctor_does_not_call_a_number_foreign_when_it_could_not_ask() -> None:
    found = findings(account("active"), HTML % 502, caller_ids={CALLER_ID}, regions={"RU"})
    assert [(one.subject, one.level) for one in found] == [
        ("Twilio account", "ok"), ("Twilio balance", "warning"), ("caller IDs", "wrong"), ("calls to RU", "warning"),
    ]  # fmt: skip


def test_times_are_compared_as_they_are_listed() -> None:
    with Peer(listed(call_resource())) as peer:
        assert twilio(peer.url).look_up(ask(sent_after=NOW + timedelta(seconds=2))) is None


@pytest.mark.parametrize("way", ["meta", "uri"])
def test_a_next_page_somewhere_else_is_not_asked_for(way: str) -> None:
    with Peer(listed()) as elsewhere:
        there = f"{elsewhere.url}/2010-04-01/Accounts/{SID}/Calls.json?Page=1"
        named = {"meta": {"meta": {"key": "calls", "next_page_url": there}}, "uri": {"next_page_uri": there}}[way]
        with Peer(json_answer(200, json.dumps({"calls": [], "page": 0, **named})), error(404, 20404)) as peer:
            with pytest.raises(ProviderUnavailable):
                twilio(peer.url).look_up(ask())
        assert (elsewhere.connections, elsewhere.requests) == (0, [])
