"""Mistakes of `limits.calls`, `limits.money`, `attempts` and `not_useful_after`, each at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dialer.campaign.words import money, say_money
from dialer.commands.check import check
from dialer.settings import read_settings
from tests.campaign.folder import changed, read, told


def money_of(**more: str) -> str:
    lines = {"a_day": "50", "currency": "USD", "a_minute": "0.05", **more}
    return "  money: {" + ", ".join(f"{key}: {value}" for key, value in lines.items() if value) + "}"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("  calls: {}", "limits.calls: limits nothing; name a_day, or in_all, or both"),
        ("  calls: 200", "limits.calls: must hold keys and values"),
        ("  calls: {a_day: 0}", "limits.calls.a_day: must be at least 1"),
        ("  calls: {a_day: many}", "limits.calls.a_day: 'many' is not a whole number"),
        ("  calls: {per_day: 9}", "limits.calls.per_day: unknown key; did you mean 'a_day'?"),
        ("  calls: {a_dya: 9}", "limits.calls.a_dya: unknown key; did you mean 'a_day'?"),
        (money_of(a_day=""), "limits.money: limits nothing; name a_day, or in_all, or both"),
        (money_of(a_day="-5"), "limits.money.a_day: '-5' is not an amount of money; write for example 50 or 0.05"),
        (money_of(a_day="0"), "limits.money.a_day: '0' is not an amount of money"),
        (money_of(a_day="50 USD"), "limits.money.a_day: '50 USD' is not an amount of money"),
        (money_of(a_day="1e9"), "limits.money.a_day: '1e9' is not an amount of money"),
        (money_of(a_day="99999999"), "limits.money.a_day: '99999999' is not an amount of money"),
        (money_of(currency=""), "limits.money.currency: is missing; write it"),
        (money_of(currency="usd"), "limits.money.currency: 'usd' is not a currency; write USD"),
        (money_of(a_minute=""), "limits.money.a_minute: is missing; write it"),
        (money_of(a_minute="51"), "limits.money.a_minute: one minute costs more than may be spent"),
        (money_of(currencies="USD"), "limits.money.currencies: unknown key; did you mean 'currency'?"),
    ],
)
def test_a_mistake_of_the_limits_is_told_at_its_line(tmp_path: Path, line: str, says: str) -> None:
    text = changed("  per_person:", "  per_person: {1 day: 1}\n" + line)
    found = told(read(tmp_path, text))
    assert len(found) == 1, found
    assert says in found[0]
    assert found[0].startswith(f"renewal.yaml:{text.splitlines().index(line) + 1}:")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("  at_most:", "  least_gap: 0 seconds", "attempts.least_gap: must be 1 second to 30 days"),
        ("  at_most:", "  least_gap: 2", "attempts.least_gap: '2' is not a length of time"),
        ("  at_most:", "  least_gab: 2 hours", "attempts.least_gab: unknown key; did you mean 'least_gap'?"),
        ("# starts:", "not_useful_after: 36 hours", "not_useful_after: must be 0 to 365 whole days"),
        ("# starts:", "not_useful_after: 999 days", "not_useful_after: must be 0 to 365 whole days"),
        ("# starts:", "not_useful_after: [5 days]", "not_useful_after: must be one value, not a list or a map"),
    ],
)
def test_a_mistake_of_the_pace_is_told_at_its_line(tmp_path: Path, before: str, after: str, says: str) -> None:
    text = changed(before, after)
    found = told(read(tmp_path, text))
    assert len(found) == 1, found
    assert says in found[0]


def test_check_refuses_money_that_not_one_call_fits_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = changed("  per_person:", "  per_person: {1 day: 1}\n" + money_of(a_day="0.5", in_all="500"))
    assert told(read(tmp_path, text)) == []
    folders = {"DIALER_CAMPAIGNS": str(tmp_path / "campaigns"), "DIALER_TEMPLATES": str(tmp_path / "templates")}
    settings = read_settings(tmp_path, folders)
    assert check(settings, online=False, json=False) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "limits.money.a_day: a call may last 126 minutes on all its lines and cost 6.30: nobody would be rung" in said
    )
    assert "money.in_all" not in said


@pytest.mark.parametrize("text", ["50", "0.05", "0.000001", "9999999.999999", "007.5"])
def test_money_is_read_to_the_millionth(text: str) -> None:
    assert money(say_money(money(text))) == money(text)
    assert money("0.05") == 50_000
    assert say_money(1_500_000) == "1.50"
