"""Files become versions: the one last changed holds. A broken, unreadable or missing one stops its campaign.

Who waits is cancelled only when the file has been gone for a minute.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dialer.checking.files import Loaded, read_campaigns
from dialer.memory.campaign_store import Look, Store, not_in_force, take_in
from dialer.memory.database import Database
from dialer.memory.tables import campaigns, readings, targets, versions
from tests.campaign.folder import STARTER, changed, read
from tests.rows import add_target

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def stopped(database: Database) -> dict[str, Any]:
    rows = database.read(lambda c: c.execute(sa.select(campaigns.c.name, campaigns.c.stopped)).all())
    return {name: why for name, why in rows}


def state(database: Database, target: int) -> str:
    query = sa.select(targets.c.state).where(targets.c.id == target)
    return database.read(lambda c: str(c.execute(query).scalar_one()))


def again(folder: Path) -> Loaded:
    return read_campaigns(folder / "campaigns", folder / "templates")


def test_a_broken_file_stops_its_campaign_and_no_other_and_cancels_nobody(database: Database, tmp_path: Path) -> None:
    read(tmp_path, changed("campaign:", "campaign: other"), name="b.yaml")
    take_in(database, read(tmp_path, STARTER, name="a.yaml"), now=NOW)
    waiting = add_target(database, NOW)
    for broken in ("campaign: renewal\npurpose: [", b"campaign: renewal\n\xff", changed("purpose:", "purpose: x")):
        loaded = read(tmp_path, broken, name="a.yaml")
        take_in(database, loaded, now=NOW)
        assert stopped(database)["other"] is None
        assert stopped(database)["renewal"].startswith("its file has a mistake: ")
        assert state(database, waiting) == "open"
        running = Store(database).running()
        assert running["renewal"].stopped
        assert running["other"].stopped is None
    take_in(database, read(tmp_path, STARTER, name="a.yaml"), now=NOW)
    assert stopped(database) == {"other": None, "renewal": None}


def test_a_deleted_file_stops_at_once_and_cancels_who_waits_after_a_minute(database: Database, tmp_path: Path) -> None:
    take_in(database, read(tmp_path, STARTER), now=NOW)
    waiting = add_target(database, NOW)
    (tmp_path / "campaigns" / "renewal.yaml").unlink()
    for seconds, expected in ((0, "open"), (59, "open"), (60, "cancelled")):
        take_in(database, again(tmp_path), now=NOW + timedelta(seconds=seconds))
        assert stopped(database) == {"renewal": "its file is gone"}
        assert state(database, waiting) == expected


def test_a_file_that_is_missing_now_and_then_cancels_nobody(database: Database, tmp_path: Path) -> None:
    """Whoever saves it, or brings it up to date, may take it away for a moment."""
    take_in(database, read(tmp_path, STARTER), now=NOW)
    waiting = add_target(database, NOW)
    add_reading(database)
    for minute in range(3):
        (tmp_path / "campaigns" / "renewal.yaml").unlink()
        take_in(database, again(tmp_path), now=NOW + timedelta(minutes=minute))
        take_in(database, read(tmp_path, STARTER), now=NOW + timedelta(minutes=minute, seconds=10))
        assert stopped(database) == {"renewal": None}
    assert state(database, waiting) == "open"
    assert reading(database) == ("done", "me")


def test_who_was_cancelled_with_the_file_is_read_again_when_it_comes_back(database: Database, tmp_path: Path) -> None:
    take_in(database, read(tmp_path, STARTER), now=NOW)
    add_reading(database)
    (tmp_path / "campaigns" / "renewal.yaml").unlink()
    take_in(database, again(tmp_path), now=NOW)
    take_in(database, again(tmp_path), now=NOW + timedelta(minutes=2))
    assert reading(database) == ("done", "me")
    take_in(database, read(tmp_path, STARTER), now=NOW + timedelta(minutes=3))
    assert reading(database) == ("reading", None)


def add_reading(database: Database) -> None:
    row = {"campaign": "renewal", "day": NOW.date(), "state": "done", "node": "me", "claimed_at": NOW, "people": 0,
           "targets": 0, "left_out": 0}  # fmt: skip
    database.write(lambda c: c.execute(sa.insert(readings), row))


def reading(database: Database) -> tuple[str, str | None]:
    row = database.read(lambda c: c.execute(sa.select(readings.c.state, readings.c.node)).one())
    return row.state, row.node


def test_while_a_folder_or_a_file_cannot_be_read_it_stops_and_cancels_nobody(
    database: Database, tmp_path: Path
) -> None:
    take_in(database, read(tmp_path, STARTER), now=NOW)
    waiting = add_target(database, NOW)
    (tmp_path / "campaigns").rename(tmp_path / "away")
    take_in(database, again(tmp_path), now=NOW)
    assert stopped(database) == {"renewal": "its file cannot be read"}
    (tmp_path / "away").rename(tmp_path / "campaigns")
    (tmp_path / "campaigns" / "renewal.yaml").rename(tmp_path / "campaigns" / "renamed.yaml")
    (tmp_path / "campaigns" / "renamed.yaml").write_bytes(b"\xff\xfe")
    take_in(database, again(tmp_path), now=NOW)
    assert stopped(database) == {"renewal": "its file cannot be read"}
    assert state(database, waiting) == "open"
    (tmp_path / "campaigns" / "renamed.yaml").write_text(STARTER, encoding="utf-8")
    take_in(database, again(tmp_path), now=NOW)
    assert stopped(database) == {"renewal": None}


def heard_after(database: Database) -> float:
    return Store(database).running()["renewal"].campaign.heard_after.total_seconds()


def out_of_force(database: Database, loaded: Loaded) -> dict[str, str]:
    return database.read(lambda c: not_in_force(c, loaded))


NEWER = changed("heard_after:", "heard_after: 9 seconds")
HOUR = timedelta(hours=1)


def test_a_file_that_is_changed_back_while_the_service_runs_is_in_force_again(
    database: Database, tmp_path: Path
) -> None:
    """Whatever the clocks say: whoever runs the service sees that somebody changed it."""
    looks: dict[str, Look] = {}
    later = datetime.now(UTC) + HOUR
    for minute, (text, expected) in enumerate([(STARTER, 8), (NEWER, 9), (STARTER, 8), (NEWER, 9), (STARTER, 8)]):
        loaded = read(tmp_path, text)
        take_in(database, loaded, now=later + timedelta(minutes=minute), looks=looks)
        assert heard_after(database) == expected
        assert out_of_force(database, loaded) == {}
    count = database.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(versions)).scalar_one())
    assert count == 2


def test_a_file_that_was_put_back_while_nothing_ran_is_in_force_at_the_next_start(
    database: Database, tmp_path: Path
) -> None:
    """Even with the times it had before, as `mv` and `cp -p` put it back."""
    before = datetime.now(UTC) - HOUR
    take_in(database, read(tmp_path, STARTER), now=before - HOUR)
    take_in(database, read(tmp_path, NEWER), now=before)
    back = read(tmp_path, STARTER)
    for path in tmp_path.rglob("*.*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert "is not in force yet" in out_of_force(database, back)["renewal"]
    take_in(database, again(tmp_path), now=datetime.now(UTC))
    assert heard_after(database) == 8


def test_an_old_file_on_another_node_is_ignored_until_somebody_saves_it(database: Database, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    old = read(theirs, STARTER)
    take_in(database, old, now=datetime.now(UTC))
    take_in(database, read(ours, NEWER), now=datetime.now(UTC) + HOUR)
    looks: dict[str, Look] = {}
    for _ in range(2):
        take_in(database, again(theirs), now=datetime.now(UTC) + 2 * HOUR, looks=looks)
        assert heard_after(database) == 9
    assert "save it again" in out_of_force(database, old)["renewal"]
    (theirs / "campaigns" / "renewal.yaml").touch()
    take_in(database, again(theirs), now=datetime.now(UTC) + 2 * HOUR, looks=looks)
    assert heard_after(database) == 8


def test_a_node_whose_file_stays_as_it_was_does_not_undo_the_new_one(database: Database, tmp_path: Path) -> None:
    """Also where its clock is ahead of the database's."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    long_ago = datetime.now(UTC) - HOUR
    looks: dict[str, Look] = {}
    take_in(database, read(theirs, STARTER), now=long_ago, looks=looks)
    take_in(database, read(ours, NEWER), now=long_ago)
    for _ in range(2):
        take_in(database, again(theirs), now=long_ago, looks=looks)
        assert heard_after(database) == 9


def test_a_version_that_cannot_be_read_any_more_stops_that_campaign_only(database: Database, tmp_path: Path) -> None:
    read(tmp_path, changed("campaign:", "campaign: other"), name="b.yaml")
    take_in(database, read(tmp_path, STARTER, name="a.yaml"), now=NOW)
    spoilt = sa.update(versions).where(versions.c.campaign == "renewal")
    for value in ({"yaml": "purpose: ["}, {"yaml": "a: 1"}, {"yaml": STARTER, "templates": "{}"}):
        database.write(lambda c, value=value: c.execute(spoilt.values(**value)))
        assert sorted(Store(database).running()) == ["other"]
