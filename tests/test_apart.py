"""Whatever stands in a file costs `check` two seconds and little memory, and ends in a mistake."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest

from dialer.commands.apart import Apart, TooMuch
from dialer.commands.check import read_with_limits
from dialer.settings import read_settings
from tests.campaign.folder import STARTER, changed, read

LOOP = "{% for a in range(700) %}{% for b in range(20) %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}"


def do(what: str) -> str:
    if what == "loop":
        while True:
            pass
    if what == "grow":
        return "x" * (2**40)
    if what == "grow slowly":
        pieces = []
        while True:
            pieces.append(bytearray(10**7))
    if what == "die":
        os._exit(3)
    if what == "raise":
        raise ValueError("wrong")
    return f"{what} by {os.getpid()}"


def test_the_work_is_done_in_one_child() -> None:
    with Apart(do) as apart:
        first, second = apart("a"), apart("b")
        assert first.partition(" by ")[2] == second.partition(" by ")[2] != str(os.getpid())
        with pytest.raises(ValueError, match="wrong"):
            apart("raise")
        assert apart("c").partition(" by ")[2] == first.partition(" by ")[2]


@pytest.mark.parametrize(
    ("what", "why"),
    [("loop", "over 2 seconds"), ("grow", "memory"), ("grow slowly", "memory"), ("die", "memory")],
)
def test_what_is_endless_ends_and_the_next_is_done_all_the_same(what: str, why: str) -> None:
    with Apart(do, cpu_seconds=0.5) as apart:
        begun = time.process_time()
        with pytest.raises(TooMuch, match=why):
            apart(what)
        assert time.process_time() - begun < 0.5
        assert apart("then").startswith("then by ")


def test_a_child_ends_with_its_parent() -> None:
    with Apart(do) as apart:
        child = int(apart("x").rpartition(" ")[2])
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def slow() -> str:
    """Within every bound of its own, and said to everybody in every block: it would take minutes."""
    blocks = ("greeting", "menu", "after_renew", "after_talk", "after_do_not_call", "nobody_free", "apology", "silent",
              "not_understood", "call_subject", "call_text", "timeline")  # fmt: skip
    return "{% extends 'base.ru.j2' %}" + "".join(f"{{% block {one} %}}1 2 9 {LOOP}{{% endblock %}}" for one in blocks)


def test_a_template_that_only_takes_time_is_a_mistake_and_the_other_campaigns_are_read(tmp_path: Path) -> None:
    read(tmp_path, STARTER)
    touches = f"call_days_before: {list(range(1, 21))}"
    other = changed("campaign:", "campaign: other", changed("template:", "template: slow.ru.j2"))
    other = changed("call_days_before:", touches, other)
    (tmp_path / "campaigns" / "a_slow.yaml").write_text(other, encoding="utf-8")
    (tmp_path / "templates" / "slow.ru.j2").write_text(slow(), encoding="utf-8")
    here = {"DIALER_CAMPAIGNS": str(tmp_path / "campaigns"), "DIALER_TEMPLATES": str(tmp_path / "templates")}
    begun = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    loaded = read_with_limits(read_settings(tmp_path, here))
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begun < 3
    (mistake,) = loaded.mistakes
    assert (Path(mistake.file).name, mistake.line > 0) == ("a_slow.yaml", True)
    assert mistake.text == "template: to say its words to everybody takes over 2 seconds: let them do less"
    assert list(loaded.campaigns) == ["renewal"]
