"""The sandbox's Asterisk says what a real one said: the order of events and their fields, from captures of 22.10.1.

The expected lines are those of the captured files (human, busy, amd_human, no_answer_timeout, no_answer_we_cancel,
callee_hangs_up, play_missing, busy_after_ringing, no_sip_response), without variables and the dialplan's steps.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from dialer.sandbox.callees import Callee
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from tests.providers.asterisk_scene import PASSWORD, USER, pbx
from tests.providers.conversation import wait

CHANNEL_FIELDS = {"id", "name", "state", "protocol_id", "caller", "connected", "accountcode", "dialplan",
                  "creationtime", "language"}  # fmt: skip


class Lab:
    def __init__(self, sandbox: Sandbox, socket: ClientConnection) -> None:
        self.sandbox, self.socket = sandbox, socket
        self.http = httpx.Client(base_url=f"{sandbox.ari_url}/ari", auth=(USER, PASSWORD), verify=False)

    def originate(self, **more: str) -> httpx.Response:
        asked = {"endpoint": "PJSIP/79990000001@trunk", "app": "lab", "appArgs": "out,1", "channelId": "one",
                 "callerId": "Lab <78120000000>", "timeout": "25", **more}  # fmt: skip
        return self.http.post("/channels", params=asked)

    def until(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while not found or found[-1]["type"] != kind:
            found.append(json.loads(self.socket.recv(timeout=10)))
        return found


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    telephone = Telephone(account_sid="AC" + "0" * 32, auth_token="t" * 32, caller_ids=[])
    with Sandbox(Portal([], secret="p" * 16), telephone, pbx=pbx(tmp_path, speed=40.0)) as made:
        basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        url = f"ws{made.ari_url.removeprefix('http')}/ari/events?app=lab"
        with connect(url, additional_headers={"Authorization": basic}, proxy=None) as socket:
            yield Lab(made, socket)


def told(events: list[dict[str, Any]]) -> list[str]:
    def one(event: dict[str, Any]) -> str:
        more = event.get("dialstatus", event.get("cause", "")) if event["type"] != "StasisStart" else event["args"]
        channel = event.get("channel", event.get("peer"))
        state = event["playback"]["state"] if "playback" in event else channel["state"]
        return f"{event['type']} {more} {state}".replace("  ", " ")

    return [one(event) for event in events]


def does(lab: Lab, **more: Any) -> None:
    lab.sandbox.pbx.callees.told[None] = Callee(**more)


RINGING = ["Dial Down", "ChannelStateChange Ringing", "Dial RINGING Ringing"]
ANSWERED = [*RINGING, "ChannelStateChange Up", "Dial ANSWER Up", "StasisStart ['out', '1'] Up"]


def test_a_call_that_is_answered_and_hung_up_by_us(lab: Lab) -> None:
    does(lab)
    assert lab.originate().json()["state"] == "Down"
    assert told(lab.until("StasisStart")) == ANSWERED
    assert lab.http.delete("/channels/one").status_code == 204
    events = lab.until("ChannelDestroyed")
    assert told(events) == ["ChannelHangupRequest 32 Up", "StasisEnd Up", "ChannelDestroyed 16 Up"]
    assert set(events[-1]["channel"]) == CHANNEL_FIELDS
    assert {"timestamp", "asterisk_id", "application", "cause_txt"} <= set(events[-1])
    assert lab.http.get("/channels/one").json() == {"message": "Channel not found"}


@pytest.mark.parametrize(
    ("what", "rings", "lines"),
    [
        (
            "busy",
            4.0,
            [*RINGING, "ChannelHangupRequest 17 Ringing", "Dial BUSY Ringing", "ChannelDestroyed 17 Ringing"],
        ),
        ("busy", 0.0, ["Dial Down", "ChannelHangupRequest 17 Down", "Dial BUSY Down", "ChannelDestroyed 17 Down"]),
        ("no_answer", 4.0, [*RINGING, "ChannelDestroyed 19 Ringing"]),
        ("silent", 4.0, ["Dial Down", "ChannelDestroyed 19 Down"]),
    ],
)
def test_a_call_that_nobody_takes(lab: Lab, what: str, rings: float, lines: list[str]) -> None:
    does(lab, does=what, rings=rings)
    lab.originate()
    assert told(lab.until("ChannelDestroyed")) == lines


def test_that_it_rings_is_said_in_either_order(lab: Lab) -> None:
    does(lab, does="no_answer")
    lab.originate()
    lab.until("ChannelDestroyed")
    lab.originate(channelId="two")
    assert told(lab.until("ChannelDestroyed"))[1:3] == ["Dial RINGING Down", "ChannelStateChange Ringing"]


def test_a_channel_that_is_made_dials_nobody_and_its_end_is_kept(lab: Lab) -> None:
    variables = {"CHANNEL(hangup_handler_push)": "dialer-ended,s,1", "DIALER_SLOT": "x"}
    asked = {"endpoint": "Local/s@dialer-ended", "app": "lab", "channelId": "one", "otherChannelId": "two"}
    made = lab.http.post("/channels/create", params=asked, json={"variables": variables})
    assert (made.status_code, made.json()["state"]) == (200, "Down")
    lab.http.delete("/channels/one")
    assert told(lab.until("ChannelDestroyed")) == [
        "StasisStart [] Down", "ChannelHangupRequest 32 Down", "StasisEnd Down", "ChannelDestroyed 16 Down",
    ]  # fmt: skip
    kept = lab.http.get("/asterisk/variable", params={"variable": "DIALER_ENDED_x"}).json()["value"]
    assert kept.startswith("one,Down,16,")
    assert lab.http.get("/asterisk/variable", params={"variable": "other"}).json() == {"value": ""}


def test_a_call_that_we_cancel_while_it_rings(lab: Lab) -> None:
    does(lab, rings=1_000.0)
    lab.originate(timeout="2000")
    lab.until("ChannelStateChange")
    lab.until("Dial")
    lab.http.delete("/channels/one")
    assert told(lab.until("ChannelDestroyed")) == [
        "ChannelHangupRequest 32 Ringing", "Dial NOANSWER Ringing", "ChannelDestroyed 16 Ringing",
    ]  # fmt: skip


def test_a_person_who_hangs_up_ends_what_is_played(lab: Lab) -> None:
    does(lab, hangs_up_after=30.0)
    lab.originate()
    lab.until("StasisStart")
    media = ",".join(["sound:http://127.0.0.1/a.wav"] * 20)
    played = lab.http.post("/channels/one/play/p1", params={"media": media})
    assert (played.status_code, played.json()["state"]) == (201, "queued")
    lines = told(lab.until("ChannelDestroyed"))
    assert lines[0] == "PlaybackStarted playing"
    assert lines[-4:] == [
        "ChannelHangupRequest Up", "PlaybackFinished failed", "StasisEnd Up", "ChannelDestroyed 0 Up",
    ]  # fmt: skip


def test_a_sound_that_is_not_there_fails_at_once(lab: Lab) -> None:
    does(lab)
    lab.originate()
    lab.until("StasisStart")
    assert lab.http.post("/channels/one/play/p1", params={"media": "sound:lab/nothing"}).status_code == 201
    assert told(lab.until("PlaybackFinished")) == ["PlaybackStarted playing", "PlaybackFinished failed"]


def test_a_machine_is_told_by_the_dialplan(lab: Lab) -> None:
    does(lab, does="machine")
    lab.originate()
    lab.until("StasisStart")
    lab.http.post("/channels/one/continue", params={"context": "dialer-amd"})
    assert lab.http.post("/channels/one/play/p", params={"media": "sound:x"}).status_code == 409
    lines = told(lab.until("StasisStart"))
    assert lines == ["StasisEnd Up", "StasisStart ['amd', 'MACHINE', 'MAXWORDS-3-2'] Up"]


def test_a_second_call_under_a_living_id_is_refused_and_a_dead_one_is_free_again(lab: Lab) -> None:
    does(lab, rings=1_000.0)
    lab.originate(timeout="2000")
    again = lab.originate()
    assert (again.status_code, again.json()) == (409, {"message": "Channel with given unique ID already exists"})
    lab.http.delete("/channels/one")
    lab.until("ChannelDestroyed")
    assert lab.originate().status_code == 200


@pytest.mark.parametrize(
    ("more", "status", "body"),
    [
        ({"endpoint": "PJSIP/79990000001@nope"}, 500, {"error": "Allocation failed"}),
        ({"endpoint": "SIP/1@trunk"}, 500, {"error": "Allocation failed"}),
        ({"endpoint": "PJSIP/"}, 400, {"message": "Invalid endpoint specified"}),
        ({"endpoint": ""}, 400, {"message": "Endpoint must be specified"}),
        ({"app": ""}, 400, {"message": "Application or extension must be specified"}),
        ({"channelId": "x" * 150}, 400, {"message": "Uniqueid length exceeds maximum of 149"}),
    ],
)
def test_what_cannot_be_dialed(lab: Lab, more: dict[str, str], status: int, body: dict[str, str]) -> None:
    answer = lab.originate(**more)
    assert (answer.status_code, answer.json()) == (status, body)


def test_a_newcomer_takes_the_events_over(lab: Lab) -> None:
    does(lab)
    basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    url = f"ws{lab.sandbox.ari_url.removeprefix('http')}/ari/events?app=lab"
    with connect(url, additional_headers={"Authorization": basic}, proxy=None) as newcomer:
        assert json.loads(lab.socket.recv(timeout=5))["type"] == "ApplicationReplaced"
        lab.originate()
        assert json.loads(newcomer.recv(timeout=5))["type"] == "Dial"


def test_nobody_without_the_password(lab: Lab) -> None:
    answer = httpx.get(f"{lab.sandbox.ari_url}/ari/channels", auth=("dialer", "wrong"))
    assert (answer.status_code, answer.json()) == (401, {"error": "Authentication required"})


def test_whoever_answers_while_nobody_listens_is_dropped(lab: Lab) -> None:
    does(lab)
    lab.sandbox.do(lab.sandbox.pbx.cut)
    assert lab.originate().status_code == 200
    [call] = lab.sandbox.pbx.calls
    wait(lambda: call.is_over)
    assert (call.answered_at is not None, call.said) == (True, [])


def test_while_it_shuts_down_it_makes_no_channel(lab: Lab) -> None:
    pbx = lab.sandbox.pbx
    lab.sandbox.do(pbx.restart)
    refused = lab.originate()
    assert (refused.status_code, refused.json(), pbx.calls) == (500, {"error": "Allocation failed"}, [])
    wait(lambda: lab.originate().status_code == 200)
    assert len(pbx.calls) == 1
