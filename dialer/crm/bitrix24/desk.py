"""What writing and looking share: the way to the portal, and what was learned of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from dialer.crm.bitrix24.fields import Fields
from dialer.crm.bitrix24.met import Met
from dialer.crm.bitrix24.rest import Rest
from dialer.crm.bitrix24.stages import Stages
from dialer.crm.bitrix24.telephony import Telephony
from dialer.crm.bitrix24.users import Users


@dataclass(frozen=True, slots=True)
class Desk:
    rest: Rest
    users: Users
    fields: Fields
    stages: Stages
    telephony: Telephony
    met: Met = field(default_factory=Met)
