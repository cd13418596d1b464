"""Which scopes the campaigns need, whether they are granted, and what is not written without them.

A scope is asked for by what the program calls: a task by `tasks.task.add`, a notification by `im.notify.system.add`.
What the telephony needs is said beside where calls stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dialer.campaign.campaign import Campaign
from dialer.campaign.outcomes import Line
from dialer.crm.bitrix24.errors import APPLICATION
from dialer.crm.bitrix24.rest import Rest
from dialer.crm.bitrix24.users import SCOPES_WITH_PHONES
from dialer.errors import CrmError
from dialer.finding import Finding

USERS = {"user_brief", *SCOPES_WITH_PHONES}


@dataclass(frozen=True, slots=True)
class Scope:
    """Any one of `granted_by` is enough; `label` is what the portal's settings call it. `needs` says for what a
    campaign needs it, empty where it does not; None: every campaign does. `without`: what becomes of that."""

    name: str
    granted_by: frozenset[str]
    label: str
    without: str
    needs: Callable[[Campaign], str] | None = None


def scope_findings(rest: Rest, campaigns: Sequence[Campaign]) -> Iterator[Finding]:
    try:
        told = rest.call("scope")
    except CrmError as error:
        yield Finding("Bitrix24 scopes", False, str(error), "try again later")
        return
    has = {str(one) for one in told} if isinstance(told, list) else set()
    for scope in SCOPES:
        what = "" if scope.needs is None else _needed_for(scope.needs, campaigns)
        if scope.needs is None or what:
            yield _finding(rest.way, scope, what, granted=bool(has & scope.granted_by))


def _needed_for(needs: Callable[[Campaign], str], campaigns: Sequence[Campaign]) -> str:
    found = [(campaign.name, needs(campaign)) for campaign in campaigns]
    return "; ".join(f"{name}: {what}" for name, what in found if what)


def _finding(way: str, scope: Scope, what: str, *, granted: bool) -> Finding:
    needed = f", needed for {what}" if what else ""
    if granted:
        return Finding(f"Bitrix24 scope {scope.name}", True, f"granted{needed}")
    again = ", and install it again" if way == APPLICATION else ""
    remedy = f"tick {scope.label} in the {way}'s settings{again}; {scope.without}"
    return Finding(f"Bitrix24 scope {scope.name}", False, f"is missing{needed}", remedy)


def _of_outcomes(what: str, is_one: Callable[[Line], bool]) -> Callable[[Campaign], str]:
    def needs(campaign: Campaign) -> str:
        found = [outcome for outcome, lines in campaign.outcomes.items() if any(map(is_one, lines))]
        return f"{what} after {', '.join(found)}" if found else ""

    return needs


def _of_managers(campaign: Campaign) -> str:
    return "telephones of responsible people" if campaign.audience.manager_phones else ""


LATER = "are not written, and set aside after a day"
SCOPES = (
    Scope("crm", frozenset({"crm"}), "CRM", "without it nobody is read, and nothing is written"),
    Scope("user_brief", frozenset(USERS), "Users", "else calls of dismissed people go astray"),
    Scope("user_basic", frozenset(SCOPES_WITH_PHONES), "Users, basic (user_basic)",
          "until then everybody is put through to or_else", _of_managers),
    Scope("task", frozenset({"task"}), "Tasks (task)", f"until then tasks {LATER}",
          _of_outcomes("tasks", lambda line: line.task is not None)),
    Scope("im", frozenset({"im"}), "Chat and notifications (im)", f"until then notifications {LATER}",
          _of_outcomes("notifications", lambda line: line.notify is not None)),
)  # fmt: skip
