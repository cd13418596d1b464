"""`init --bitrix24` shows what the campaigns need and the portal lacks, asks, and makes it once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer import Abort

from dialer.app import application_of, crm
from dialer.clock import Clock
from dialer.commands.preparing import prepare
from dialer.errors import SettingsError
from dialer.sandbox.faults import Rule
from dialer.sandbox.portal_cards import COMPANY, CONTACT, CONTRACT, DEAL
from dialer.settings import Settings
from tests.crm.scene import people
from tests.portal_on_loopback import OnLoopback

STARTER = Path(__file__).resolve().parents[1]


@pytest.fixture
def on() -> Iterator[OnLoopback]:
    with OnLoopback(people(1)) as portal:
        yield portal


class Folder:
    """Campaigns over a portal; `asked` holds the questions."""

    def __init__(self, path: Path, on: OnLoopback) -> None:
        self.path, self.on = path, on
        self.asked: list[str] = []
        (path / "campaigns").mkdir()
        (path / "templates").symlink_to(STARTER / "templates")
        self.text = (STARTER / "campaigns" / "renewal.yaml").read_text(encoding="utf-8")

    def campaign(self, name: str, audience: str) -> None:
        head, _, rest = self.text.partition("audience:")
        _, _, after = rest.partition("\n\n")
        text = f"{head.replace('campaign: renewal', f'campaign: {name}')}audience: {audience}\n\n{after}"
        (self.path / "campaigns" / f"{name}.yaml").write_text(text, encoding="utf-8")

    def settings(self, **more: Any) -> Settings:
        folders = {"campaigns": self.path / "campaigns", "templates": self.path / "templates"}
        way = {} if "bitrix24_client_id" in more else {"bitrix24_webhook_url": self.on.webhook_url}
        return Settings.model_validate({**folders, **way, **more})

    def prepare(self, settings: Settings | None = None) -> int:
        return prepare(settings or self.settings(), sure=self.asked.append)

    def application(self) -> Settings:
        oauth = self.on.portal.oauth
        given = self.settings(
            bitrix24_client_id=oauth.client_id, bitrix24_client_secret=oauth.client_secret,
            bitrix24_oauth_url=self.on.url, secret="a secret of sixteen and more",
            database_url=f"sqlite:///{self.path / 'dialer.db'}",
        )  # fmt: skip
        from dialer.app import open_database

        open_database(given).close()
        application = application_of(given, Clock())
        assert application is not None
        application.install(oauth.install()["auth[refresh_token]"])
        return given


@pytest.fixture
def folder(tmp_path: Path, on: OnLoopback) -> Folder:
    return Folder(tmp_path, on)


NEW = "{card: deal, contract_end: Конец договора, do_not_call: Без звонков, time_zone: Пояс}"


def test_what_is_lacking_is_shown_asked_about_and_made_once(
    folder: Folder, on: OnLoopback, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.campaign("renewal", NEW)
    folder.campaign("second", NEW.replace("Пояс", "Город"))
    assert folder.prepare() == 0
    assert folder.asked == ["Make these 3 on the portal?"]
    out = capsys.readouterr().out
    assert "to make  the field 'Конец договора' of the deal (the contract's end, a date)" in out
    assert out.count("made     ") == 3 and "not in the telephony statistics" in out
    made = {on.portal.cards.fields[kind][code]["title"]: on.portal.cards.fields[kind][code]["type"]
            for kind, code in on.portal.own_fields.added}  # fmt: skip
    assert made == {"Конец договора": "date", "Без звонков": "boolean", "Пояс": "string"}
    assert {kind for kind, _ in on.portal.own_fields.added} == {DEAL}
    assert folder.prepare() == 0
    assert len(folder.asked) == 1 and len(on.portal.own_fields.added) == 3
    assert "nothing is lacking" in capsys.readouterr().out
    portal = crm(folder.settings(), Clock())
    assert portal.examine(portal_audience(folder)) == []


def portal_audience(folder: Folder) -> Any:
    from dialer.checking.files import read_campaigns

    return read_campaigns(folder.path / "campaigns", folder.path / "templates").campaigns["renewal"].campaign.audience


def test_a_no_makes_nothing(folder: Folder, on: OnLoopback) -> None:
    folder.campaign("renewal", NEW)

    def no(question: str) -> None:
        raise Abort

    with pytest.raises(Abort):
        prepare(folder.settings(), sure=no)
    assert on.portal.own_fields.added == []
    assert not [method for _, method in on.portal.commands if method.endswith(".add")]


def test_a_flag_that_stands_on_the_contact_is_there(folder: Folder, on: OnLoopback) -> None:
    del on.portal.cards.fields[DEAL]["ufCrm_1700000002"]
    folder.campaign("renewal", "{card: deal, contract_end: Дата окончания договора, do_not_call: Не звонить}")
    assert folder.prepare() == 0
    assert folder.asked == []


def test_fields_of_all_kinds_of_cards_are_made_with_codes_of_their_own(folder: Folder, on: OnLoopback) -> None:
    on.portal.scopes.append("userfieldconfig")
    cards = {"contact": CONTACT, "company": COMPANY, "Договоры обслуживания": CONTRACT}
    for place, card in enumerate(cards):
        folder.campaign(f"one{place}", f"{{card: {card}, contract_end: Конец, time_zone: Пояс}}")
        folder.campaign(f"two{place}", f"{{card: {card}, contract_end: Конец аренды, time_zone: Пояс}}")
    folder.campaign("by-code", "{card: contact, contract_end: UF_CRM_LEASE_END}")
    assert folder.prepare() == 0
    upper = {(kind, on.portal.cards.fields[kind][code]["upperName"]) for kind, code in on.portal.own_fields.added}
    ends = ("DIALER_CONTRACT_END", "DIALER_CONTRACT_END_2", "DIALER_TIME_ZONE")
    assert upper == {
        *((kind, f"UF_CRM_{end}") for kind in (CONTACT, COMPANY) for end in ends),
        *((CONTRACT, f"UF_CRM_30_{end}") for end in ends),
        (CONTACT, "UF_CRM_LEASE_END"),
    }
    assert folder.prepare() == 0 and len(folder.asked) == 1


def test_rights_that_are_lacking_are_named_and_the_others_are_made(
    folder: Folder, on: OnLoopback, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.campaign("renewal", "{card: Договоры обслуживания, contract_end: Конец}")
    folder.campaign("deals", "{card: deal, contract_end: Конец}")
    assert folder.prepare() == 1
    assert "give the webhook the scope userfieldconfig" in capsys.readouterr().err
    assert [kind for kind, _ in on.portal.own_fields.added] == [DEAL]
    on.portal.own_fields.may_change = False
    folder.campaign("deals", "{card: deal, contract_end: Ещё конец}")
    assert folder.prepare() == 1
    assert "give the webhook's user the right to change the CRM's settings" in capsys.readouterr().err


def test_what_cannot_be_made_says_why(folder: Folder, on: OnLoopback, capsys: pytest.CaptureFixture[str]) -> None:
    folder.campaign("renewal", "{card: deal, contract_end: Название}")
    folder.campaign("second", "{card: Нет такого, contract_end: Конец}")
    folder.campaign("third", "{card: deal, contract_end: ufCrmNoSuchField}")
    assert folder.prepare() == 1
    out = capsys.readouterr().out
    assert folder.asked == [] and on.portal.own_fields.added == []
    assert "is of type string; it must be date or datetime" in out
    assert "there is no smart process 'Нет такого'" in out and "no field has this code" in out


@pytest.mark.parametrize("do", ["drop_after", "500_after", "garbage", "html_after"])
def test_an_answer_that_is_lost_makes_no_second_field_and_no_second_line(
    folder: Folder, on: OnLoopback, do: str
) -> None:
    on.portal.scopes.append("telephony")
    folder.campaign("renewal", "{card: contact, contract_end: Конец}")
    on.portal.faults.set(
        Rule("crm.contact.userfield.add", do, times=1), Rule("telephony.externalline.add", do, times=1)
    )
    given = folder.application()
    assert folder.prepare(given) == 0
    assert len(on.portal.own_fields.added) == 1
    assert on.portal.telephony.lines["dialer"]["CRM_AUTO_CREATE"] == "N"
    assert folder.prepare(given) == 0 and len(folder.asked) == 1


def test_an_application_gets_its_line_and_one_that_makes_leads_is_mended(
    folder: Folder, on: OnLoopback, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.campaign("renewal", "{card: contact, contract_end: Дата окончания договора}")
    given = folder.application()
    assert folder.prepare(given) == 1
    assert "the application lacks the scope telephony" in capsys.readouterr().out
    on.portal.scopes.append("telephony")
    on.portal.telephony.line_add({"NUMBER": "dialer"})
    assert folder.prepare(given) == 0
    assert on.portal.telephony.lines["dialer"]["CRM_AUTO_CREATE"] == "N"
    assert "makes leads: that is switched off" in capsys.readouterr().out


def test_without_a_campaign_nothing_is_asked(folder: Folder, on: OnLoopback) -> None:
    with pytest.raises(SettingsError, match="there are no campaigns here"):
        folder.prepare()
    (folder.path / "campaigns" / "renewal.yaml").write_text("campaign: renewal\n")
    with pytest.raises(SettingsError, match="run `dialer check` first"):
        folder.prepare()
    assert on.requests == []
