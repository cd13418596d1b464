"""What `explain` has found, for people: first what holds now, then every rule, attempt and entry."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from dialer.commands.output import data, print_table
from dialer.memory.person import Person

WIDTH = 100


def tell(person: Person, known: Mapping[str, Any]) -> None:
    """`known` is what `--json` prints. Moments are said by the clock of each campaign."""
    if known["do_not_call"]:
        columns = ("number", "source", "card", "reason", "since")
        rows = [[one[name] for name in columns] for one in known["do_not_call"]]
        print_table("Do not call", columns, rows, unbroken=("number",))
    for one in known["reasons"]:
        _tell_reason(one, now=known["at"])
    if not known["reasons"]:
        data.print(f"No reading has ever brought {person}: there is nobody to ring.")
    if known["crm"]:
        print_table(
            "What the campaigns say of it now",
            ("campaign", "why"),
            [(row["campaign"], row["why"]) for row in known["crm"]],
        )
    elif not known["reasons"] and person.number is not None:
        data.print("If the number stands on a card, ask about the card: `dialer explain contact 15`.")


def _tell_reason(one: Mapping[str, Any], *, now: datetime) -> None:
    zone = UTC if one["time_zone"] is None else ZoneInfo(one["time_zone"])
    held = one["version"]
    by = "" if held is None else f", by the file of {_at(held['since'], zone)} ({held['hash']})"
    data.print(f"\n{one['campaign']}: {one['card']}, contract until {one['contract_end']}, touch {one['touch']}{by}")
    data.print(_conclusion(one, zone, now=now))
    # these two the conclusion has said
    against = [row for row in one["rules"] if row["why"] and row["rule"] not in ("state", "planned")]
    if against:
        columns = ("rule", "number", "verdict", "at", "why")
        cells = [[row["rule"], row["number"], row["verdict"], _at(row["at"], zone), row["why"]] for row in against]
        print_table("Asked now, and not yes", columns, cells, unbroken=("number", "verdict", "at"))
    _list("Asked now, and yes", [", ".join(_yes(one))])
    _list("Why not, before", [f"{row['day']} {row['verdict']}: {row['reason']}" for row in one["decisions"]])
    _list("Attempts", [_attempt(row, zone) for row in one["attempts"]])
    _list("Recordings", [_recording(row, zone) for row in one["recordings"]])
    _list("Entries", [_entry(row, zone) for row in one["entries"]])


def _conclusion(one: Mapping[str, Any], zone: tzinfo, *, now: datetime) -> str:
    """The one thing that most people ask for."""
    if one["state"] != "open":
        state = one["state"].replace("_", " ")
        return f"It is {state}" + (f": {one['reason']}." if one["reason"] else ".")
    live = next((row for row in one["attempts"] if row["phase"] not in ("planned", "ended")), None)
    if live is not None:
        return f"A call is on the line since {_at(live['claimed_at'], zone)}: {live['phase']}."
    planned = next((row for row in one["attempts"] if row["phase"] == "planned"), None)
    against = [row["why"] for row in one["rules"] if row["why"] and row["rule"] != "planned"]
    if planned is not None and planned["due_at"] > now:
        why = f": {planned['reason']}" if planned["reason"] else ""
        return f"The next call is planned for {_at(planned['due_at'], zone)}{why}."
    if against:
        return f"It is not rung now: {'; '.join(dict.fromkeys(against))}."
    return "Every rule says yes: it is rung when its turn comes."


def _yes(one: Mapping[str, Any]) -> Iterator[str]:
    """Each rule once: of several numbers it may say yes to one and no to another."""
    yield from dict.fromkeys(row["rule"] for row in one["rules"] if not row["why"])


def _attempt(row: Mapping[str, Any], zone: tzinfo) -> str:
    if row["phase"] == "planned":
        said = f"{_at(row['due_at'], zone)} planned, {row['number']}"
        return said + "".join(f": {why}" for why in (row["reason"], row["detail"]) if why)
    shown = f", {row['caller_id']} was shown" if row["caller_id"] else ""
    became = row["disposition"] or row["phase"]
    answer = f", answer {row['answer']}" if row["answer"] else ""
    detail = f" ({row['detail']})" if row["detail"] else ""
    no_dial = "" if row["is_a_dial"] or row["phase"] != "ended" else ", counts as no dial"
    at = row["claimed_at"] or row["ended_at"] or row["due_at"]
    return f"{_at(at, zone)} attempt {row['attempt']}, {row['number']}{shown}: {became}{answer}{detail}{no_dial}"


def _entry(row: Mapping[str, Any], zone: tzinfo) -> str:
    sent = f", sent {_at(row['sent_at'], zone)}" if row["sent_at"] else ""
    remote = f", its id there {row['remote_id']}" if row["remote_id"] else ""
    return f"{row['kind']} {row['ref']}: {row['state'].replace('_', ' ')}{sent}{remote}" + (
        f" ({row['why']})" if row["why"] else ""
    )


def _recording(row: Mapping[str, Any], zone: tzinfo) -> str:
    where = f", {row['where']}" if row["where"] else ""
    until = f", until {row['until'].astimezone(zone):%d %b %Y}" if row["until"] else ""
    why = f" ({row['why']})" if row["why"] else ""
    return f"of attempt {row['attempt']}: {row['state']}{where}{until}{why}"


def _list(title: str, lines: list[str]) -> None:
    if any(lines):
        data.print(title)
        for line in lines:
            data.print(
                textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
            )


def _at(moment: datetime | None, zone: tzinfo) -> str:
    return "" if moment is None else f"{moment.astimezone(zone):%d %b %H:%M %Z}"
