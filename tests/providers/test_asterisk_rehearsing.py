"""What is tried out at Asterisk, and what an Asterisk that is restarted in the middle of it must not be taken for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dialer.errors import Fault, ProviderUnavailable, TryLater
from dialer.providers.asterisk.rehearsing import Rehearsal
from dialer.providers.asterisk.rest import Answer, Rest


class Restarted(Rest):
    """Ends so many of what is tried out on it, and is then away, or back."""

    def __init__(self, *, ends: int, comes_back: bool) -> None:
        self._ends, self._comes_back = ends, comes_back

    def ask(
        self, method: str, path: str, params: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Answer:
        if method == "GET":
            self._ends -= 1
            return Answer(404, None) if self._ends >= 0 else Answer(200, {"state": "playing"})
        if self._ends <= 0 and not self._comes_back:
            raise ProviderUnavailable("Asterisk cannot be asked: ConnectError")
        return Answer(200, None)


@pytest.mark.parametrize("detection", [True, False])
@pytest.mark.parametrize(("ends", "comes_back", "fault"), [(1, True, None), (1, False, Fault.busy), (9, True, "ours")])
def test_a_restart_in_the_middle_is_no_proof(ends: int, comes_back: bool, fault: object, detection: bool) -> None:
    rehearsal = Rehearsal(Restarted(ends=ends, comes_back=comes_back), "dialer", "dialer-amd", lambda channel: False)
    media = [] if detection else ["sound:dialer/x"]
    found: object = None
    try:
        rehearsal.before(media, detection=detection, gap=0)
    except TryLater as error:
        found = error.fault
    assert found is ((Fault.campaign if detection else Fault.account) if fault == "ours" else fault)
