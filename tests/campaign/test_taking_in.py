"""Files become versions; a broken one stops its campaign, a deleted one cancels its people, an unreadable one stops."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dialer.campaign_files import Loaded, read_campaigns
from dialer.campaign_store import Store, take_in
from dialer.database import Database
from dialer.tables import campaigns, targets, versions
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


def test_a_deleted_file_cancels_who_waits(database: Database, tmp_path: Path) -> None:
    take_in(database, read(tmp_path, STARTER), now=NOW)
    waiting = add_target(database, NOW)
    (tmp_path / "campaigns" / "renewal.yaml").unlink()
    take_in(database, again(tmp_path), now=NOW)
    assert stopped(database) == {"renewal": "its file is gone"}
    assert state(database, waiting) == "cancelled"


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


def test_the_newest_version_holds_and_an_old_file_is_ignored(database: Database, tmp_path: Path) -> None:
    take_in(database, read(tmp_path, STARTER), now=NOW)
    newer = changed("heard_after:", "heard_after: 9 seconds")
    take_in(database, read(tmp_path, newer), now=NOW)
    take_in(database, read(tmp_path, STARTER), now=NOW)
    assert Store(database).running()["renewal"].campaign.heard_after.total_seconds() == 9
    count = database.read(lambda c: c.execute(sa.select(sa.func.count()).select_from(versions)).scalar_one())
    assert count == 2


def test_a_version_that_cannot_be_read_any_more_stops_that_campaign_only(database: Database, tmp_path: Path) -> None:
    read(tmp_path, changed("campaign:", "campaign: other"), name="b.yaml")
    take_in(database, read(tmp_path, STARTER, name="a.yaml"), now=NOW)
    spoilt = sa.update(versions).where(versions.c.campaign == "renewal")
    for value in ({"yaml": "purpose: ["}, {"yaml": "a: 1"}, {"yaml": STARTER, "templates": "{}"}):
        database.write(lambda c, value=value: c.execute(spoilt.values(**value)))
        assert sorted(Store(database).running()) == ["other"]
