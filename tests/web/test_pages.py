"""What an operator asks of a node: health and readiness of everybody's, figures for the bearer of the token only."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from math import inf
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from dialer.call import Phase, Progress
from dialer.commands.token import token as print_token
from dialer.errors import ProviderUnavailable
from dialer.memory.database import Database
from dialer.memory.tables import campaigns
from dialer.providers.base import Heard, News, Reply
from dialer.scheduler import Ticks
from dialer.web.pages import Page
from dialer.web.token import fresh_token, hash_of
from tests.rows import add_attempt, add_target
from tests.stages.scene import NOON
from tests.web.live_node import TOKEN, Live, live_node
from tests.web.node import Node, form


def samples(answer: httpx.Response) -> dict[str, float]:
    return {
        one.name + "".join(f" {name}={value}" for name, value in sorted(one.labels.items())): one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
    }


def wait_until_ready(node: Live) -> httpx.Response:
    until = time.monotonic() + 15
    while (answer := node.get("/readyz")).status_code != 200 and time.monotonic() < until:
        time.sleep(0.1)
    return answer


def test_a_node_is_ready_when_its_ticks_run_and_not_when_it_stops(database: Database, tmp_path: Path) -> None:
    with live_node(database, tmp_path) as node:
        assert wait_until_ready(node).json() == {"ready": True, "reasons": []}
        assert node.get("/healthz").json() == {"well": True, "wrong": ""}
        node.service.stop_dialing()
        answer = node.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"ready": False, "reasons": ["it is stopping"]})
        assert node.get("/healthz").status_code == 200


def test_a_node_that_has_not_begun_says_which_tick_has_not_run(database: Database, tmp_path: Path) -> None:
    with live_node(database, tmp_path, started=False) as node:
        answer = node.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == [
            f"{tick} has not run lately: it has not begun" for tick in ("plan", "dial", "heartbeat")
        ]


def test_a_step_that_fails_or_does_not_end_says_why_and_names_nobody(database: Database, tmp_path: Path) -> None:
    goes_on = threading.Event()

    def refused() -> None:
        raise ProviderUnavailable("+79161234567 cannot be asked about")

    def of_the_database() -> None:
        number = "+79161234567"
        database.write(lambda c: c.execute(sa.insert(campaigns), [{"name": number, "next_slot_at": NOON}] * 2))

    with live_node(database, tmp_path, started=False) as node:
        ticks = node.service._ticks
        for name, tick in (("plan", refused), ("dial", of_the_database), ("heartbeat", lambda: goes_on.wait(10))):
            ticks.every(timedelta(seconds=60), name, tick)
        ticks.start()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            reasons = node.get("/readyz").json()["reasons"]
            if "not begun" not in str(reasons) and str(reasons).count("failed") == 2:
                break
            time.sleep(0.01)
        goes_on.set()
    assert [reason.partition(": ")[0] for reason in reasons] == [
        f"{tick} has not run lately" for tick in ("plan", "dial", "heartbeat")
    ]
    plan, dial, heartbeat = (reason.partition(": ")[2] for reason in reasons)
    assert plan == "it failed: ProviderUnavailable"
    code = "SQLITE_CONSTRAINT_PRIMARYKEY" if database.is_sqlite else "23505"
    assert dial == f"the database failed it: IntegrityError {code}"
    assert heartbeat == "it has been at it for 0 s"


def test_a_step_that_has_run_again_says_nothing_of_before() -> None:
    ticks, fails = Ticks(), [True, False]

    def tick() -> None:
        if fails.pop(0):
            raise ValueError

    ticks._run("dial", tick)
    assert (ticks.why_idle("dial"), ticks.idle("dial")) == ("it failed: ValueError", inf)
    ticks._run("dial", tick)
    assert ticks.why_idle("dial") == "it waits for its turn" and ticks.idle("dial") < 1


def test_a_database_of_another_version_is_not_ready_and_still_well(database: Database, tmp_path: Path) -> None:
    with live_node(database, tmp_path) as node:
        wait_until_ready(node)
        database.write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
        answer = node.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reasons"] == ["the database is at another version than this program"]
        assert node.get("/healthz").status_code == 200


def test_the_figures_are_told_to_the_bearer_of_the_token_and_to_nobody_else(database: Database, tmp_path: Path) -> None:
    with live_node(database, tmp_path) as node:
        wrong = ["x", TOKEN[:-1], TOKEN + "x", hash_of(TOKEN), fresh_token()]
        answers = [node.get("/metrics"), *(node.get("/metrics", one) for one in wrong)]
        answers.append(node.client.get("/metrics", headers={"Authorization": f"Basic {TOKEN}"}))
        twice = [("Authorization", f"Bearer {fresh_token()}"), ("Authorization", f"Bearer {TOKEN}")]
        answers.append(node.client.get("/metrics", headers=twice))
        answers.append(node.client.get(f"/metrics?token={TOKEN}"))
        assert {(one.status_code, one.content, one.headers["www-authenticate"]) for one in answers} == {
            (401, b"", "Bearer")
        }
        answer = node.get("/metrics", TOKEN)
        assert (answer.status_code, samples(answer)["dialer_database_up"]) == (200, 1)


def test_without_a_token_of_ones_own_there_are_no_figures(database: Database, tmp_path: Path) -> None:
    with live_node(database, tmp_path, started=False, DIALER_TOKEN_HASH="") as node:
        assert node.get("/metrics", TOKEN).status_code == 404
        assert node.get("/metrics").status_code == 404


def test_webhooks_and_placed_calls_are_counted_by_the_node_that_had_them(database: Database, tmp_path: Path) -> None:
    with live_node(database, tmp_path) as node:
        now = node.parts.clock.now()
        attempt = add_attempt(database, add_target(database, now), now)
        node.service._writer.put(Heard(News(attempt, "placed", Progress(phase=Phase.dialing), call_id="CA1"))).result()
        node.client.post("/twilio/status/x", data=form())
        until = time.monotonic() + 20
        while node.service._ticks.idle("dial") == inf and time.monotonic() < until:
            time.sleep(0.01)  # until it has dialed for the first time
        seen = samples(node.get("/metrics", TOKEN))
        assert seen["dialer_calls_placed_total"] == 1
        assert seen["dialer_lines_live trunk=twilio"] == 1
        assert seen["dialer_webhook_seconds_count code=400 kind="] == 1
        assert seen["dialer_tick_age_seconds tick=dial"] < 5
        assert seen["process_resident_memory_bytes"] > 1e6


def test_every_figure_is_documented_and_every_documented_one_is_there(database: Database, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "going-live.md").read_text(encoding="utf-8")
    with live_node(database, tmp_path) as node:
        families = text_string_to_metric_families(node.get("/metrics", TOKEN).text)
        told = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
    documented = set(re.findall(r"`(dialer_\w+)`", page.partition("### The figures")[2]))
    assert {one for one in told if not one.startswith("process_")} == documented


def test_figures_are_worked_out_once_for_all_who_ask_within_some_seconds() -> None:
    made = []

    def tell() -> Reply:
        made.append(1)
        time.sleep(0.2)
        return Reply(b"x", "text/plain")

    with Node(pages={"/metrics": Page(tell, kept_for=5.0)}) as node, ThreadPoolExecutor(20) as pool:
        assert {one.content for one in pool.map(lambda _: node.client.get("/metrics"), range(40))} == {b"x"}
    assert len(made) == 1


def test_a_page_that_hangs_or_breaks_is_a_503_and_webhooks_go_on() -> None:
    go = threading.Event()

    def hang() -> Reply:
        go.wait(30)
        return Reply()

    def break_down() -> Reply:
        raise RuntimeError("postgresql://user:pa55w0rd@host")

    with Node(pages={"/metrics": Page(hang), "/readyz": Page(break_down)}) as node, ThreadPoolExecutor(80) as pool:
        hanging = [pool.submit(node.client.get, "/metrics") for _ in range(60)]
        time.sleep(0.3)
        began = time.monotonic()
        assert node.post("voice").status_code == 200
        assert time.monotonic() - began < 1
        answer = node.client.get("/readyz")
        assert (answer.status_code, answer.content) == (503, b"")
        assert {one.result().status_code for one in hanging} == {503}
        go.set()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_a_page_is_only_read(path: str, database: Database, tmp_path: Path) -> None:
    with live_node(database, tmp_path, started=False) as node:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            answer = node.client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert node.client.head(path).content == b""


def test_a_token_is_shown_once_and_only_its_hash_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    print_token(json=False)
    token, line = capsys.readouterr().out.splitlines()
    assert line == f"DIALER_TOKEN_HASH={hash_of(token)}"
    assert len(token) >= 43
    print_token(json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["dot_env"] == f"DIALER_TOKEN_HASH={hash_of(told['token'])}"
    assert told["token"] != token
