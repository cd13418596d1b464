"""`retry`: what was set aside → looked for in the CRM, and sent where it does not stand."""

from __future__ import annotations

from dialer.commands.looking import open_to_look, refuse_an_unknown
from dialer.commands.output import data
from dialer.settings import Settings
from dialer.stages.write_back import send_again


def retry(settings: Settings, campaign: str | None) -> None:
    with open_to_look(settings) as database:
        refuse_an_unknown(database, campaign)
        count = send_again(database, campaign, doubt_after=settings.doubt_after, now=database.now())
    data.print(f"{count} entries that were set aside are looked for in the CRM, and sent again where they do not stand")
