"""`check` of a folder of campaigns, each with words of its own: seconds beyond the start of the program.

python -m benchmarks.checking [--campaigns N]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import Figure, show

ROOT = Path(__file__).resolve().parents[1]
LINES = 150
GOAL = 3.0


def measure(campaigns: int = 50, rounds: int = 3) -> list[Figure]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _write(folder, campaigns)
        took = min(_seconds(folder, "check", "--no-online") for _ in range(rounds))
        start = min(_seconds(folder, "check", "--help") for _ in range(rounds))
        empty = folder / "empty"
        (empty / "campaigns").mkdir(parents=True)
        (empty / "templates").mkdir()
        start = max(start, min(_seconds(empty, "check", "--no-online") for _ in range(rounds)))
    beyond = took - start
    return [
        Figure(
            f"check of {campaigns} campaigns, ms", beyond * 1000, GOAL * 1000, beyond / GOAL, "≤ 1.0",
            f"{LINES} lines each, words of their own; {start:.1f} s of start-up are not counted",
        )
    ]  # fmt: skip


def _write(folder: Path, campaigns: int) -> None:
    shutil.copytree(ROOT / "templates", folder / "templates")
    (folder / "campaigns").mkdir()
    text = (ROOT / "campaigns" / "renewal.yaml").read_text(encoding="utf-8")
    words = (ROOT / "templates" / "renewal.ru.j2").read_text(encoding="utf-8")
    days = [f"{2027 + n // 300}-{1 + n // 25 % 12:02}-{1 + n % 25:02}" for n in range(LINES)]
    for number in range(campaigns):
        own = re.sub(r"(?m)^campaign: .*$", f"campaign: c{number}", text)
        own = re.sub(r"(?m)^template: .*$", f"template: own{number}.ru.j2", own)
        more = LINES - own.count("\n") - 1
        closed = "".join(f"    - {day}\n" for day in days[: max(more, 0)])
        own = re.sub(r"(?m)^  # closed: .*\n", f"  closed:\n{closed}", own)
        (folder / "campaigns" / f"c{number}.yaml").write_text(own, encoding="utf-8")
        (folder / "templates" / f"own{number}.ru.j2").write_text(f"{words}\n", encoding="utf-8")


def _seconds(folder: Path, *words: str) -> float:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "LANG") if name in os.environ} | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    }
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-m", "dialer.cli", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    took = time.perf_counter() - began
    # an empty folder is one of two things that are tried
    assert ran.returncode == 0 or "there are no campaigns" in ran.stderr, ran.stderr
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=50)
    show(measure(parser.parse_args().campaigns))


if __name__ == "__main__":
    main()
