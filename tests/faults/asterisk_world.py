"""The same world with a telephone system of one's own: the nodes ring through the sandbox's Asterisk, over its ARI."""

from __future__ import annotations

import wave

import sqlalchemy as sa

from dialer.memory.shelf import Shelf
from dialer.memory.tables import recordings
from dialer.sandbox.ari import Pbx
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from tests.faults.world import CALLER_ID, CAMPAIGN, Rung, World

PASSWORD = "p" * 24


class AsteriskWorld(World):
    campaign = "\n".join((
        "trunk: asterisk", "recording: {announcement: This call is recorded.}",
        CAMPAIGN.replace("wait: 5 seconds", "wait: 2 seconds"),
    ))  # fmt: skip

    def companies(self, portal: Portal, *, seed: int, speed: float) -> Sandbox:
        pbx = Pbx(
            user="dialer", password=PASSWORD, sounds=self.folder / "sounds", seed=seed, speed=speed,
            version="20.6.0" if self.database.is_sqlite else "22.10.1",
        )  # fmt: skip
        (self.folder / "sounds" / "dialer").mkdir(parents=True)
        with wave.open(str(self.folder / "hum.wav"), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(b"\0\0" * 8000)
        telephone = Telephone(account_sid="AC" + "0" * 32, auth_token="t" * 32, caller_ids=[CALLER_ID])
        return Sandbox(portal, telephone, pbx=pbx)

    def environment(self) -> dict[str, str]:
        return {
            "DIALER_BITRIX24_WEBHOOK_URL": self.sandbox.webhook_url, "DIALER_ASTERISK_URL": self.sandbox.ari_url,
            "DIALER_ASTERISK_PASSWORD": PASSWORD, "DIALER_ASTERISK_DIAL": "PJSIP/{number}@trunk",
            "DIALER_ASTERISK_SOUNDS": str(self.folder / "sounds" / "dialer"), "DIALER_ASTERISK_TIMEOUT": "2",
            "DIALER_ASTERISK_LINES": str(self.lines), "DIALER_ASTERISK_CALLS_PER_SECOND": str(self.rate),
            "DIALER_RECORDINGS": str(self.shelf.folder),
            "DIALER_SPEECH_COMMAND": f"cp {self.folder / 'hum.wav'} {{file}}",
        }  # fmt: skip

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.folder / "recordings")

    def unheard(self) -> set[str]:
        """Recordings that are neither at Asterisk nor, as their rows say, in our folder."""
        tape = self.sandbox.pbx.tape
        kept = sa.select(recordings.c.name).where(recordings.c.state == "kept")
        names = set(self.database.read(lambda c: c.execute(kept).scalars().all()))
        return set(tape.made) - set(tape.stored) - {name for name in names if self.shelf.holds(name)}

    def rung(self) -> list[Rung]:
        return [
            Rung(
                call.id.removeprefix("dial-").removesuffix("."), f"+{call.number}", call.state, call.created,
                call.rang_at, call.ended_at, call.acknowledged,
            )
            for call in list(self.sandbox.pbx.calls)
            if "originator" not in call.asked
        ]  # fmt: skip

    def requests(self) -> list[tuple[float, str, bool]]:
        calls = [call for call in list(self.sandbox.pbx.calls) if "originator" not in call.asked]
        return [(call.created, call.number, True) for call in calls]
