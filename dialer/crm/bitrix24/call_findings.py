"""Where calls will stand: in the telephony statistics, or as call activities on the card alone; and what that lacks."""

from __future__ import annotations

from collections.abc import Iterator

from dialer.crm.bitrix24.call_proof import NOBODYS
from dialer.crm.bitrix24.errors import Refused
from dialer.crm.bitrix24.rest import Rest
from dialer.crm.bitrix24.telephony import LINE, SCOPE, Telephony
from dialer.errors import CrmError
from dialer.finding import Finding

SUBJECT = "Bitrix24 calls"
ON_THE_CARD = "stand on the card as call activities, and not in the telephony statistics"


def call_findings(rest: Rest, telephony: Telephony) -> Iterator[Finding]:
    if not telephony.may_be_open:
        yield Finding(SUBJECT, True, f"{ON_THE_CARD}: a webhook may not write there, a local application may")
        return
    try:
        if not telephony.has_scope():
            remedy = f"give the application the scope {SCOPE}, and install it again"
            yield Finding(SUBJECT, True, f"{ON_THE_CARD}: the application lacks the scope {SCOPE}", remedy)
            return
        line = telephony.line()
    except CrmError as error:
        yield Finding(SUBJECT, False, str(error), "try again later")
        return
    if line is None:
        yield Finding(SUBJECT, True, "stand in the telephony statistics, on no line", "run `dialer init --bitrix24`")
    elif line.makes_leads:
        text = f"the line '{LINE}' makes leads of unknown numbers, and is not used"
        yield Finding(SUBJECT, True, text, "run `dialer init --bitrix24`")
    else:
        yield Finding(SUBJECT, True, f"stand in the telephony statistics, on the line '{LINE}'")
    yield _statistics(rest)


def _statistics(rest: Rest) -> Finding:
    subject = "Bitrix24 statistics"
    try:
        rest.call("voximplant.statistic.get", {"FILTER": {"CALL_ID": NOBODYS}})
    except Refused as error:
        remedy = (
            "give the application's user the right to see the call statistics, of all employees: without it a call"
            " whose answer was lost is asked about by itself, and waits where that is not told"
        )
        return Finding(subject, True, f"may not be read: {error}", remedy)
    except CrmError as error:
        return Finding(subject, False, str(error), "try again later")
    return Finding(subject, True, "may be read")
