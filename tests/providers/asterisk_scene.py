"""An Asterisk adapter with its sounds beside the sandbox's PBX."""

from __future__ import annotations

import time
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dialer.providers.asterisk import Address, Asterisk, Line, Sounds
from dialer.providers.base import News, Order, Placed
from dialer.sandbox.ari import Pbx
from dialer.sandbox.callees import Callee
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from tests.providers.scene import ask

USER, PASSWORD, TRUNK = "dialer", "p" * 24, "trunk"
SPEED = 12.0


def clock() -> datetime:
    return datetime.now(UTC)


def hum(text: str, language: str, voice: str, file: Path) -> None:
    """A second of nothing, as quickly as possible."""
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * 8000)


def pbx(folder: Path, **more: object) -> Pbx:
    whole: dict[str, object] = {"user": USER, "password": PASSWORD, "trunk": TRUNK, "sounds": folder, "speed": SPEED}
    return Pbx(**{**whole, **more})  # type: ignore[arg-type]


def asterisk(url: str, folder: Path, *, app: str = "dialer-test", timeout: float = 2.0, **more: object) -> Asterisk:
    said: Callable[[str], None] = more.pop("warn", print)  # type: ignore[assignment]
    line = Line(app, f"PJSIP/{{number}}@{TRUNK}", "dialer-amd", SPEED)
    sounds = Sounds(folder / "dialer", "dialer", hum)
    return Prepared(Address(url, USER, PASSWORD), line, sounds, say=said, warn=said, timeout=timedelta(seconds=timeout))


class Prepared(Asterisk):
    """Its words are ready before anybody is rung, as the service sees to it."""

    def place(self, order: Order) -> Placed:
        until = time.monotonic() + 5
        while not self.prepare(order.script) and time.monotonic() < until:
            time.sleep(0.01)
        return super().place(order)


def words_of(media: list[str], folder: Path) -> list[str]:
    return [(folder / f"{one.removeprefix('sound:')}.txt").read_text(encoding="utf-8") for one in media]


def stored(heard: list[News]) -> Callable[[News], Future[None]]:
    """As a database that is always well."""

    def hear(news: News) -> Future[None]:
        future: Future[None] = Future()
        heard.append(news)
        future.set_result(None)
        return future

    return hear


@dataclass
class Lab:
    """`provider` is listening, and everything it has told is in `heard`."""

    sandbox: Sandbox
    folder: Path
    heard: list[News]
    provider: Asterisk

    def befall(self, do: str) -> None:
        self.sandbox.pbx.faults.set(Rule("originate", do, times=1))

    def does(self, **more: object) -> None:
        self.sandbox.pbx.callees.told[None] = Callee(**more)  # type: ignore[arg-type]

    def known(self) -> News | None:
        return self.provider.look_up(ask())


@contextmanager
def lab_in(folder: Path, **more: object) -> Iterator[Lab]:
    """`more` is said of the telephone system, or `warn`."""
    warn = {"warn": more.pop("warn")} if "warn" in more else {}
    telephone = Telephone(account_sid="AC" + "0" * 32, auth_token="t" * 32, caller_ids=[])
    with Sandbox(Portal([], secret="p" * 16), telephone, pbx=pbx(folder, **more)) as made:
        heard: list[News] = []
        provider = asterisk(made.ari_url, folder, **warn)
        assert provider.listen(stored(heard), within=5, now=clock)
        lab = Lab(made, folder, heard, provider)
        lab.does()
        yield lab
        provider.close()
