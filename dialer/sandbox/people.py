"""Believable people, the same for the same seed, with their phones as people really type them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

FIRST = ["Анна", "Мария", "Елена", "Ольга", "Наталья", "Ирина", "Татьяна", "Светлана", "Иван", "Пётр", "Сергей",
         "Алексей", "Дмитрий", "Андрей", "Михаил", "Николай", "Павел", "Юрий", "Олег", "Глеб"]  # fmt: skip
LAST = ["Ким", "Ли", "Бондаренко", "Шевченко", "Коваленко", "Черных", "Белых", "Седых", "Живаго", "Дурново", "Мельник",
        "Ткач", "Гончар", "Кравец", "Швец", "Коваль", "Бойко", "Савченко", "Левченко", "Мороз"]  # fmt: skip
SPELLINGS = ["+7 ({0}) {1}-{2}-{3}", "8 {0} {1}-{2}-{3}", "+7{0}{1}{2}{3}", "8({0}){1}-{2}-{3}", "8 {0} {1} {2} {3}",
             "7{0}{1}{2}{3}"]  # fmt: skip
MOBILE = ["903", "905", "909", "910", "915", "916", "917", "921", "925", "926", "961", "977", "985", "999"]


@dataclass(slots=True)
class Person:
    """`phones` are (text, value type)."""

    id: int
    first_name: str
    last_name: str
    phones: list[tuple[str, str]]
    contract_end: date | None
    responsible: int
    do_not_call: bool = False
    city: str = ""


def make_people(
    count: int, *, seed: int = 7, today: date, ends_in: Sequence[int] = (30, 14, 3), special: bool = True
) -> list[Person]:
    """`special`: a few without a phone, flagged, with a fax, with rubbish, sharing a phone, of a dismissed manager."""
    rng = random.Random(seed)
    numbers: set[str] = set()
    people = []
    for id in range(1, count + 1):
        phones = [(_phone(rng, numbers), rng.choice(["MOBILE", "WORK", "HOME"]))]
        if rng.random() < 0.15:
            phones.append((_phone(rng, numbers), "WORK"))
        end = today + timedelta(days=rng.choice(ends_in))
        city = rng.choice(["Москва", "Казань", "Самара", "Омск", ""])
        people.append(Person(id, rng.choice(FIRST), rng.choice(LAST), phones, end, rng.choice([1, 2, 3]), city=city))
    if special and count >= 20:
        _make_special(people, rng)
    return people


def _make_special(people: list[Person], rng: random.Random) -> None:
    some = rng.sample(people, 8)
    some[0].phones = []
    some[1].do_not_call = True
    some[2].phones.insert(0, ("+7 495 777-00-01", "FAX"))
    some[3].phones = [("нет телефона", "WORK")]
    some[4].phones = list(some[5].phones)
    some[4].contract_end = some[5].contract_end
    some[6].responsible = 9
    some[7].phones = [("8 809 505-55-55", "MOBILE")]


def _phone(rng: random.Random, taken: set[str]) -> str:
    while True:
        parts = (
            rng.choice(MOBILE),
            f"{rng.randrange(100, 999)}",
            f"{rng.randrange(100):02d}",
            f"{rng.randrange(100):02d}",
        )
        if "".join(parts) not in taken:
            taken.add("".join(parts))
            return rng.choice(SPELLINGS).format(*parts)
