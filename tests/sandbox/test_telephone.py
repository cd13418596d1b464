"""The sandbox's telephone company against what is known of Twilio, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from twilio.request_validator import RequestValidator

from dialer.sandbox.callees import Callee
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from dialer.sandbox.telephone_call import Call
from tests.website import Page, Website

SID, TOKEN = "AC" + "0" * 32, "t" * 32
CALLER_ID, NUMBER, MANAGER = "+74951234567", "+79161234567", "+74957654321"
EVENTS = ["initiated", "ringing", "answered", "completed"]


@dataclass
class Company:
    sandbox: Sandbox
    site: Website
    client: httpx.Client = field(default_factory=lambda: httpx.Client(auth=(SID, TOKEN), timeout=20, verify=False))

    @property
    def telephone(self) -> Telephone:
        return self.sandbox.telephone

    def api(self, method: str, path: str, **form: Any) -> httpx.Response:
        url = f"{self.sandbox.telephone_url}/2010-04-01/Accounts/{SID}{path}"
        return self.client.request(method, url, **({"params": form} if method == "GET" else {"data": form}))

    def place(self, **more: Any) -> httpx.Response:
        form = {"To": NUMBER, "From": CALLER_ID, "Url": f"{self.site.url}/voice", **more}
        return self.api("POST", "/Calls.json", **form)

    def callee(self, number: str | None = None, **does: Any) -> None:
        self.sandbox.do(lambda: self.telephone.callees.told.update({number: Callee(**does)}))

    def rule(self, *rules: Rule) -> None:
        self.telephone.exchange.faults.set(*rules)

    def ended(self, sid: str) -> Call:
        until = time.monotonic() + 15
        while not self.telephone.calls[sid].is_over and time.monotonic() < until:
            time.sleep(0.01)
        return self.telephone.calls[sid]

    def ring(self, **more: Any) -> Call:
        answer = self.place(**more)
        assert answer.status_code == 201, answer.text
        return self.ended(answer.json()["sid"])

    def told(self, **more: Any) -> dict[str, Any]:
        return {"StatusCallback": f"{self.site.url}/status", "StatusCallbackEvent": EVENTS, **more}


@pytest.fixture
def company() -> Iterator[Company]:
    telephone = Telephone(account_sid=SID, auth_token=TOKEN, caller_ids=[CALLER_ID], speed=200)
    with Sandbox(Portal([], secret="p" * 16), telephone) as sandbox, Website(voice="<Response/>") as site:
        company = Company(sandbox, site)
        company.callee()
        yield company


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"To": ""}, 21201),
        ({"To": "123"}, 21211),
        ({"To": CALLER_ID}, 21211),
        ({"From": ""}, 21213),
        ({"From": "sales"}, 21212),
        ({"From": "+74950000000"}, 21210),
        ({"Url": "voice"}, 21205),
        ({"Url": "http://my_host/voice"}, 21205),
        ({"FallbackUrl": "no"}, 21205),
        ({"StatusCallback": "https://my_host.example.com/x"}, 21609),
        ({"StatusCallbackEvent": ["answered", "hungup"]}, 21626),
        ({"Timeout": "0"}, 21208),
        ({"Timeout": "601"}, 21208),
        ({"Timeout": "soon"}, 21208),
        ({"Method": "PUT"}, 21209),
        ({"MachineDetection": "Yes"}, 21263),
        ({"MachineDetectionTimeout": "60"}, 21263),
        ({"SendDigits": "x"}, 21206),
    ],
)
def test_a_wrong_order_is_refused_with_twilios_code_and_nobody_is_rung(
    company: Company, wrong: dict[str, Any], code: int
) -> None:
    answer = company.place(**wrong)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert set(answer.json()) == {"code", "message", "more_info", "status"}
    assert not company.telephone.calls
    assert [placed for _, _, placed in company.telephone.log] == [False]


def test_credentials_and_the_account_are_asked_first(company: Company) -> None:
    company.client.auth = (SID, "wrong")
    assert company.place(To="").json()["code"] == 20003
    company.client.auth = (SID, TOKEN)
    company.telephone.status = "suspended"
    assert company.place(To="").json()["code"] == 20005


def test_a_forbidden_country_a_full_account_and_too_many_requests_are_refused(company: Company) -> None:
    company.telephone.forbidden = {"+34": 21215}
    assert company.place(To="+34600000001").json()["code"] == 21215
    company.telephone.lines_most = 0
    assert company.place().json()["code"] == 10004
    company.telephone.requests_most = 0
    assert (company.place().status_code, company.place().json()["code"]) == (429, 20429)


def test_an_order_is_answered_201_queued_with_nothing_known_yet(company: Company) -> None:
    answer = company.place()
    call = answer.json()
    assert answer.status_code == 201
    assert (call["status"], call["direction"], call["to"], call["queue_time"]) == (
        "queued",
        "outbound-api",
        NUMBER,
        "0",
    )
    assert [call[name] for name in ("start_time", "end_time", "duration", "price", "answered_by")] == [None] * 5


def test_calls_above_the_pace_are_accepted_and_wait(company: Company) -> None:
    company.telephone.calls_per_second = 0.2
    waits = [int(company.place(To=f"+7916000000{n}").json()["queue_time"]) for n in range(4)]
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert 10_000 < waits[3] <= 15_000
    company.telephone.calls_per_second = 4
    company.telephone._free_at = 0
    for n in range(4, 7):
        call = company.ring(To=f"+7916000000{n}")
        assert (call.rang_at or 0) - call.created >= call.queued


def test_callbacks_come_in_order_signed_and_name_the_end(company: Company) -> None:
    company.ring(**company.told())
    told = company.site.wait_for("/status", 4)
    assert [one["CallStatus"] for one in told] == ["initiated", "ringing", "in-progress", "completed"]
    assert [one["SequenceNumber"] for one in told] == ["0", "1", "2", "3"]
    assert {one["CallbackSource"] for one in told} == {"call-progress-events"}
    assert ["CallDuration" in one for one in told] == [False, False, False, True]
    assert told[3]["SipResponseCode"] == "200"
    for asked in company.site.asked:
        signature = asked.headers["x-twilio-signature"]
        assert RequestValidator(TOKEN).validate(company.site.url + asked.path, dict(asked.fields), signature)
        assert asked.headers["i-twilio-idempotency-token"]


def test_only_the_events_that_were_asked_for_are_told(company: Company) -> None:
    company.ring(StatusCallback=f"{company.site.url}/status")
    assert [one["CallStatus"] for one in company.site.wait_for("/status")] == ["completed"]


@pytest.mark.parametrize(
    ("does", "status", "sip"),
    [("busy", "busy", "486"), ("no_answer", "no-answer", "487"), ("declined", "no-answer", "603"),
     ("bad_number", "failed", "404"), ("failed", "failed", "503")],
)  # fmt: skip
def test_whoever_does_not_answer_ends_the_call_in_twilios_words(
    company: Company, does: str, status: str, sip: str
) -> None:
    company.callee(does=does)
    call = company.ring(**company.told())
    last = company.site.wait_for("/status", 3)[-1]
    assert (last["CallStatus"], last["SipResponseCode"], last["CallDuration"]) == (status, sip, "0")
    assert company.api("GET", f"/Calls/{call.sid}.json").json()["duration"] is None
    assert not company.site.of("/voice")


def test_it_rings_no_longer_than_it_was_told(company: Company) -> None:
    company.callee(rings=500.0)
    assert company.ring(Timeout="20").status == "no-answer"


def test_machine_detection_comes_before_the_page(company: Company) -> None:
    call = company.ring(MachineDetection="Enable")
    page = company.site.of("/voice")[0]
    assert (page["AnsweredBy"], page["MachineDetectionDuration"]) == ("human", "3000")
    assert call.answered_by == "human"
    company.callee(does="machine", greets=10.0)
    company.ring(MachineDetection="DetectMessageEnd")
    assert company.site.of("/voice")[1]["AnsweredBy"] == "machine_end_beep"
    company.ring(MachineDetection="DetectMessageEnd", MachineDetectionTimeout="5")
    assert company.site.of("/voice")[2]["AnsweredBy"] == "unknown"
    company.callee(taken_for="fax")
    company.ring(MachineDetection="Enable")
    assert company.site.of("/voice")[3]["AnsweredBy"] == "fax"


def test_with_a_url_the_twiml_is_ignored(company: Company) -> None:
    company.site.pages["/voice"] = "<Response><Say>page</Say></Response>"
    assert company.ring(Twiml="<Response><Say>inline</Say></Response>").said == ["page"]


def test_a_call_that_is_cancelled_while_queued_tells_nobody(company: Company) -> None:
    company.telephone.calls_per_second = 0.5
    company.ring(To="+79160000000")
    sid = company.place(**company.told()).json()["sid"]
    assert company.api("GET", f"/Calls/{sid}.json").json()["status"] == "queued"
    assert company.api("POST", f"/Calls/{sid}.json", Status="canceled").json()["status"] == "canceled"
    assert company.api("POST", f"/Calls/{sid}.json", Status="canceled").json()["code"] == 21220
    time.sleep(2.2)
    assert not company.site.of("/status")
    assert company.telephone.calls[sid].rang_at is None


def test_a_call_that_rings_is_cancelled_and_says_so_and_one_that_talks_only_hung_up(company: Company) -> None:
    company.telephone.exchange.speed = 20
    company.callee(rings=60.0)
    sid = company.place(**company.told()).json()["sid"]
    company.site.wait_for("/status", 2)
    assert company.api("POST", f"/Calls/{sid}.json", Status="canceled").status_code == 200
    assert company.site.wait_for("/status", 3)[-1]["CallStatus"] == "canceled"
    company.callee()
    company.site.pages["/voice"] = "<Response><Pause length='60'/></Response>"
    sid = company.place().json()["sid"]
    company.site.wait_for("/voice")
    assert company.api("POST", f"/Calls/{sid}.json", Status="canceled").json()["code"] == 21220
    assert company.api("POST", f"/Calls/{sid}.json", Status="completed").status_code == 200
    assert company.ended(sid).status == "completed"
    assert company.api("POST", f"/Calls/CA{'0' * 32}.json", Status="completed").json()["code"] == 20404


def test_a_call_is_cut_at_its_time_limit(company: Company) -> None:
    company.site.pages["/voice"] = "<Response><Pause length='600'/></Response>"
    call = company.ring(TimeLimit="30", **company.told())
    assert (call.status, call.talked) == ("completed", 30)


def test_a_list_lags_filters_and_gives_the_address_of_its_next_page(company: Company) -> None:
    numbers = [f"+7916000000{n}" for n in range(3)]
    for number in numbers:
        company.ring(To=number)
    newest = company.api("GET", "/Calls.json").json()["calls"]
    assert [one["to"] for one in newest] == numbers[::-1]
    assert [one["to"] for one in company.api("GET", "/Calls.json", To=numbers[1]).json()["calls"]] == [numbers[1]]
    assert not company.api("GET", "/Calls.json", Status="busy").json()["calls"]
    page = company.api("GET", "/Calls.json", PageSize="2", From=CALLER_ID).json()
    assert len(page["calls"]) == 2
    following = company.client.get(company.sandbox.telephone_url + page["next_page_uri"]).json()
    assert [one["to"] for one in following["calls"]] == [numbers[0]]
    assert following["next_page_uri"] is None
    company.telephone.lists_lag = 60
    assert not company.api("GET", "/Calls.json").json()["calls"]
    assert company.api("GET", f"/Calls/{newest[0]['sid']}.json").status_code == 200


def test_a_filter_on_the_start_misses_a_queued_call(company: Company) -> None:
    company.telephone.calls_per_second = 0.2
    company.ring(To="+79160000000")
    company.place()
    today = {"StartTime>": time.strftime("%Y-%m-%d", time.gmtime(time.time() - 60))}
    assert [one["to"] for one in company.api("GET", "/Calls.json", **today).json()["calls"]] == ["+79160000000"]
    assert len(company.api("GET", "/Calls.json").json()["calls"]) == 2
    assert [one["to"] for one in company.api("GET", "/Calls.json", Status="queued").json()["calls"]] == [NUMBER]


MENU = '<Response><Gather numDigits="1" action="{0}/keys"><Say>menu</Say></Gather><Say>silence</Say></Response>'
DONE = "<Response><Say>done</Say></Response>"


def gather(company: Company, attributes: str, *presses: str) -> tuple[list[str], list[dict[str, str]]]:
    """What is said, and what the action is told."""
    company.callee(presses=presses)
    company.site.pages |= {
        "/voice": f"<Response><Gather {attributes}><Say>menu</Say></Gather><Say>silence</Say></Response>",
        "/keys": DONE,
    }
    call = company.ring()
    return call.said, [dict(one) for one in company.site.of("/keys")]


def test_keys_are_told_to_the_action_and_what_follows_is_not_said(company: Company) -> None:
    said, told = gather(company, f'numDigits="1" action="{company.site.url}/keys"', "12")
    assert said == ["menu", "done"]
    assert (told[0]["Digits"], told[0]["CallStatus"]) == ("1", "in-progress")


def test_a_finishing_key_is_not_a_digit_unless_there_is_none(company: Company) -> None:
    action = f'action="{company.site.url}/keys"'
    assert gather(company, action, "12#")[1][0]["Digits"] == "12"
    assert gather(company, f'{action} finishOnKey="" numDigits="1"', "#")[1][1]["Digits"] == "#"


def test_silence_goes_on_to_the_next_verb_or_is_told_where_that_is_asked_for(company: Company) -> None:
    action = f'numDigits="1" action="{company.site.url}/keys"'
    assert gather(company, action, "")[0] == ["menu", "silence"]
    said, told = gather(company, f'{action} actionOnEmptyResult="true"', "")
    assert said == ["menu", "done"]
    assert [one["Digits"] for one in told] == [""]


def test_a_gather_without_action_asks_its_own_page_again(company: Company) -> None:
    company.callee(presses=("1", ""))
    company.site.pages["/voice"] = "<Response><Gather numDigits='1'/><Say>silence</Say></Response>"
    assert company.ring().said == ["silence"]
    assert [one.get("Digits") for one in company.site.of("/voice")] == [None, "1"]


def transfer(company: Company, attributes: str = "", number: str = MANAGER) -> None:
    leg = f'<Number statusCallback="{company.site.url}/leg" statusCallbackEvent="initiated answered completed">{number}'
    company.site.pages |= {
        "/voice": f'<Response><Dial action="{company.site.url}/dial" {attributes}>{leg}</Number></Dial>'
        "<Say>never said</Say></Response>",
        "/dial": DONE,
    }


@pytest.mark.parametrize(
    ("manager", "legs"),
    [
        ("completed", ["initiated", "in-progress", "completed"]),
        ("busy", ["initiated", "busy"]),
        ("no-answer", ["initiated", "no-answer"]),
    ],
)
def test_a_transfer_tells_of_its_leg_and_of_its_end(company: Company, manager: str, legs: list[str]) -> None:
    company.callee(manager=manager)
    transfer(company)
    call = company.ring()
    told = company.site.wait_for("/leg", len(legs))
    assert [one["CallStatus"] for one in told] == legs
    assert {(one["ParentCallSid"], one["To"], one["Direction"]) for one in told} == {
        (call.sid, MANAGER, "outbound-dial")
    }
    assert told[0]["CallSid"] != call.sid
    assert [one["DialCallStatus"] for one in company.site.of("/dial")] == [manager]
    assert call.said == ["done"]
    shown = company.api("GET", "/Calls.json", To=MANAGER).json()["calls"]
    assert [(one["parent_call_sid"], one["sid"]) for one in shown] == [(call.sid, told[0]["CallSid"])]


def test_a_person_who_hangs_up_in_a_transfer_ends_the_other_leg_and_the_action_is_told(company: Company) -> None:
    company.callee(hangs_up_after=20.0)
    transfer(company)
    call = company.ring(**company.told())
    assert company.site.wait_for("/leg", 3)[-1]["CallStatus"] == "completed"
    dial = company.site.of("/dial")[0]
    assert (dial["CallStatus"], dial["DialCallStatus"]) == ("completed", "completed")
    assert not call.said
    company.callee(hangs_up_after=2.0)
    company.ring()
    assert company.site.wait_for("/dial", 2)[-1]["DialCallStatus"] == "canceled"


@pytest.mark.parametrize(("attributes", "number"), [('callerId="+34600000009"', MANAGER), ("", "manager")])
def test_a_transfer_with_a_foreign_caller_id_or_a_bad_number_rings_nobody(
    company: Company, attributes: str, number: str
) -> None:
    transfer(company, attributes, number)
    company.ring()
    assert company.site.of("/dial")[0]["DialCallStatus"] == "failed"
    assert [one["CallStatus"] for one in company.site.wait_for("/leg")] == ["failed"]


def failing(company: Company, page: Page, content_type: str = "text/xml") -> tuple[Call, list[dict[str, str]]]:
    company.site.pages |= {"/voice": page, "/fallback": "<Response><Say>sorry</Say></Response>"}
    company.site.content_type = content_type
    call = company.ring(FallbackUrl=f"{company.site.url}/fallback")
    return call, [dict(one) for one in company.site.of("/fallback")]


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (500, "11200"),
        (404, "11200"),
        (lambda fields: None, "11200"),
        ("<Response><Say>", "12100"),
        ("", "12100"),
        ("<Answer/>", "12200"),
        ("<Response>" + " " * 65_536 + "</Response>", "11750"),
    ],
)
def test_a_page_that_fails_is_replaced_by_the_fallback_which_is_told_why(
    company: Company, page: Page, code: str
) -> None:
    call, told = failing(company, page)
    assert call.said == ["sorry"]
    assert [(one["ErrorCode"], one["ErrorUrl"]) for one in told] == [(code, f"{company.site.url}/voice")]


def test_a_page_of_another_content_type_fails(company: Company) -> None:
    call, told = failing(company, "<Response/>", "text/html")
    assert told[0]["ErrorCode"] == "12300"
    assert "application error" in call.said[0]


def test_an_address_asks_for_its_own_repetitions_and_its_fragment_is_not_sent(company: Company) -> None:
    answers = iter([503, 503, DONE])
    company.site.pages["/voice"] = lambda fields: next(answers)
    call = company.ring(Url=f"{company.site.url}/voice#rc=5&rp=5xx,ct,rt")
    assert call.said == ["done"]
    asked = [one for one in company.site.asked if one.path == "/voice"]
    assert len(asked) == 3
    assert len({one.headers["i-twilio-idempotency-token"] for one in asked}) == 1
    assert len({one.body for one in asked}) == 1


def test_without_a_wish_only_a_failed_connection_is_repeated(company: Company) -> None:
    company.site.pages["/voice"] = 503
    company.ring()
    assert len(company.site.of("/voice")) == 1


def test_a_text_that_is_too_long_is_not_said(company: Company) -> None:
    long = "Здравствуйте " * 63
    company.site.pages["/voice"] = f"<Response><Say>{long}</Say><Say>коротко</Say></Response>"
    said = company.ring().said
    assert said[0].startswith("[13521")
    assert said[1] == "коротко"


@pytest.mark.parametrize("do", ["503", "429", "500_before", "drop_before", "html", "401", "refuse:21215"])
def test_what_fails_before_is_not_placed(company: Company, do: str) -> None:
    company.rule(Rule("calls.create", do))
    if do == "drop_before":
        with pytest.raises(httpx.HTTPError):
            company.place()
    else:
        assert company.place().status_code >= 400
    assert not company.telephone.calls
    assert [placed for _, _, placed in company.telephone.log] == [False]


@pytest.mark.parametrize("do", ["500_after", "drop_after", "html_after", "garbage", "hang"])
def test_what_fails_after_is_placed(company: Company, do: str) -> None:
    company.rule(Rule("calls.create", do, seconds=0.1))
    if do in ("drop_after", "hang"):
        with pytest.raises(httpx.HTTPError):
            company.place()
    else:
        company.place()
    assert len(company.telephone.calls) == 1
    assert [placed for _, _, placed in company.telephone.log] == [True]


def test_callbacks_come_late_twice_shuffled_or_never_when_asked(company: Company) -> None:
    company.rule(Rule("callback", "never"))
    company.ring(**company.told())
    company.rule(Rule("callback", "twice"))
    company.ring(**company.told())
    assert len(company.site.wait_for("/status", 8)) == 8
    tokens = [one.headers["i-twilio-idempotency-token"] for one in company.site.asked if one.path == "/status"]
    assert len(set(tokens)) == 4
    company.rule(Rule("callback", "shuffled", seconds=1.0))
    orders = set()
    for calls in range(1, 6):
        company.ring(**company.told())
        told = company.site.wait_for("/status", 8 + 4 * calls)[-4:]
        orders.add(tuple(one["SequenceNumber"] for one in told))
    assert orders != {("0", "1", "2", "3")}
