"""What a campaign names and the portal does not have: cards, fields, people, stages, and facts in its words."""

from __future__ import annotations

from dialer.app import crm
from dialer.campaign.campaign import Campaign
from dialer.campaign.values import RESPONSIBLE
from dialer.checking.files import CampaignFile
from dialer.checking.quoting import quoted
from dialer.checking.yaml_places import Read, read_yaml
from dialer.clock import Clock
from dialer.commands.looking import no_cards
from dialer.crm.base import Wrong
from dialer.errors import CrmRefused, CrmUnavailable, DialerError, Mistake
from dialer.settings import Settings
from dialer.templates.facts import facts_said, why_no_fact

WEBHOOK_URL, CLIENT_ID = "DIALER_BITRIX24_WEBHOOK_URL", "DIALER_BITRIX24_CLIENT_ID"


def on_the_portal(settings: Settings, file: CampaignFile) -> tuple[list[Mistake], list[Mistake]]:
    """Mistakes, and doubts."""
    campaign, portal = file.campaign, crm(settings, Clock())
    try:
        wrong = portal.examine(campaign.audience)
        # without the kind of card nobody can say anything of the outcomes
        if not any(one.path == ("audience", "card") for one in wrong):
            if campaign.outcomes:
                wrong += portal.examine_outcomes(campaign.audience, campaign.outcomes)
            if not portal.sees_cards(campaign.audience):
                wrong.append(Wrong(("audience", "card"), no_cards(campaign.audience), is_doubt=True))
    except CrmUnavailable as error:
        # no line of the file is to blame
        return [Mistake(str(file.path), 0, 0, f"Bitrix24 could not be asked about it: {error}")], []
    except CrmRefused as error:
        if error.is_of_all:
            named = WEBHOOK_URL if settings.bitrix24_client_id is None else CLIENT_ID
            return [Mistake(named, 0, 0, str(error))], []
        wrong = [Wrong(("audience", "card"), str(error))]
    except DialerError as error:
        wrong = [Wrong(("audience", "card"), str(error))]
    read = read_yaml(file.text, str(file.path))
    mistakes, doubts = list[Mistake](), list[Mistake]()
    for one in wrong:
        path = _as_written(one.path, campaign, read)
        (doubts if one.is_doubt else mistakes).append(read.mistake(str(file.path), path, one.text))
    return mistakes, doubts


def _as_written(path: tuple[str | int, ...], campaign: Campaign, read: Read) -> tuple[str | int, ...]:
    """Of what may be written shortly, and of what is said of all keys of the script."""
    if path == ("script",):
        keys = [key for key, one in campaign.keys.items() if one.connect == RESPONSIBLE]
        return (*path, "keys", keys[0], "connect") if keys else path
    shortly = path not in read.places and path[:-1] in read.scalars
    return path[:-1] if shortly else path


def facts_on_the_portal(settings: Settings, file: CampaignFile) -> list[Mistake]:
    """Fields that the templates say and no card has."""
    said = {name: list(facts_said(text)) for name, text in file.templates.items()}
    if not any(said.values()):
        return []
    try:
        known = crm(settings, Clock()).fact_names(file.campaign.audience)
    except DialerError:
        return []  # told of the audience
    folder = settings.templates
    found = [
        Mistake(str(folder / name), fact.line, fact.column, why)
        for name, facts in said.items()
        for fact in facts
        if (why := why_no_fact(fact.name, known)) is not None
    ]
    return quoted(found, {str(folder / name): text for name, text in file.templates.items()})
