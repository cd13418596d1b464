"""`suppress`: a number → never dialed again."""

from __future__ import annotations

from dialer.commands.looking import open_to_look
from dialer.commands.output import data, readable
from dialer.errors import SettingsError
from dialer.memory.cancelling import suppress as suppress_number
from dialer.phone_number import mask, read_all
from dialer.settings import Settings


def suppress(settings: Settings, number: str, *, reason: str, region: str) -> None:
    phones = read_all(number, region=region)
    if len(phones) != 1:
        raise SettingsError(f"'{number[:80]}' is not one phone number; write it as +79161234567")
    with open_to_look(settings) as database:
        number, why, now = phones[0].number, readable(reason), database.now()
        database.write(lambda c: suppress_number(database, c, number, source="command", reason=why, now=now))
        data.print(f"{mask(number)} is not called any more by whoever uses {database.shown}")
