"""`demo`: a whole campaign day on the sandbox. All but the portal and the telephone company is what `run` runs."""

from __future__ import annotations

import secrets
import shutil
import socket
import sys
import tempfile
from collections import Counter
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.panel import Panel

from dialer.commands.init import starter
from dialer.commands.output import data, print_json, talk
from dialer.commands.running import run_today, tell
from dialer.sandbox.people import make_people
from dialer.sandbox.portal import Portal
from dialer.sandbox.server import Sandbox
from dialer.sandbox.telephone import Telephone
from dialer.settings import Settings, read_settings

ACCOUNT, CALLER_ID = "AC" + "0" * 32, "+74955550100"
SPEED = 12.0
NEXT = """\
Next, with your own people:
  dialer init my-campaigns && cd my-campaigns     a campaign, its words, and an .env with a fresh secret
  dialer check                                    what is wrong, where, and what to do
  dialer plan                                     whom today's reading would ring, and whom not, and why"""


def demo(*, people: int, json: bool) -> int:
    folder = Path(tempfile.mkdtemp(prefix="dialer-demo-"))
    try:
        with _sandbox(people) as sandbox:
            settings = _settings(folder, sandbox)
            talk.print(
                f"A portal with {people} people and a telephone company, both on this machine; time runs {SPEED:.0f}×."
            )
            result, interrupted = run_today(settings, None)
            if json:
                print_json({**result.as_dict(), "referee": referee(sandbox), "timeline": _timeline(sandbox)[1]})
            else:
                tell(result)
                if not interrupted:
                    _tell_more(sandbox)
        return 130 if interrupted else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sandbox(people: int) -> Sandbox:
    today = datetime.now(ZoneInfo("Europe/Moscow")).date()
    portal = Portal(make_people(people, today=today), secret=secrets.token_urlsafe(12))
    telephone = Telephone(
        account_sid=ACCOUNT, auth_token=secrets.token_hex(16), caller_ids=[CALLER_ID], speed=SPEED, answer_after=0.1,
        lists_lag=1.0,
    )  # fmt: skip
    return Sandbox(portal, telephone)


def _settings(folder: Path, sandbox: Sandbox) -> Settings:
    """Ordinary ones: shorter waits, because the telephone company's time runs faster."""
    (folder / "campaigns").mkdir()
    (folder / "campaigns" / "renewal.yaml").write_text(
        resources.files("dialer.sandbox").joinpath("demo.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    shutil.copytree(starter() / "templates", folder / "templates")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "DIALER_DATABASE_URL": f"sqlite:///{folder / 'dialer.db'}",
        "DIALER_CAMPAIGNS": str(folder / "campaigns"),
        "DIALER_TEMPLATES": str(folder / "templates"),
        "DIALER_SECRET": secrets.token_urlsafe(32),
        "DIALER_LISTEN": f"127.0.0.1:{port}",
        "DIALER_PUBLIC_URL": f"http://127.0.0.1:{port}",
        **sandbox.environment(),
        "DIALER_TWILIO_LINES": "60",
        "DIALER_TWILIO_CALLS_PER_SECOND": "12",
        "DIALER_TWILIO_LISTS_LAG": "2",
        "DIALER_SILENT_AFTER": "10",
        "DIALER_WRAP_UP": "1",
        "DIALER_LINGER": "2",
    }
    return read_settings(folder, environment)


def referee(sandbox: Sandbox) -> dict[str, int]:
    """From the books of the portal and the telephone company, not from ours."""
    calls = list(sandbox.telephone.calls.values())
    refs = Counter(str(call.asked.get("StatusCallback")) for call in calls)
    records = Counter(str(one.get("ORIGIN_ID")) for one in sandbox.portal.activities.values())
    notes = Counter(str(one["COMMENT"]).split()[-1] for one in sandbox.portal.comments.values())
    return {
        "calls": len(calls),
        "people": len({call.to for call in calls}),
        "rung_twice_for_one_attempt": sum(count - 1 for count in refs.values()),
        "call_records": records.total(),
        "notes": notes.total(),
        "doubled_entries": sum(count - 1 for count in (*records.values(), *notes.values())),
        "calls_without_a_record": len(calls) - len(records),
    }


def _timeline(sandbox: Sandbox) -> tuple[str, list[dict[str, Any]]]:
    """Of the person with the longest story: how they are called, and their card's entries, oldest first."""

    def story(contact: int) -> tuple[int, int]:
        entries = sandbox.portal.timeline("contact", contact)
        return len(entries), sum(len(one["text"]) for one in entries)

    cards = sandbox.portal.cards.items[3]
    longest = max(cards, key=story)
    name = f"{cards[longest]['name']} {cards[longest]['lastName']}"
    return f"{name}, contact {longest}", sandbox.portal.timeline("contact", longest)


def _tell_more(sandbox: Sandbox) -> None:
    seen = referee(sandbox)
    talk.print(
        f"By the books of the telephone company and the portal: {seen['calls']} calls to {seen['people']} people, "
        f"{seen['rung_twice_for_one_attempt']} placed twice, {seen['calls_without_a_record']} without a record, "
        f"{seen['doubled_entries']} entries doubled."
    )
    name, entries = _timeline(sandbox)
    data.print(f"\nWhat a manager sees in Bitrix24 on the card of {name}:")
    for one in entries:
        title = one["subject"] if one["kind"] == "call" else "Комментарий"
        data.print(Panel(one["text"].rpartition("\n#")[0] or one["text"], title=title, title_align="left", width=76))
    talk.print(f"\n{NEXT}")
    activate = Path(sys.argv[0]).with_name("activate")
    if shutil.which("dialer") is None and activate.is_file():
        talk.print(f"The command is not on your path yet; this puts it there:  . {activate}")
