"""`run` and `serve`: one node, in the foreground, until it is done or told to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from datetime import time as clock_time
from queue import SimpleQueue
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dialer import log
from dialer.app import TRUNK, build, configured, open_database
from dialer.checking.files import Loaded, read_campaigns
from dialer.checking.quoting import shown
from dialer.commands.figures import Figures, figures
from dialer.commands.output import people, print_counts, print_json, print_table, progress, talk
from dialer.ending import end_process
from dialer.errors import CampaignError, DatabaseRefused, SettingsError
from dialer.memory.claiming import EVERYTHING, Scope
from dialer.memory.database import Database, sole_service
from dialer.memory.tables import nodes
from dialer.parts import Parts
from dialer.service import Service
from dialer.settings import Settings
from dialer.web.server import WebServer

LOOK_EVERY = 0.5
MENDED_SHOWN = 20
CLOSING = timedelta(seconds=5)
"""After DIALER_DRAIN nothing is waited for any longer than this."""


class Stopping:
    """The first signal stops politely; where that hangs the process ends with `code`. The second ends it at once."""

    def __init__(self, most: timedelta, *, code: int = 130) -> None:
        self.asked, self._over = threading.Event(), threading.Event()
        self._most, self._code = most + CLOSING, code
        self._first = True
        # the one thing that a signal may touch, whatever the main thread was doing with it
        self._heard: SimpleQueue[bool] = SimpleQueue()

    @contextmanager
    def listening(self) -> Iterator[None]:
        threading.Thread(target=self._wait, name="stopping", daemon=True).start()
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._over.set()
            self._heard.put(False)

    def _hear(self, number: int, _frame: Any) -> None:
        if not self._first:
            os._exit(128 + number)  # nothing that matters is only in memory
        self._first = False
        self._heard.put(True)

    def _wait(self) -> None:
        if self._heard.get():
            self.asked.set()
            if not self._over.wait(self._most.total_seconds()):
                log.warn("stopped without waiting any longer for what does not answer")
                end_process(self._code)


def serve(settings: Settings) -> int:
    loaded = read_campaigns(settings.campaigns, settings.templates)
    for mistake in loaded.mistakes:
        log.alarm(str(mistake))
    refuse_what_cannot_be_done(settings, loaded, None)
    stopping = Stopping(settings.drain, code=0)
    with open_database(settings) as database, sole_service(database), stopping.listening():
        parts = build(settings, database)
        with running_service(settings, parts, kind="serve") as service:
            serves = ", ".join(sorted(loaded.campaigns)) or "no campaign yet"
            log.say(f"node={parts.node} serves {serves}; stop it with Ctrl-C or SIGTERM")
            stopping.asked.wait()
            _stop(service, settings)
    return 0


def run(settings: Settings, campaign: str | None, *, json: bool) -> int:
    """Returns 1 where a broken campaign could not be rung."""
    broken = campaign is None and bool(read_campaigns(settings.campaigns, settings.templates).mistakes)
    result, interrupted = run_today(settings, campaign)
    if json:
        print_json(result.as_dict())
    else:
        tell(result)
    return 130 if interrupted else int(broken)


def run_today(settings: Settings, campaign: str | None) -> tuple[Figures, bool]:
    """Until nothing is left to do today, or somebody stops it. Returns the figures, and whether it was stopped."""
    loaded = read_campaigns(settings.campaigns, settings.templates)
    refuse_what_is_wrong(loaded, campaign)
    refuse_what_cannot_be_done(settings, loaded, campaign)
    stopping = Stopping(settings.drain)
    with open_database(settings) as database, sole_service(database), stopping.listening():
        refuse_beside_a_service(database)
        parts = build(settings, database)
        since = parts.clock.now()
        end = end_of_day(since, loaded, campaign)

        def look() -> Figures:
            return figures(database, campaign, since=since, until=end)

        with running_service(settings, parts, kind="run", scope=Scope(campaign=campaign), today=True) as service:
            watch(service, stopping, end, look)
            if stopping.asked.is_set():
                _stop(service, settings)
        return look(), stopping.asked.is_set()


@contextmanager
def running_service(
    settings: Settings, parts: Parts, *, kind: str, scope: Scope = EVERYTHING, today: bool = False
) -> Iterator[Service]:
    if settings.only_numbers:
        log.say(f"rehearsal: {only_these(settings)} (DIALER_ONLY_NUMBERS)")
    service = Service(parts, kind=kind, scope=scope, today=today)
    web: AbstractContextManager[object] = nullcontext()
    try:
        if settings.public_url is not None:
            web = WebServer(service.web, settings.listen_host, settings.listen_port)
        with web:
            service.start()
            yield service
    finally:
        service.close()


def only_these(settings: Settings) -> str:
    many = len(settings.only_numbers)
    return f"only {many} number{' is' if many == 1 else 's are'} rung"


def watch(service: Service, stopping: Stopping, end: datetime, look: Callable[[], Figures]) -> None:
    """Progress until nothing is left before `end`."""
    with progress("reading Bitrix24 …") as show:
        while not stopping.asked.wait(LOOK_EVERY):
            if not service.first_reading.is_set():
                continue
            seen = look()
            show(seen.line(), seen.ended, seen.ended + seen.planned + seen.live)
            if not service.left_today(end):
                break
    print(look().line(), file=sys.stderr, flush=True)


def end_of_day(now: datetime, loaded: Loaded, campaign: str | None) -> datetime:
    zones = [file.campaign.time_zone for name, file in loaded.campaigns.items() if campaign in (None, name)]
    ends = []
    for zone in zones:
        local = now.astimezone(ZoneInfo(zone))
        tomorrow = datetime.combine(local.date() + timedelta(days=1), clock_time(), ZoneInfo(zone))
        ends.append(tomorrow.astimezone(ZoneInfo("UTC")))
    return max(ends)


def _stop(service: Service, settings: Settings) -> None:
    drain = settings.drain
    log.say(f"stopping: nobody new is rung; live calls are waited for, at most {drain.total_seconds():.0f} s")
    service.stop_dialing()
    service.drain(drain)
    log.say("stopped")


def tell(result: Figures) -> None:
    if result.dispositions:
        print_counts("What became of the calls", result.dispositions)
    else:
        talk.print("Nobody was rung.")
    if result.left_out:
        print_counts("Not rung, and why", result.left_out)
    if result.to_mend:
        rows = [(one["campaign"], one["kind"], one["how_many"], one["why"]) for one in result.to_mend[:MENDED_SHOWN]]
        print_table("Not written yet: somebody has to mend something first", ("campaign", "what", "", "why"), rows)
        talk.print("They stay owed for a day: `dialer serve`, or another `dialer run`, writes what is mended by then.")
    if result.later:
        wait = "waits" if result.later == 1 else "wait"
        talk.print(f"{people(result.later)} {wait} for another day; `dialer status` shows when, and what for.")


def refuse_what_is_wrong(loaded: Loaded, campaign: str | None) -> None:
    """One broken campaign does not keep the others from being rung; it is told of."""
    if campaign is None:
        if loaded.mistakes and not loaded.campaigns:
            raise CampaignError(loaded.mistakes)
        if not loaded.campaigns:
            raise SettingsError("there are no campaigns here: `dialer init` writes one, or set DIALER_CAMPAIGNS")
        for mistake in sorted(loaded.mistakes):
            print(shown(mistake), file=sys.stderr)
    elif campaign in loaded.broken:
        raise CampaignError(loaded.mistakes)
    elif campaign not in loaded.campaigns:
        known = ", ".join(sorted(loaded.campaigns)) or "none"
        raise SettingsError(f"there is no campaign '{campaign}'; known: {known}")


def refuse_what_cannot_be_done(settings: Settings, loaded: Loaded, campaign: str | None) -> None:
    """Everything that is missing, not the first. Without a public URL no provider can ask what to say after a key."""
    wanted: list[tuple[object, str, str]] = [
        (settings.knows_a_portal or None, "DIALER_BITRIX24_WEBHOOK_URL", "people are read from Bitrix24"),
    ]
    chosen = {name: file.campaign for name, file in loaded.campaigns.items() if campaign in (None, name)}
    used = {str(one.trunk) for one in chosen.values()} or set(configured(settings)) or {TRUNK}
    if "twilio" in used:
        wanted += [
            (settings.twilio_account_sid, "TWILIO_ACCOUNT_SID", "calls are placed through Twilio"),
            (settings.twilio_auth_token, "TWILIO_AUTH_TOKEN", "calls are placed through Twilio"),
        ]
    if "asterisk" in used:
        through = "calls are placed through Asterisk"
        wanted += [
            (settings.asterisk_url, "DIALER_ASTERISK_URL", through),
            (settings.asterisk_password, "DIALER_ASTERISK_PASSWORD", through),
            (settings.asterisk_dial, "DIALER_ASTERISK_DIAL", "it says how Asterisk dials a number"),
        ]
    asking = sorted(name for name, one in chosen.items() if "keys" in one.needs and one.trunk == "twilio")
    if asking:
        what_for = (
            f"the keys of {', '.join(asking)} cannot be heard without it;"
            " it is the https address under which the provider reaches DIALER_LISTEN"
        )
        wanted.append((settings.public_url, "DIALER_PUBLIC_URL", what_for))
    if asking or (settings.public_url is not None and "twilio" in configured(settings)):
        wanted.append((settings.secret, "DIALER_SECRET", "it signs the addresses that the provider calls"))
    recorded = sorted(name for name, one in chosen.items() if one.recording is not None)
    if recorded:
        why = f"{', '.join(recorded)} records calls, which are kept in that folder"
        wanted.append((settings.recordings, "DIALER_RECORDINGS", why))
    missing = [f"{variable} is not set: {what_for}" for value, variable, what_for in wanted if value is None]
    if missing:
        raise SettingsError("\n".join([*missing, "put them into .env or the environment; docs/going-live.md says how"]))


def refuse_beside_a_service(database: Database) -> None:
    alive = sa.select(nodes.c.name).where(
        nodes.c.kind == "serve", nodes.c.seen_at > database.now() - timedelta(seconds=30)
    )
    name = database.read(lambda c: c.execute(alive.limit(1)).scalar())
    if name is not None and not database.is_sqlite:
        raise DatabaseRefused(
            f"a service already runs on this database (node {name}) and rings its campaigns;"
            " `dialer status` shows how far it is"
        )
