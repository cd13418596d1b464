"""Every transaction and every lock. One code path for SQLite and PostgreSQL.

To work on a call, lock its row; to find work, take what nobody else has locked. The lock order everywhere is
trunk → target → attempt → recording → entry, rows of one kind by id.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import QueuePool, StaticPool
from sqlalchemy.sql.functions import FunctionElement

from dialer.errors import DatabaseRefused
from dialer.memory.fair_lock import FairLock

T = TypeVar("T")

TRIES = 8
BUSY_SECONDS = 30
IDLE_SECONDS = 10
"""PostgreSQL ends a transaction in which its node is silent for so long: whoever is frozen or cut off holds no lock."""
CHUNK = 1_000
STEPS_BETWEEN_LOOKS = 20_000
"""Of SQLite's machine, from one look at the time to the next: some milliseconds."""

# deadlock, serialization failure, lock timeout, silent for too long, the server going away or coming back
_TRANSIENT_CODES = {
    "40P01", "40001", "55P03", "25P03", "57P01", "57P02", "57P03", "08006", "08003", "08000", "08001",
}  # fmt: skip


class Database:
    """`write` and `read` run a function in one transaction. Writing ones queue on one fair lock within a process."""

    def __init__(self, url: str) -> None:
        self.url = _read_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._fair = FairLock()
        if self.is_sqlite:
            self.path = Path(self.url.database or "dialer.db")
            self._writer = self._sqlite_engine(query_only=False)
            self._reader = self._sqlite_engine(query_only=True)
        else:
            self._writer = self._reader = self._postgresql_engine()

    @property
    def shown(self) -> str:
        """The address, without its password, and without its query, which may hold one."""
        return self.url.set(query={}).render_as_string(hide_password=True)

    @property
    def engine(self) -> sa.Engine:
        return self._writer

    def write(self, work: Callable[[sa.Connection], T], *, may_be_lost: bool = False) -> T:
        """`work` may run several times: it must have no effect but on its connection.

        `may_be_lost`: what goes with a crash of the server is done again anyway, and PostgreSQL need not wait for its
        disk. Whatever builds upon it and is written for good makes it last, too.
        """

        def unhurried(c: sa.Connection) -> T:
            c.exec_driver_sql("SET LOCAL synchronous_commit TO OFF")
            return work(c)

        return self._again_and_again(unhurried if may_be_lost and not self.is_sqlite else work, self._write_once)

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        return self._again_and_again(work, self._read_once)

    def look(self, work: Callable[[sa.Connection], T], *, within: timedelta) -> T:
        """`read` for whoever would rather know nothing than wait: one try, and each statement is given up in time."""
        with self._reader.begin() as connection, self._given_up_after(connection, within):
            return work(connection)

    def insert_new(self, table: Any) -> Any:
        """An INSERT that leaves rows alone which are already there; `rowcount` is how many were not."""
        insert: Any = sqlite.insert if self.is_sqlite else postgresql.insert
        return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)

    def now(self) -> datetime:
        """The time of the database, which all nodes share; for SQLite that of this machine."""
        if self.is_sqlite:
            return datetime.now(UTC)
        moment: datetime = self.read(lambda c: c.execute(sa.text("SELECT clock_timestamp()")).scalar_one())
        return moment.astimezone(UTC)

    def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        """Whatever the database itself refused meanwhile becomes a DatabaseRefused."""
        self.close()
        if isinstance(error, SQLAlchemyError):
            raise DatabaseRefused(f"{self.shown}: {in_one_line(error)}") from error

    def _write_once(self, work: Callable[[sa.Connection], T]) -> T:
        if not self.is_sqlite:
            with self._writer.begin() as connection:
                return work(connection)
        with self._fair, self._writer.begin() as connection:
            return work(connection)

    def _read_once(self, work: Callable[[sa.Connection], T]) -> T:
        with self._reader.begin() as connection:
            return work(connection)

    @contextmanager
    def _given_up_after(self, connection: sa.Connection, within: timedelta) -> Iterator[None]:
        if not self.is_sqlite:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(within.total_seconds() * 1000)}")
            yield
            return
        until = time.monotonic() + within.total_seconds()
        sqlite3_connection: Any = connection.connection.driver_connection
        sqlite3_connection.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
        try:
            yield
        finally:
            sqlite3_connection.set_progress_handler(None, 0)

    def _again_and_again(self, work: Callable[[sa.Connection], T], once: Callable[[Callable[..., T]], T]) -> T:
        for trial in range(1, TRIES + 1):
            try:
                return once(work)
            except DBAPIError as error:
                if trial == TRIES or not _is_transient(error):
                    raise
                time.sleep(min(0.02 * 2**trial, 1.0))
        raise AssertionError("the last trial returns or raises")

    def _postgresql_engine(self) -> sa.Engine:
        try:
            engine = sa.create_engine(
                self.url, pool_size=8, max_overflow=16, pool_pre_ping=False, hide_parameters=True,
                # a server that has vanished without a word is noticed within a minute
                connect_args={"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10,
                              "keepalives_count": 3, "tcp_user_timeout": 60_000},
            )  # fmt: skip
        except ModuleNotFoundError as error:
            raise DatabaseRefused(f"PostgreSQL needs {error.name}: pip install 'psycopg[binary]'") from error

        @sa.event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            # not when connecting: poolers in front of PostgreSQL refuse options
            connection.autocommit = True
            connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
            connection.autocommit = False

        return engine

    def _sqlite_engine(self, *, query_only: bool) -> sa.Engine:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseRefused(f"{self.path}: {error.strerror}; put DIALER_DATABASE_URL elsewhere") from error
        engine = sa.create_engine(
            self.url, poolclass=QueuePool, pool_size=8, max_overflow=16, hide_parameters=True,
            connect_args={"timeout": BUSY_SECONDS},
        )  # fmt: skip

        @sa.event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            connection.isolation_level = None
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA foreign_keys=ON")
            if query_only:
                cursor.execute("PRAGMA query_only=ON")
            cursor.close()

        begin = "BEGIN" if query_only else "BEGIN IMMEDIATE"

        @sa.event.listens_for(engine, "begin")
        def begin_it(connection: sa.Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine


class ThrowAway(Database):
    """In memory, for what is only tried out: one connection, which all take in turn, and nothing on any disk."""

    def __init__(self) -> None:
        self.url, self.is_sqlite, self.path = sa.make_url("sqlite://"), True, Path(":memory:")
        self._fair = FairLock()
        engine = sa.create_engine(
            self.url, poolclass=StaticPool, hide_parameters=True, connect_args={"check_same_thread": False}
        )

        @sa.event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            connection.isolation_level = None

        @sa.event.listens_for(engine, "begin")
        def begin_it(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN")

        self._writer = self._reader = engine

    def _read_once(self, work: Callable[[sa.Connection], T]) -> T:
        with self._fair:
            return super()._read_once(work)


@contextmanager
def sole_service(database: Database) -> Iterator[None]:
    """Raises DatabaseRefused where a service already runs on this SQLite file. PostgreSQL carries any number."""
    if not database.is_sqlite:
        yield
        return
    path = database.path.with_name(database.path.name + ".lock")
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DatabaseRefused(
                f"{database.path}: a service already runs on this database; stop it first, or use PostgreSQL,"
                " where several nodes share the work"
            ) from error
        yield


class _Listed(sa.types.TypeDecorator[list[Any]]):
    """A list as one parameter: an array, or JSON where there are none."""

    impl = sa.JSON
    cache_ok = True

    def __init__(self, item: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        return dialect.type_descriptor(sa.JSON() if dialect.name == "sqlite" else postgresql.ARRAY(self.item))


class _Among(FunctionElement[bool]):
    # of no type: a Boolean would be written as `… = 1` for SQLite, which then reads the whole table
    inherit_cache = True


@compiles(_Among, "postgresql")
def _any(element: Any, compiler: Any, **how: Any) -> str:
    column, listed = element.clauses
    return f"{compiler.process(column, **how)} = ANY ({compiler.process(listed, **how)})"


@compiles(_Among, "sqlite")
def _each(element: Any, compiler: Any, **how: Any) -> str:
    column, listed = element.clauses
    return f"{compiler.process(column, **how)} IN {_EACH.format(compiler.process(listed, **how))}"


_EACH = "(SELECT value FROM json_each({}))"


def among(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
    """`column.in_(…)`, with all values in one parameter: however many, it is one statement, prepared once."""
    return _Among(column, sa.bindparam(name, type_=_Listed(column.type)))


_NO_ROOM = ("disk is full", "No space left on device")


def in_one_line(error: BaseException) -> str:
    """What the database said, without what SQLAlchemy adds: the statement, and where to read about its errors."""
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = " ".join(str(said).split("\n(Background on this error", 1)[0].split())[:500]
    return f"{text}: make room on the disk" if any(full in text for full in _NO_ROOM) else text


def _is_transient(error: DBAPIError) -> bool:
    if isinstance(error, OperationalError) and "locked" in str(error.orig):
        return True
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlstate", None)
    if code is None:  # psycopg could not connect, or lost the connection before the server could say why
        return isinstance(error, OperationalError) and "connection" in str(error)
    return code in _TRANSIENT_CODES


def _read_url(url: str) -> sa.URL:
    for short in ("postgresql://", "postgres://"):
        if url.startswith(short):
            url = "postgresql+psycopg://" + url[len(short) :]
    try:
        return sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # nor is it repeated: a password stands in it
        raise DatabaseRefused("DIALER_DATABASE_URL cannot be read; is its port a number?") from None
