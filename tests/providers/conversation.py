"""What every provider must do. A vendor's module makes a `company` and inherits the tests:

class TestTwilio(EveryProvider):
    @pytest.fixture
    def company(self) -> Iterator[Company]: ...
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from dialer.app import ABILITIES
from dialer.call import NOTHING, AnsweredBy, Hangup, Phase, Progress, Transfer, merge
from dialer.checking.files import read_campaigns
from dialer.clock import Clock
from dialer.commands.check_trunk import lacking
from dialer.errors import CallRefused, Fault, Forged, Malformed, TryLater, WebhookError
from dialer.providers.base import Ability, Asked, News, Order, Placed, Provider, Receiver, Recorded, Recorder, Webhook
from dialer.script import Say, Script
from tests.faults.world import CAMPAIGN, ROOT
from tests.providers.scene import KEY, NUMBER, SCRIPT

LOST_WITHIN = timedelta(seconds=90)


class Company(Protocol):
    """A telephone company of the vendor's kind with its adapter beside it, and our web edge where it needs one."""

    provider: Provider
    caller_id: str
    heard: list[News]
    """Everything that has reached us, in order."""
    finds_by_number: bool
    """Is a call without an id looked for by its number and time? Else by our own reference."""
    knows_caller_ids: bool

    def callee(self, **does: Any) -> None:
        """What whoever is rung does from now on, in the words of `sandbox.callees.Callee`."""

    def befall(self, what: str) -> None:
        """The next placement: lost_request, lost_answer, unavailable, refused, busy, account; slow: news comes before
        its answer. Skips the test where that vendor never does so."""

    def close(self) -> None:
        """Nobody listens where the provider was."""

    def silence(self) -> None:
        """From now on no news reaches us."""

    def placements(self) -> int:
        """How many requests to place a call have arrived."""

    def rung(self) -> list[str]:
        """Numbers that calls were placed to, by the company's own books."""

    def said(self) -> list[str]:
        """What was heard in the last call."""

    receiver: Receiver | None
    """None for a provider that sends no webhooks."""

    def webhook(self) -> Webhook:
        """Authentic news of attempt 42."""

    def signed_before(self) -> Sequence[Webhook]:
        """The same, signed with each of the secrets that were replaced lately."""

    def signed_by_strangers(self) -> Sequence[Webhook]:
        """The same, signed with secrets that were never ours."""

    def documented(self) -> Mapping[str, News | None]:
        """By each word that the vendor documents for the course of a call, the news that says it."""

    def strange(self) -> News:
        """News in words that nobody has seen before."""


class EveryProvider:
    def test_an_id_means_placed_and_its_news_names_the_same_call(self, company: Company) -> None:
        placed = place(company)
        known = until_ended(company)
        assert company.rung() == [NUMBER]
        assert {news.call_id for news in company.heard} <= {placed.call_id, None}
        assert {news.attempt for news in company.heard} == {42}
        assert (known.hangup, known.answered_by) == (Hangup.completed, AnsweredBy.human)
        assert known.talked is not None

    def test_a_number_that_will_never_work_is_refused_and_nobody_is_rung(self, company: Company) -> None:
        company.befall("refused")
        with pytest.raises(CallRefused) as refusal:
            place(company)
        assert Hangup(refusal.value.hangup) in Hangup
        assert company.rung() == []

    @pytest.mark.parametrize(("what", "fault"), [("busy", Fault.busy), ("account", Fault.account)])
    def test_what_is_certainly_not_placed_is_tried_later(self, company: Company, what: str, fault: Fault) -> None:
        company.befall(what)
        with pytest.raises(TryLater) as later:
            place(company)
        assert later.value.fault is fault
        assert company.rung() == []

    def test_where_nobody_can_be_reached_nothing_was_placed(self, company: Company) -> None:
        company.close()
        with pytest.raises(TryLater):
            place(company)

    @pytest.mark.parametrize("what", ["lost_answer", "unavailable"])
    def test_anything_else_is_perhaps_and_is_sent_once(self, company: Company, what: str) -> None:
        company.befall(what)
        with pytest.raises(Exception) as doubt:
            place(company)
        time.sleep(0.3)
        assert not isinstance(doubt.value, CallRefused | TryLater)
        assert company.placements() == 1

    def test_the_gate_is_asked_once_before_anything_is_sent(self, company: Company) -> None:
        seen: list[int] = []
        place(company, gate=lambda: seen.append(company.placements()))
        assert seen == [0]

    def test_a_closed_gate_places_nothing_and_the_next_call_is_placed(self, company: Company) -> None:
        def closed() -> None:
            raise TryLater("its moment had gone by", fault=Fault.ours)

        with pytest.raises(TryLater) as later:
            place(company, gate=closed)
        assert later.value.fault is Fault.ours
        assert company.placements() == 0
        company.provider.warm()
        place(company)
        assert company.rung() == [NUMBER]

    def test_warming_sends_nothing(self, company: Company) -> None:
        company.provider.warm()
        company.provider.warm()
        assert company.placements() == 0

    def test_news_may_come_before_place_has_returned(self, company: Company) -> None:
        company.befall("slow")
        returned = threading.Event()
        placed: list[Placed] = []

        def run() -> None:
            placed.append(place(company))
            returned.set()

        thread = threading.Thread(target=run)
        thread.start()
        wait(lambda: bool(company.heard))
        early = [] if returned.is_set() else list(company.heard)
        thread.join()
        assert early
        assert {news.attempt for news in early} == {42}
        assert {news.call_id for news in early} == {placed[0].call_id}

    def test_after_a_lost_answer_the_call_is_found_and_then_known_by_its_id(self, company: Company) -> None:
        started = datetime.now(UTC)
        company.silence()
        company.befall("lost_answer")
        with pytest.raises(Exception):
            place(company)
        found = look_up_until(company, asked(company, started), lambda news: news.progress.phase is Phase.ended)
        assert found.call_id is not None
        assert found.progress.hangup is Hangup.completed
        by_id = company.provider.look_up(replace(asked(company, started), call_id=found.call_id))
        assert by_id is not None
        assert (by_id.call_id, by_id.progress) == (found.call_id, found.progress)

    def test_a_call_whose_request_was_lost_is_known_not_to_be(self, company: Company) -> None:
        started = datetime.now(UTC)
        company.befall("lost_request")
        with pytest.raises(Exception) as doubt:
            place(company)
        assert not isinstance(doubt.value, CallRefused | TryLater)
        assert company.provider.look_up(asked(company, started)) is None
        assert company.rung() == []

    def test_somebody_elses_call_is_not_taken_for_it(self, company: Company) -> None:
        if not company.finds_by_number:
            pytest.skip(f"{company.provider.name} finds calls by our own reference")
        place(company)
        until_ended(company)
        question = asked(company, datetime.now(UTC))
        assert company.provider.look_up(replace(question, number="+79160000000")) is None
        assert company.provider.look_up(replace(question, known=lambda call_id: True)) is None
        before = datetime.now(UTC) - timedelta(hours=2)
        window = {"sent_after": before, "sent_before": before + LOST_WITHIN}
        assert company.provider.look_up(replace(question, **window)) is None

    def test_a_look_up_tells_the_keys_or_that_they_are_unheard(self, company: Company) -> None:
        started = datetime.now(UTC)
        company.silence()
        placed = place(company)
        question = replace(asked(company, started), call_id=placed.call_id)
        found = look_up_until(company, question, lambda news: news.progress.phase is Phase.ended)
        assert found.progress.keys_unheard or found.progress.answer == "renew"

    @pytest.mark.parametrize(
        ("presses", "answer", "words"),
        [
            (("1",), "renew", ["Здравствуйте", "Нажмите 1, 2 или 9", "Спасибо"]),
            (("5", "1"), "renew", ["Здравствуйте", "Нажмите 1, 2 или 9", "Не понял", "Нажмите 1, 2 или 9", "Спасибо"]),
            (("", "1"), "renew", ["Здравствуйте", "Нажмите 1, 2 или 9", "Нажмите 1, 2 или 9", "Спасибо"]),
            (("", ""), None, ["Здравствуйте", "Нажмите 1, 2 или 9", "Нажмите 1, 2 или 9", "До свидания"]),
            (("9",), "do_not_call", ["Здравствуйте", "Нажмите 1, 2 или 9", "Больше не позвоним"]),
        ],
    )
    def test_every_step_of_the_script_is_said_and_its_answer_heard(
        self, company: Company, presses: tuple[str, ...], answer: str | None, words: list[str]
    ) -> None:
        able(company, Ability.keys)
        company.callee(presses=presses)
        place(company)
        known = until_ended(company)
        assert company.said() == words
        assert (known.answer, known.opted_out, known.keys_unheard) == (answer, answer == "do_not_call", False)

    def test_the_menu_is_said_again_for_whoever_asks_for_it(self, company: Company) -> None:
        able(company, Ability.keys)
        company.callee(presses=("0", "0", "1"))
        assert SCRIPT.ask is not None
        place(company, script=replace(SCRIPT, ask=replace(SCRIPT.ask, repeats=("0",))))
        known = until_ended(company)
        assert company.said() == ["Здравствуйте", *["Нажмите 1, 2 или 9"] * 3, "Спасибо"]
        assert (known.answer, known.keys_unheard) == ("renew", False)

    def test_a_script_that_only_speaks_is_said_and_ends(self, company: Company) -> None:
        place(company, script=Script("ru-RU", None, (Say("Здравствуйте"), Say("До свидания"))))
        assert until_ended(company).hangup is Hangup.completed
        assert company.said() == ["Здравствуйте", "До свидания"]

    @pytest.mark.parametrize(
        ("manager", "transfer", "words"),
        [
            ("completed", Transfer.connected, []),
            ("no-answer", Transfer.no_answer, ["Никого нет"]),
            ("busy", Transfer.busy, ["Никого нет"]),
        ],
    )
    def test_a_transfer_is_an_outcome_of_its_own(
        self, company: Company, manager: str, transfer: Transfer, words: list[str]
    ) -> None:
        able(company, Ability.connect)
        company.callee(presses=("2",), manager=manager)
        place(company)
        known = until_ended(company)
        assert (known.answer, known.transfer) == ("talk", transfer)
        assert company.said() == ["Здравствуйте", "Нажмите 1, 2 или 9", "Соединяю", *words]

    @pytest.mark.parametrize("message", [(), (Say("Перезвоните"),)])
    def test_a_machine_gets_the_message_or_nothing(self, company: Company, message: tuple[Say, ...]) -> None:
        able(company, Ability.machine_detection)
        company.callee(does="machine")
        place(company, script=replace(SCRIPT, voicemail=message or None))
        assert until_ended(company).answered_by is AnsweredBy.machine
        assert company.said() == [part.text for part in message]

    @pytest.mark.parametrize(
        ("does", "hangup"),
        [("busy", Hangup.busy), ("no_answer", Hangup.no_answer), ("declined", Hangup.declined),
         ("bad_number", Hangup.bad_number), ("failed", Hangup.failed)],
    )  # fmt: skip
    def test_why_nobody_answered_is_told_in_our_words(self, company: Company, does: str, hangup: Hangup) -> None:
        company.callee(does=does)
        place(company)
        known = until_ended(company)
        assert (known.hangup, known.answered_at, known.talked) == (hangup, None, None)

    def test_a_person_who_hangs_up_early_has_answered(self, company: Company) -> None:
        company.callee(presses=("",), hangs_up_after=4.0)
        place(company)
        known = until_ended(company)
        assert (known.hangup, known.answer) == (Hangup.completed, None)
        assert known.talked is not None
        assert known.talked < timedelta(seconds=8)

    def test_a_call_that_rings_is_cancelled(self, company: Company) -> None:
        company.callee(rings=1_000.0)
        placed = place(company)
        company.provider.cancel(placed.call_id, talking_too=False)
        assert until_ended(company).hangup is Hangup.cancelled
        company.provider.cancel(placed.call_id, talking_too=True)

    def test_a_conversation_is_ended_only_when_that_is_asked_for(self, company: Company) -> None:
        company.callee(presses=("2",), talks=5_000.0)
        placed = place(company)
        until(company, lambda known: known.transfer is Transfer.connected)
        company.provider.cancel(placed.call_id, talking_too=False)
        time.sleep(0.3)
        assert known_of(company).phase is Phase.answered
        company.provider.cancel(placed.call_id, talking_too=True)
        assert until_ended(company).hangup is Hangup.completed

    def test_every_documented_word_proves_something(self, company: Company) -> None:
        documented = company.documented()
        mute = [word for word, news in documented.items() if news is None or news.unknown or news.progress == NOTHING]
        assert len(documented) > 10
        assert mute == []

    def test_words_that_nobody_knows_prove_nothing_and_are_kept(self, company: Company) -> None:
        news = company.strange()
        assert (news.progress.phase, news.progress.hangup) == (Phase.planned, None)
        assert (news.progress.answered_by, news.progress.answer) == (AnsweredBy.unknown, None)
        assert news.unknown

    def test_a_webhook_twice_is_the_same_news(self, company: Company) -> None:
        receiver, webhook = authentic(company)
        one, two = (receiver.receive(receiver.open(webhook), SCRIPT)[0] for _ in range(2))
        assert one == two
        assert one is not None

    def test_what_was_signed_before_a_secret_was_replaced_is_believed_and_what_others_sign_is_not(
        self, company: Company
    ) -> None:
        receiver, webhook = authentic(company)
        news = receiver.receive(receiver.open(webhook), SCRIPT)[0]
        before, strange = company.signed_before(), company.signed_by_strangers()
        assert min(len(before), len(strange)) > 0
        for signed in before:
            assert receiver.receive(receiver.open(signed), SCRIPT)[0] == news
        for signed in strange:
            with pytest.raises(Forged):
                receiver.open(signed)

    def test_what_was_altered_on_the_way_is_forged_or_malformed(self, company: Company) -> None:
        receiver, webhook = authentic(company)
        for altered in (
            replace(webhook, body=webhook.body + b"&CallStatus=completed"),
            replace(webhook, body=b""),
            replace(webhook, body=b"\xff\x00"),
            replace(webhook, path=webhook.path + "x"),
            replace(webhook, path=webhook.path.replace("-42", "-43")),
            replace(webhook, path=f"/{receiver.hook}/é/ё"),
            replace(webhook, query="more=1"),
            replace(webhook, headers={}),
            replace(webhook, headers={name: "é" + value for name, value in webhook.headers.items()}),
        ):
            with pytest.raises(WebhookError) as refused:
                receiver.open(altered)
            assert isinstance(refused.value, Forged | Malformed)

    def test_what_is_recorded_was_announced_before_and_is_there_until_it_is_forgotten(self, company: Company) -> None:
        able(company, Ability.recording)
        recorder: Recorder = company.provider  # type: ignore[assignment]
        name, pieces = f"dial-{KEY}-42-1", list[bytes]()
        place(company, script=replace(SCRIPT, announcement=(Say("Разговор записывается"),)), record_as=name)
        assert until_ended(company).answer == "renew"
        assert company.said()[:2] == ["Разговор записывается", "Здравствуйте"]
        assert recorder.fetch_recording(name, pieces.append) is Recorded.whole
        assert b"".join(pieces).startswith(b"RIFF")
        recorder.forget_recording(name)
        assert recorder.fetch_recording(name, pieces.append) is Recorded.nowhere

    def test_a_machine_is_not_recorded(self, company: Company) -> None:
        able(company, Ability.recording)
        recorder: Recorder = company.provider  # type: ignore[assignment]
        company.callee(does="machine")
        place(company, script=replace(SCRIPT, announcement=(Say("Разговор записывается"),)), record_as="dial-1")
        assert until_ended(company).answered_by is AnsweredBy.machine
        assert recorder.fetch_recording("dial-1", [].append) is Recorded.nowhere

    def test_what_the_provider_says_of_itself_is_complete(self, company: Company) -> None:
        provider = company.provider
        assert provider.name
        assert provider.abilities <= frozenset(Ability)
        assert company.receiver is None or company.receiver.hook.isidentifier()
        assert provider.request_timeout > timedelta(0)
        assert provider.lists_lag >= timedelta(0)

    def test_what_the_vendor_cannot_do_is_refused_by_check(self, company: Company, tmp_path: Path) -> None:
        recorded = f"{CAMPAIGN}recording: {{announcement: recording_notice}}\n"
        (tmp_path / "wave.yaml").write_text(recorded, encoding="utf-8")
        file = read_campaigns(tmp_path, ROOT / "templates").campaigns["wave"]
        can = company.provider.abilities
        assert ABILITIES[company.provider.name] == can
        assert not lacking(file, frozenset(Ability))
        for ability in Ability:
            told = " ".join(mistake.text for mistake in lacking(file, can - {ability}))
            assert ability.value in told
            assert company.provider.name in told or file.campaign.trunk in told

    def test_doctor_is_told_what_is_good_and_what_is_not_with_a_remedy(self, company: Company) -> None:
        found = list(company.provider.findings({company.caller_id, "+12025550199"}, set(), Clock().now))
        good = {one.subject: one.good for one in found}
        assert good[f"caller ID {company.caller_id}"]
        assert good["caller ID +12025550199"] is not company.knows_caller_ids
        assert all(one.good or one.remedy for one in found)


def place(company: Company, **more: Any) -> Placed:
    whole: dict[str, Any] = {
        "attempt": 42, "ref": f"{KEY}-42", "number": NUMBER, "caller_id": company.caller_id, "script": SCRIPT,
        "ring_for": timedelta(seconds=25), "machine_detection": True, "gate": lambda: None, **more,
    }  # fmt: skip
    return company.provider.place(Order(**whole))


def asked(company: Company, started: datetime) -> Asked:
    return Asked(
        attempt=42, ref=f"{KEY}-42", number=NUMBER, caller_id=company.caller_id, call_id=None,
        claimed_at=started, sent_after=started - LOST_WITHIN, sent_before=started + LOST_WITHIN, keys_left=True,
        known=lambda call_id: False,
    )  # fmt: skip


def able(company: Company, ability: Ability) -> None:
    if ability not in company.provider.abilities:
        pytest.skip(f"{company.provider.name} cannot {ability.value}")


def authentic(company: Company) -> tuple[Receiver, Webhook]:
    if company.receiver is None:
        pytest.skip(f"{company.provider.name} sends no webhooks")
    return company.receiver, company.webhook()


def known_of(company: Company) -> Progress:
    whole = NOTHING
    for news in list(company.heard):
        whole = merge(whole, news.progress)
    return whole


def until_ended(company: Company) -> Progress:
    return until(company, lambda known: known.phase is Phase.ended)


def until(company: Company, done: Callable[[Progress], bool]) -> Progress:
    wait(lambda: done(known_of(company)))
    known = known_of(company)
    assert done(known), known
    return known


def look_up_until(company: Company, question: Asked, done: Callable[[News], bool]) -> News:
    found: list[News] = []

    def seen() -> bool:
        news = company.provider.look_up(question)
        found.extend([] if news is None else [news])
        return bool(found) and done(found[-1])

    wait(seen)
    assert found
    return found[-1]


def wait(done: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.02)
