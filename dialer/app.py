"""Builds the parts from settings and wires them: the only module that knows all of them."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import sqlalchemy as sa

from dialer import log
from dialer.clock import Clock
from dialer.crm.bitrix24 import Bitrix24
from dialer.crm.bitrix24.access import Application, Webhook
from dialer.errors import DialerError
from dialer.lasting import billed_at_most as billed_at_most
from dialer.memory.budgets import Budget
from dialer.memory.campaign_store import Store
from dialer.memory.database import Database
from dialer.memory.migrate import installation_key, migrate
from dialer.memory.shelf import Shelf
from dialer.memory.tables import attempts, targets
from dialer.memory.token_store import TokenStore
from dialer.parts import Parts, a_node
from dialer.providers.asterisk import Address, Asterisk, Line, Sounds, by_command
from dialer.providers.base import Ability, Recorder
from dialer.providers.twilio import Twilio
from dialer.providers.twilio.voices import doubtful_voice as doubtful_voice
from dialer.providers.twilio.voices import unknown_voice as unknown_voice
from dialer.providers.twilio.voices import voice_for as voice_for
from dialer.providers.twilio.voices import wrong_voice as wrong_voice
from dialer.providers.twilio.webhooks import Webhooks
from dialer.script import Script, from_json
from dialer.sealing import seal, unseal
from dialer.settings import Settings, need
from dialer.stages.dial import Desk
from dialer.stages.record import Timing
from dialer.stages.write_back import Manners
from dialer.web.installing import Door, doors

TRUNK = "twilio"
ABILITIES = {"twilio": Twilio.abilities, "asterisk": Asterisk.abilities}
AUTHORIZED, STATE_LIVES = "authorize", 3600
PLACEMENTS_MOST = 100


def open_database(settings: Settings) -> Database:
    """Migrated. Raises DatabaseRefused."""
    database = Database(settings.database_url)
    before, after = migrate(database)
    if before != after:
        what = f"version {before} → {after}" if before else f"a new database, version {after}"
        log.say(f"{database.shown}: {what}")
    return database


def build(settings: Settings, database: Database) -> Parts:
    """Raises SettingsError for what is missing to dial and to write back."""
    clock = Clock()
    clock.follow(database.now)
    key, node = installation_key(database), a_node()
    return Parts(
        node=node,
        database=database,
        clock=clock,
        store=Store(database),
        crm=crm(settings, clock, database),
        doors=installation(settings, clock, database),
        desks=desks(settings, key, node),
        key=key,
        timing=Timing(wrap_up=settings.wrap_up, silent_after=settings.silent_after),
        manners=Manners(doubt_after=settings.doubt_after, linger=settings.linger, dead_after=settings.dead_after),
        fresh_for=settings.fresh_for,
        give_up_after=settings.give_up_after,
        keep_days=settings.keep_days,
        shelf=shelf(settings),
        campaigns=settings.campaigns,
        templates=settings.templates,
        load_script=lambda attempt: load_script(database, attempt),
        token_hash=settings.token_hash,
    )


def crm(settings: Settings, clock: Clock, database: Database | None = None) -> Bitrix24:
    application = application_of(settings, clock, database)
    if application is None:
        url = need(settings.bitrix24_webhook_url, "DIALER_BITRIX24_WEBHOOK_URL", "people are read from Bitrix24")
    return Bitrix24(
        application or Webhook(url), clock=clock.now, rate=settings.bitrix24_requests_per_second,
        burst=settings.bitrix24_burst, send_within=settings.send_within, log=log.warn,
    )  # fmt: skip


def application_of(settings: Settings, clock: Clock, database: Database | None = None) -> Application | None:
    """None where the way in is a webhook."""
    if settings.bitrix24_client_id is None:
        return None
    secret = need(settings.bitrix24_client_secret, "DIALER_BITRIX24_CLIENT_SECRET", "it belongs to the application")
    store = TokenStore(database or Database(settings.database_url), _sealing(settings), node=a_node(), clock=clock.now)
    return Application(
        settings.bitrix24_client_id, secret, store, clock=clock.now, oauth_url=settings.bitrix24_oauth_url
    )


def installation(settings: Settings, clock: Clock, database: Database) -> dict[str, Door]:
    """Where a portal brings its tokens; nowhere where the way in is a webhook."""
    application = application_of(settings, clock, database)
    if application is None:
        return {}
    secrets = _sealing(settings)
    return doors(
        install=application.install,
        authorize=application.authorize,
        is_ours=lambda state: unseal(state, secrets, ttl=STATE_LIVES) == AUTHORIZED,
        is_installed=lambda: application.is_installed and not application.trouble(),
    )


def authorization_address(settings: Settings, portal: str) -> str:
    """What an administrator of the portal opens in a browser, within an hour."""
    state = quote(seal(AUTHORIZED, _sealing(settings)[0]))
    return f"https://{portal}/oauth/authorize/?client_id={settings.bitrix24_client_id}&state={state}"


def _sealing(settings: Settings) -> list[str]:
    secret = need(settings.secret, "DIALER_SECRET", "it seals the application's tokens")
    return [secret, *_texts(settings.secret_previous)]


def provider(settings: Settings, key: str) -> Twilio:
    sid = need(settings.twilio_account_sid, "TWILIO_ACCOUNT_SID", "calls are placed through Twilio")
    token = need(settings.twilio_auth_token, "TWILIO_AUTH_TOKEN", "calls are placed through Twilio")
    webhooks = None
    if settings.public_url is not None:
        secret = need(settings.secret, "DIALER_SECRET", "it signs the addresses that Twilio calls")
        webhooks = Webhooks(
            settings.public_url,
            key,
            tokens=[token, *_texts(settings.twilio_auth_token_previous)],
            secrets=[secret, *_texts(settings.secret_previous)],
            account=sid,
        )
    return Twilio(
        sid, token, webhooks=webhooks, api_url=settings.twilio_api_url, timeout=settings.twilio_timeout,
        lists_lag=settings.twilio_lists_lag,
    )  # fmt: skip


def asterisk(settings: Settings, node: str) -> Asterisk:
    what_for = "calls are placed through Asterisk"
    address = Address(
        need(settings.asterisk_url, "DIALER_ASTERISK_URL", what_for),
        settings.asterisk_user,
        need(settings.asterisk_password, "DIALER_ASTERISK_PASSWORD", what_for),
    )
    dial = need(settings.asterisk_dial, "DIALER_ASTERISK_DIAL", "it says how a number is dialed there")
    # events come home: each node listens under a name of its own
    line = Line(f"dialer-{node}", dial, settings.asterisk_amd_context)
    return Asterisk(address, line, sounds(settings), say=log.say, warn=log.warn, timeout=settings.asterisk_timeout)


def sounds(settings: Settings) -> Sounds:
    return Sounds(
        settings.asterisk_sounds, settings.asterisk_sounds_name, by_command(settings.speech_command),
        way=settings.speech_command, voice=settings.speech_voice or "",
    )  # fmt: skip


def shelf(settings: Settings) -> Shelf | None:
    return None if settings.recordings is None else Shelf(settings.recordings)


def recorders(settings: Settings) -> dict[str, Recorder]:
    """By trunk, those that are configured."""
    return {"asterisk": asterisk(settings, "recordings")} if "asterisk" in configured(settings) else {}


def why_mute(settings: Settings) -> str:
    """Empty where words become sound; nothing is left behind."""
    with TemporaryDirectory(prefix="dialer-") as folder:
        tried = Sounds(Path(folder), "dialer", by_command(settings.speech_command))
        try:
            tried.try_out()
        except DialerError as error:
            return str(error)
    return ""


def configured(settings: Settings) -> list[str]:
    """The trunks that this node rings through."""
    given = {"twilio": settings.twilio_account_sid or settings.twilio_auth_token, "asterisk": settings.asterisk_url}
    return [name for name, value in given.items() if value is not None]


def desk(settings: Settings, key: str) -> Desk:
    """Twilio's alone."""
    return _twilio_desk(settings, key, "")


def desks(settings: Settings, key: str, node: str) -> tuple[Desk, ...]:
    """One of each provider that is configured. Raises SettingsError where there is none, or one only half."""
    names = configured(settings) or ["twilio"]
    return tuple(_DESKS[name](settings, key, node) for name in names)


def _twilio_desk(settings: Settings, key: str, _node: str) -> Desk:
    twilio, rate = provider(settings, key), settings.twilio_calls_per_second
    # a placement waits for its slot up to 0.3 s and for the provider's answer as long again
    most = settings.placements or min(max(4, math.ceil(rate * 0.8) + 2), PLACEMENTS_MOST)
    return Desk(twilio, budget(settings, key), most, receiver=twilio)


def _asterisk_desk(settings: Settings, key: str, node: str) -> Desk:
    own, rate = asterisk(settings, node), settings.asterisk_calls_per_second
    # its answer takes milliseconds, and each thread holds one of its HTTP sessions
    most = settings.placements or min(max(4, math.ceil(rate * 0.4) + 2), PLACEMENTS_MOST // 2)
    return Desk(own, budget(settings, key, "asterisk"), most, listener=own, recorder=own)


_DESKS = {"twilio": _twilio_desk, "asterisk": _asterisk_desk}


def budget(settings: Settings, key: str, trunk: str = TRUNK) -> Budget:
    is_twilio = trunk == "twilio"
    slow = settings.twilio_timeout + settings.twilio_lists_lag
    return Budget(
        trunk=trunk,
        lines=settings.twilio_lines if is_twilio else settings.asterisk_lines,
        calls_per_second=settings.twilio_calls_per_second if is_twilio else settings.asterisk_calls_per_second,
        send_within=settings.send_within,
        ask_after=slow if is_twilio else settings.asterisk_timeout + Asterisk.lists_lag,
        fresh_for=settings.fresh_for,
        only=settings.only_numbers,
        key=key,
        billed_at_most=billed_at_most,
        records=Ability.recording in ABILITIES[trunk],
    )


def load_script(database: Database, attempt: int) -> Script | None:
    pinned = (
        sa.select(targets.c.script).join(attempts, attempts.c.target_id == targets.c.id).where(attempts.c.id == attempt)
    )
    text = database.read(lambda c: c.execute(pinned).scalar())
    return None if text is None else from_json(text)


def _texts(secret: object) -> list[str]:
    return [] if secret is None else [need(secret, "", "")]
