"""The way in by a local application: tokens that expire, nodes that renew them, a portal that moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from dialer.crm.bitrix24.access import Application
from dialer.crm.bitrix24.errors import Doubt, Later, Refused
from dialer.errors import CrmError, CrmRefused
from dialer.memory.database import Database
from dialer.memory.tables import access
from dialer.memory.token_store import RENEWED_WITHIN, TokenStore
from dialer.sandbox.faults import Rule
from dialer.tokens import Tokens
from tests.crm.scene import Office, call, outcomes, people
from tests.portal_on_loopback import OnLoopback

SECRET, OTHER_SECRET = "a secret of sixteen and more", "another secret of sixteen and more"


@pytest.fixture
def on() -> Iterator[OnLoopback]:
    with OnLoopback(people(3)) as portal:
        yield portal


class Node:
    """One that shares the database, with the real adapter. `ahead` moves its clock."""

    def __init__(self, database: Database, on: OnLoopback, name: str = "me", *secrets: str) -> None:
        oauth = on.portal.oauth
        self.ahead = timedelta(0)
        self.store = TokenStore(
            database, list(secrets) or [SECRET], node=name, clock=lambda: datetime.now(UTC) + self.ahead
        )
        self.application = Application(
            oauth.client_id, oauth.client_secret, self.store, clock=lambda: datetime.now(UTC), oauth_url=on.url,
            sleep=lambda _: threading.Event().wait(0.01),
        )  # fmt: skip
        self.office = Office(self.application)

    def install(self, on: OnLoopback) -> None:
        self.application.install(on.portal.oauth.install()["auth[refresh_token]"])


@pytest.fixture
def node(database: Database, on: OnLoopback) -> Node:
    made = Node(database, on)
    made.install(on)
    return made


def grants(on: OnLoopback) -> list[tuple[str, str]]:
    return on.portal.oauth.log


def test_an_installed_application_reads_and_writes(node: Node, on: OnLoopback) -> None:
    assert len(node.office.read()) == 3
    assert outcomes(node.office.write(call(1))) == ["written"]
    assert len(on.portal.activities) == 1


def test_before_a_portal_has_installed_it_nothing_is_asked_and_the_error_says_what_to_do(
    database: Database, on: OnLoopback
) -> None:
    with pytest.raises(Refused, match="no portal has installed the application yet"):
        Node(database, on).office.read()
    assert on.requests == []


def test_an_expired_token_is_renewed_once_and_the_request_repeated(node: Node, on: OnLoopback) -> None:
    node.office.read()
    on.portal.oauth.expire()
    assert outcomes(node.office.write(call(2))) == ["written"]
    assert len(on.portal.activities) == 1
    assert grants(on) == [("refresh_token", "")] * 2  # the installation and this one


def test_no_token_is_renewed_while_it_lives(node: Node, on: OnLoopback) -> None:
    for _ in range(5):
        node.office.read()
    assert len(grants(on)) == 1


def test_of_many_threads_and_nodes_one_renews_and_all_go_on(database: Database, node: Node, on: OnLoopback) -> None:
    nodes = [node, Node(database, on, "other"), Node(database, on, "third")]
    for one in nodes:
        one.office.read()
    on.portal.oauth.expire()
    read: list[int] = []
    threads = [threading.Thread(target=lambda one=one: read.append(len(one.office.read()))) for one in nodes * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [3] * 12
    assert grants(on) == [("refresh_token", "")] * 2


def test_a_node_that_died_while_renewing_is_followed_by_another(database: Database, node: Node, on: OnLoopback) -> None:
    tokens = node.store.load()
    assert tokens is not None and Node(database, on, "dead").store.claim(tokens)
    on.portal.oauth.expire()
    node.ahead = RENEWED_WITHIN + timedelta(seconds=1)
    assert len(node.office.read()) == 3


def test_a_portal_that_moves_while_its_tokens_are_renewed_keeps_the_new_ones(node: Node) -> None:
    old = node.store.load()
    assert old is not None and node.store.claim(old)
    node.store.moved(old, "https://new.bitrix24.ru/rest")
    node.store.renewed(old, Tokens(old.member_id, old.endpoint, "access", "refresh"))
    assert node.store.load() == Tokens(old.member_id, "https://new.bitrix24.ru/rest", "access", "refresh")
    kept = node.store.load()
    assert kept is not None and node.store.claim(kept)
    node.store.moved(kept, "https://newer.bitrix24.ru/rest")
    node.store.not_renewed(kept, "")
    again = node.store.load()
    assert again is not None and node.store.claim(again)  # nobody is thought to be renewing them


def test_a_renewal_whose_answer_was_lost_is_tried_again_and_then_says_what_to_do(node: Node, on: OnLoopback) -> None:
    on.portal.oauth.expire()
    on.portal.faults.set(Rule("oauth/refresh_token", "drop_after", times=1))
    with pytest.raises(Doubt):
        node.office.bitrix._rest.call("profile")
    with pytest.raises(Refused, match="install the application again"):
        node.office.bitrix._rest.call("profile")
    assert "invalid_grant" in node.store.trouble()
    node.install(on)
    assert node.store.trouble() == ""
    assert len(node.office.read()) == 3


class Slept(TokenStore):
    """Of a node that is frozen when it has claimed the renewal, and wakes when another has done it."""

    meanwhile: Callable[[], object]

    def claim(self, old: Tokens) -> bool:
        is_ours = super().claim(old)
        self.meanwhile()
        return is_ours


def test_a_node_that_slept_over_its_turn_goes_on_with_what_another_has_renewed(
    database: Database, node: Node, on: OnLoopback
) -> None:
    oauth = on.portal.oauth
    store = Slept(database, [SECRET], node="slept", clock=lambda: datetime.now(UTC))
    slept = Application(
        oauth.client_id, oauth.client_secret, store, clock=lambda: datetime.now(UTC), oauth_url=on.url
    )  # fmt: skip
    old = slept.now()
    node.ahead = timedelta(seconds=61)
    store.meanwhile = lambda: node.application.renew(old)
    assert slept.renew(old)
    assert slept.now() == node.application.now() != old
    assert [error for grant, error in grants(on)][-2:] == ["", "invalid_grant"] and slept.trouble() == ""


def test_an_oauth_server_that_cannot_be_reached_costs_nothing_but_time(node: Node, on: OnLoopback) -> None:
    on.portal.oauth.expire()
    on.portal.faults.set(Rule("oauth/refresh_token", "drop_before", times=1))
    with pytest.raises(CrmError):
        node.office.bitrix._rest.call("profile")
    assert len(node.office.read()) == 3


def test_entries_stay_owed_while_the_application_is_not_installed_any_more(node: Node, on: OnLoopback) -> None:
    on.portal.oauth.forget()
    assert outcomes(node.office.write(call(1))) == ["later"]


def test_an_administrator_s_code_is_exchanged_once(database: Database, on: OnLoopback) -> None:
    one = Node(database, on)
    code = on.portal.oauth.code()
    one.application.authorize(code)
    assert len(one.office.read()) == 3
    with pytest.raises(Refused, match="invalid_grant"):
        one.application.authorize(code)


def test_a_forged_installation_changes_nothing(node: Node, on: OnLoopback) -> None:
    before = node.store.load()
    with pytest.raises(Refused):
        node.application.install("made up")
    assert node.store.load() == before


def test_another_portal_s_tokens_are_refused(node: Node) -> None:
    with pytest.raises(CrmRefused, match="a database of its own"):
        node.store.keep(Tokens("other", "https://other.bitrix24.ru/rest", "access", "refresh"))


def test_tokens_are_sealed_and_opened_by_the_secret_before(database: Database, node: Node, on: OnLoopback) -> None:
    tokens = node.store.load()
    assert tokens is not None and tokens.access not in repr(tokens)
    row = database.read(lambda c: c.execute(sa.select(access)).one())
    assert tokens.access not in str(row) and tokens.refresh not in str(row)
    assert Node(database, on, "me", OTHER_SECRET, SECRET).store.load() == tokens
    with pytest.raises(CrmRefused, match="DIALER_SECRET_PREVIOUS"):
        Node(database, on, "me", OTHER_SECRET).store.load()


def test_a_wrong_client_secret_is_named(database: Database, on: OnLoopback) -> None:
    one = Node(database, on)
    refresh = on.portal.oauth.install()["auth[refresh_token]"]
    on.portal.oauth.client_secret = "changed"
    with pytest.raises(Refused, match="DIALER_BITRIX24_CLIENT_ID"):
        one.application.install(refresh)


@pytest.mark.parametrize(
    ("base", "to", "followed"),
    [
        ("https://old.bitrix24.ru/rest", "https://new.bitrix24.ru/rest/profile.json", True),
        ("https://old.bitrix24.ru/rest", "https://evil.example.com/rest/profile.json", False),
        ("https://old.bitrix24.ru/rest", "https://bitrix24.ru.evil.com/rest/", False),
        ("https://old.bitrix24.ru/rest", "http://new.bitrix24.ru/rest/", False),
        ("https://crm.firma.ru/rest", "https://b24.firma.ru/rest/", True),
        ("https://firma.ru/rest", "https://other.ru/rest/", False),
        ("https://10.0.0.1/rest", "https://11.0.0.1/rest", False),
    ],
)
def test_a_portal_that_was_renamed_is_followed_within_its_domain(
    database: Database, on: OnLoopback, base: str, to: str, followed: bool
) -> None:
    one = Node(database, on)
    one.store.keep(Tokens("id", base, "access", "refresh"))
    address = one.application.now()
    if followed:
        one.application.moved(address, to)
        assert one.application.now().base == to.partition("/rest")[0] + "/rest"
        assert one.store.load() == Tokens("id", to.partition("/rest")[0] + "/rest", "access", "refresh")
    else:
        with pytest.raises(Refused, match="outside its domain"):
            one.application.moved(address, to)
        assert one.application.now() == address


def test_a_portal_that_sends_round_in_circles_is_left_alone(node: Node, on: OnLoopback) -> None:
    on.portal.moved_to = on.url
    with pytest.raises(Later, match="from address to address"):
        node.office.bitrix._rest.call("profile")
