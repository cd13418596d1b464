"""Reading many people from Bitrix24, beside fast-bitrix24 and b24pysdk in the same run.

    python -m benchmarks.reading [--people 100000] [--quick | --layouts] [--python PYTHON]

Each client runs in a process of its own against a portal in another (`benchmarks.portal`), which keeps the vendor's
published limits: 50 requests at once and 2 a second, 480 s of run time a method in ten minutes. Everybody asks for the
same: `crm.item.list` with `["*"]`, which is the only way to every phone of a person. Where it says so, a page takes
68.5 ms, what the vendor measured for one, and requests are answered side by side: both are properties of this model,
and on a portal that answers one after another nobody gains by asking for several at once.

With `--layouts` only ours, and only how many requests it takes, wherever people lie in the portal's ids.

A peer that PYTHON (this one, by default) cannot import is left out, and that is said:
`pip install fast-bitrix24 b24pysdk` into a virtual environment of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.layouts import LAYOUTS
from benchmarks.portal import Manner, portal
from benchmarks.table import Figure, show

PAGE, COUNTED = 0.0685, 49.9 / 2_390_000
"""Seconds, from the vendor's page about much data: a page without its total, and a row that is counted for it."""
PER_REQUEST, RATE = 2_500, 2.0
PATIENCE = 300

OURS = """
import gc, json, sys, time
from datetime import UTC, datetime
from dialer.audience import Audience, CardType
from dialer.crm.bitrix24 import Bitrix24
from dialer.crm.bitrix24.access import Webhook
from benchmarks.portal import WINDOW
gc.collect(), gc.freeze()  # as the service does before its first tick
audience = Audience(CardType.contact, "Дата окончания договора", do_not_call="Не звонить", time_zone="Город")
crm = Bitrix24(Webhook(sys.argv[1]), clock=lambda: datetime.now(UTC))
begun, cpu, count, phones, last = time.perf_counter(), time.process_time(), 0, 0, 0
for page in crm.read(audience, first=WINDOW[0], last=WINDOW[1]):
    assert all(low.card_id < high.card_id for low, high in zip(page, page[1:])) and page[0].card_id > last
    last = page[-1].card_id
    count, phones = count + len(page), phones + sum(len(one.phones) for one in page)
"""
FAST = """
import json, sys, time
from fast_bitrix24 import Bitrix
begun, cpu = time.perf_counter(), time.process_time()
count = len(Bitrix(sys.argv[1], verbose=False).get_all("crm.item.list", {"entityTypeId": 3, "select": ["*"]}))
"""
SDK = """
import json, sys, time, requests
from b24pysdk import BitrixWebhook, Client, Config
send = requests.Session.request  # the portal here speaks no TLS
requests.Session.request = lambda self, method, url, **how: send(self, method, url.replace("https:", "http:"), **how)
Config().configure(default_read_timeout=65)
host, _, token = sys.argv[1].removeprefix("http://").partition("/rest/")
client = Client(BitrixWebhook(domain=host, webhook_token=token.strip("/")))
begun, cpu = time.perf_counter(), time.process_time()
asked = client.crm.item.list(entity_type_id=3, select=["*"])
count = sum(1 for _ in asked.as_list_fast().result)
"""
TOLD = """
seconds = time.perf_counter() - begun
peak = open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]
print(json.dumps({"seconds": seconds, "people": count, "peak": int(peak) / 1024, "cpu": time.process_time() - cpu}))
"""
PEERS = {"fast-bitrix24": ("fast_bitrix24", FAST), "b24pysdk": ("b24pysdk", SDK)}


@dataclass(frozen=True, slots=True)
class Read:
    """`error` where it did not come to its end; `peak` in MB; `portal`: seconds of CPU that the portal itself took."""

    seconds: float
    people: int
    peak: float
    cpu: float
    requests: int
    refused: int
    megabytes: float
    portal: float
    error: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true", help="without the peers, whom it takes minutes")
    parser.add_argument("--python", default=sys.executable, help="one that has the peers")
    parser.add_argument("--layouts", action="store_true", help="requests by where people lie in the ids")
    options = parser.parse_args()
    if options.layouts:
        show(requests_by_layout(options.people))
        return
    show(measure(options.people, peers=not options.quick, python=options.python))


def measure(people: int, *, peers: bool, python: str = sys.executable) -> list[Figure]:
    load = os.getloadavg()[0]
    slow = Manner(people, page=PAGE, counted=COUNTED)
    ours, figures = _read(OURS, slow), []
    others = {name: _read(code, slow, python) for name, code in (_installed(python) if peers else ())}
    finished = {name: one.seconds for name, one in others.items() if not one.error}
    for name, one in others.items():
        print(f"{name}: {one.error or f'{one.seconds:.1f} s'}, {_said(one)}")
    if finished:
        name = min(finished, key=finished.__getitem__)
        figures.append(
            Figure(f"{people:,} people, 68.5 ms a page, s", ours.seconds, finished[name],
                   finished[name] / ours.seconds, "20", f"{_said(ours)}; floor: {name}, as the portal answers at once")
        )  # fmt: skip
    else:
        figures.append(
            Figure(f"{people:,} people, 68.5 ms a page, s", ours.seconds, PAGE * 50, ours.seconds / (PAGE * 50), "",
                   f"{_said(ours)}; floor: one request of 50 pages")
        )  # fmt: skip
    floor = -(-people // PER_REQUEST)
    figures.append(
        Figure(f"{people:,} people, requests", ours.requests, floor, ours.requests / floor, "51",
               f"{ours.refused} answered QUERY_LIMIT_EXCEEDED")
    )  # fmt: skip
    holes = _read(OURS, Manner(people, kept=0.3))
    figures.append(
        Figure(f"{people:,} people of 3.3 times as many ids, requests", holes.requests, floor, holes.requests / floor,
               "51", _said(holes))
    )  # fmt: skip
    full = _read(OURS, Manner(people, taken=50))
    wait = (floor + 1) / RATE
    figures.append(
        Figure(f"{people:,} people, no request left at the start, s", full.seconds, wait, full.seconds / wait, "1.25",
               f"{_said(full)}; floor: {floor + 1} requests at 2 a second")
    )  # fmt: skip
    many = people * 5 // 2
    large = _read(OURS, Manner(many))
    wait = max(-(-many // PER_REQUEST) + 1 - 50, 0) / RATE
    figures.append(
        Figure(f"{many:,} people, s", large.seconds, wait, large.seconds / wait if wait else 0.0, "", _said(large))
    )
    print(f"load when it began {load:.1f}, at the end {os.getloadavg()[0]:.1f}, on {os.cpu_count()} cores")
    return figures


def requests_by_layout(people: int) -> list[Figure]:
    floor = -(-people // PER_REQUEST)
    figures = []
    for layout in LAYOUTS:
        one = _read(OURS, Manner(people, layout=layout))
        figures.append(Figure(f"{layout}, requests", one.requests, floor, one.requests / floor, "", _said(one)))
    return figures


def _said(one: Read) -> str:
    return (
        f"{one.people:,} read, {one.requests} requests, {one.refused} refused, {one.megabytes:.0f} MB of rows, peak"
        f" memory {one.peak:.0f} MB, CPU {one.cpu:.1f} s, the portal's own CPU {one.portal:.1f} s"
    )


def _installed(python: str) -> Sequence[tuple[str, str]]:
    found = []
    for name, (module, code) in PEERS.items():
        if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode:
            print(f"{name} is not installed: left out")
        else:
            found.append((name, code))
    return found


def _read(code: str, manner: Manner, python: str = sys.executable) -> Read:
    with portal(manner) as address:
        before = _counts(address)
        asked = [python, "-c", code + TOLD, address]
        try:
            ran = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            ran = subprocess.CompletedProcess(asked, 1, "", f"not ready after {PATIENCE} s")
        counts = _counts(address)
    if ran.returncode:
        error = (ran.stderr.strip().splitlines() or ["it was killed"])[-1][:200]
        told = {"seconds": 0.0, "people": 0, "peak": 0.0, "cpu": 0.0}
        if code is OURS:
            raise SystemExit(ran.stderr)
    else:
        error, told = "", json.loads(ran.stdout.strip().splitlines()[-1])
        if told["people"] != manner.people:
            raise SystemExit(f"{told['people']} of {manner.people} people came")
    return Read(
        **told, requests=counts["requests"], refused=counts["refused"], megabytes=counts["bytes"] / 1e6,
        portal=counts["cpu"] - before["cpu"], error=error,
    )  # fmt: skip


def _counts(address: str) -> dict[str, float]:
    base = address.partition("/rest/")[0]
    with urllib.request.urlopen(f"{base}/_sandbox/counts") as answer:
        counts: dict[str, float] = json.load(answer)
    return counts


if __name__ == "__main__":
    main()
