"""Snoop channels and what they record: a live recording grows, and is a stored file all the while, as at a real one."""

from __future__ import annotations

import io
import time
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dialer.sandbox.ari_error import AriError
from dialer.sandbox.wire import Response

if TYPE_CHECKING:
    from dialer.sandbox.ari import Pbx
    from dialer.sandbox.ari_channel import Channel

LONGEST = 600
"""Seconds of a file."""


@dataclass(slots=True)
class Recording:
    """`heard`: the media that were played while it was made, as far as they were begun; `talked`: in a bridge, too."""

    name: str
    channel: Channel
    snoop: str
    began: float = field(default_factory=time.time)
    ended: float | None = None
    talked: bool = False
    _begun: int = 0

    def __post_init__(self) -> None:
        self._begun = len(self.channel.said)

    @property
    def heard(self) -> list[str]:
        return self.channel.said[self._begun :]

    @property
    def is_live(self) -> bool:
        return self.ended is None

    def resource(self) -> dict[str, Any]:
        state = "recording" if self.is_live else "done"
        return {"name": self.name, "format": "wav", "state": state, "target_uri": f"channel:{self.snoop}"}

    def file(self) -> bytes:
        seconds = ((self.ended or time.time()) - self.began) * self.channel.pbx.speed
        made = io.BytesIO()
        with wave.open(made, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(b"\0\0" * round(min(seconds, LONGEST) * 8000))
        return made.getvalue()


@dataclass(slots=True)
class Tape:
    """`made` are all recordings that ever were, by name; `stored` those whose file is still there.

    `works`: has it a folder to write to?
    """

    pbx: Pbx
    works: bool = True
    made: dict[str, Recording] = field(default_factory=dict)
    stored: dict[str, Recording] = field(default_factory=dict)
    _snoops: dict[str, Channel] = field(default_factory=dict)

    def snoop(self, channel: Channel, id: str, known: Mapping[str, str]) -> dict[str, Any]:
        if id in self._snoops:
            raise AriError(409, "Channel with given unique ID already exists")
        if known.get("spy") not in ("in", "out", "both") or not known.get("app"):
            raise AriError(400, "Invalid direction specified for spy")
        self._snoops[id] = channel
        self._tell(id, "StasisStart", args=known.get("appArgs", "").split(","))
        return self._resource(id)

    def is_snoop(self, id: str) -> bool:
        return id in self._snoops

    def ask_snoop(self, method: str, id: str, rest: list[str], known: Mapping[str, str]) -> Any:
        match method, rest:
            case "GET", []:
                return self._resource(id)
            case "DELETE", []:
                self._end(id)
                return None
            case "POST", ["record"]:
                return self._record(id, known)
        raise AriError(404, "Resource not found")

    def ask(self, method: str, rest: list[str]) -> Any:
        match method, rest:
            case "GET" | "DELETE", ["live", name]:
                recording = self.made.get(name)
                if recording is None or not recording.is_live:
                    raise AriError(404, "Recording not found")
                if method == "GET":
                    return recording.resource()
                self._finish(recording)
                self.stored.pop(name, None)
                return None
            case "GET", ["stored"]:
                if not self.works:
                    raise AriError(500, "Allocation failed")
                return [{"name": name, "format": "wav"} for name in self.stored]
            case "GET", ["stored", name, "file"]:
                return Response(200, self._stored(name).file(), "audio/wav")
            case "GET", ["stored", name]:
                return {"name": self._stored(name).name, "format": "wav"}
            case "DELETE", ["stored", name]:
                self._stored(name)
                del self.stored[name]
                return None
        raise AriError(404, "Resource not found")

    def bridged(self, channel: Channel) -> None:
        for recording in self.made.values():
            if recording.is_live and recording.channel is channel:
                recording.talked = True

    def ended(self, channel: Channel) -> None:
        """Whoever listened to it is gone with it."""
        for id in [id for id, one in self._snoops.items() if one is channel]:
            self._end(id)

    def forget_channels(self) -> None:
        """A restart: what was recorded stays."""
        for id in list(self._snoops):
            self._end(id)

    def _record(self, id: str, known: Mapping[str, str]) -> dict[str, Any]:
        name = known["name"]
        rule = self.pbx.faults.met("record")
        if not self.works or (rule is not None and rule.do == "500"):
            raise AriError(500, "Internal Server Error")
        if rule is not None and rule.do == "not_yet":
            raise AriError(409, "Channel not in Stasis application")
        if name in self.stored and known.get("ifExists", "fail") == "fail":
            raise AriError(409, f"Recording '{name}' already exists and can not be overwritten")
        recording = Recording(name, self._snoops[id], id)
        self.made[name] = self.stored[name] = recording
        self._tell_recording("RecordingStarted", recording)
        return recording.resource()

    def _end(self, id: str) -> None:
        for recording in self.made.values():
            if recording.snoop == id and recording.is_live:
                self._finish(recording)
        self._tell(id, "StasisEnd")
        del self._snoops[id]

    def _finish(self, recording: Recording) -> None:
        recording.ended = time.time()
        self._tell_recording("RecordingFinished", recording)

    def _stored(self, name: str) -> Recording:
        if name not in self.stored:
            raise AriError(404, "Recording not found")
        return self.stored[name]

    def _tell_recording(self, type: str, recording: Recording) -> None:
        self.pbx.tell(recording.channel.app, type, {"recording": recording.resource()})

    def _tell(self, id: str, type: str, **more: Any) -> None:
        self.pbx.tell(self._snoops[id].app, type, {**more, "channel": self._resource(id)})

    def _resource(self, id: str) -> dict[str, Any]:
        spied = self._snoops[id].resource()
        return {**spied, "id": id, "name": f"Snoop/{self._snoops[id].id}-{len(self.made):08x}", "state": "Up"}
