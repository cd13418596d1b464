"""Who may import whom, and the one door of each foreign package, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "dialer"

NOUNS = {
    "audience", "breaker", "call", "caller_ids", "calling_window", "campaign", "checking", "cost", "day_parts",
    "deadline", "errors", "finding", "lasting", "next_try", "outcomes", "permission", "phone_number", "script",
    "sealing", "secrecy", "spelling", "templates", "tokens", "wording",
}  # fmt: skip
SHAPES = {"crm.base", "providers.base"}
MEMORY = {"clock", "log", "memory"}
INTAKE = {"attempt_row", "flagged", "intake", "judging"}
FORESIGHT = {"foresight"}
WAYS_IN = {
    "app", "cli", "commands", "crm_at_work", "dot_env", "ending", "parts", "scheduler", "service", "setting_values",
    "settings", "trunk_at_work", "watched", "web",
}  # fmt: skip

# A group may import itself where it stands among its own.
MAY = {
    "nouns": {"nouns"},
    "shapes": {"nouns"},
    "memory": {"nouns", "memory"},
    "intake": {"nouns", "shapes", "memory", "intake"},
    "stages": {"nouns", "shapes", "memory", "intake"},
    "foresight": {"nouns", "shapes", "memory", "intake", "stages", "foresight"},
    "twilio": {"nouns", "shapes", "twilio"},
    "asterisk": {"nouns", "shapes", "asterisk"},
    "bitrix24": {"nouns", "shapes", "bitrix24"},
    "sandbox": {"sandbox"},
}

ONE_DOOR = {
    "alembic": {"memory.migrate", "memory.migrations"},
    "apscheduler": {"scheduler"},
    "babel": {"templates"},
    "cryptography": {"sealing"},
    "dotenv": {"dot_env"},
    "holidays": {"calling_window"},
    "httpx": {"commands.doctor", "crm.bitrix24.wire", "providers.asterisk.rest"},
    "jinja2": {"templates"},
    "phonenumbers": {"phone_number"},
    "prometheus_client": {"web.metrics"},
    "rich": {"commands"},
    "ruamel": {"checking.yaml_places"},
    "sqlmodel": {"memory.tables", "memory.migrations"},
    "starlette": {"web"},
    "structlog": {"log"},
    "twilio": {"providers.twilio"},
    "typer": {"cli"},
    "uvicorn": {"web.bounds", "web.server"},
    "websockets": {"providers.asterisk.events"},
}


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = sorted(_name(path) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_group_may(module: str) -> None:
    group = _group(module)
    if group in MAY:
        wrong = {one for one in _own(module) if _group(one) not in MAY[group]}
        assert not wrong, f"{module} is one of the {group} and imports {sorted(wrong)}"


@pytest.mark.parametrize("module", sorted(one for one in MODULES if one.startswith(("stages.", "commands."))))
def test_a_stage_imports_no_stage_and_only_the_ways_in_import_commands(module: str) -> None:
    for one in _own(module):
        assert not (module.startswith("stages.") and one.startswith("stages.")), (module, one)
    importers = [other for other in MODULES if module in _own(other)]
    if module.startswith("commands."):
        assert all(_within(other, {"cli", "commands"}) for other in importers)


@pytest.mark.parametrize("package", sorted(ONE_DOOR))
def test_a_foreign_package_has_one_door(package: str) -> None:
    importers = {module for module in MODULES if package in {name.partition(".")[0] for name in _imports(module)}}
    assert importers, f"nobody imports {package} any more"
    strangers = {module for module in importers if not _within(module, ONE_DOOR[package])}
    assert not strangers, f"{package} is imported by {sorted(strangers)}"


def test_only_settings_reads_the_environment() -> None:
    readers = {
        module
        for module in MODULES
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in (("os", "environ"), ("os", "getenv"), ("os", "environb"))
    }
    assert readers == {"settings"}


def test_nouns_stages_and_vendors_do_not_ask_what_time_it_is() -> None:
    """`now` is an argument."""
    askers = {
        module
        for module in MODULES
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("now", "utcnow", "today")
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("datetime", "date")
    }
    assert not {module for module in askers if not _within(module, {"clock", "memory.database", "sandbox"} | WAYS_IN)}


def test_every_module_stands_in_a_group() -> None:
    assert not [module for module in MODULES if _group(module) == "nowhere"]


BARE = """
import typer
from typing import Annotated, Optional
app = typer.Typer(rich_markup_mode=None)
@app.command()
def run(name: Annotated[Optional[str], typer.Argument()] = None, json: Annotated[bool, typer.Option()] = False): ...
@app.command()
def stop(): ...
"""


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_imports_nothing_but_typer_and_the_standard_library(arguments: list[str]) -> None:
    assert _loaded("from dialer.cli import app", arguments) - _loaded(BARE, arguments) == {"dialer", "dialer.cli"}


def _loaded(prepare: str, arguments: list[str]) -> set[str]:
    """Modules outside the standard library that are loaded when the help has been printed."""
    code = f"""
import sys
{prepare}
try:
    app({arguments})
except SystemExit:
    pass
print(*sorted(sys.modules), file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage" in ran.stdout
    return {name for name in ran.stderr.split() if name.partition(".")[0] not in sys.stdlib_module_names}


def _group(module: str) -> str:
    if module.startswith("stages"):
        return "stages"
    if module.startswith("sandbox"):
        return "sandbox"
    if module.startswith("providers.twilio"):
        return "twilio"
    if module.startswith("providers.asterisk"):
        return "asterisk"
    if module.startswith("crm.bitrix24"):
        return "bitrix24"
    groups = {"nouns": NOUNS, "shapes": SHAPES, "memory": MEMORY, "intake": INTAKE, "foresight": FORESIGHT,
              "ways in": WAYS_IN}  # fmt: skip
    empty = {"", "crm", "providers"}
    return next((group for group, names in groups.items() if _within(module, names)), "ways in" if module in empty else
                "nowhere")  # fmt: skip


def _within(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


@cache
def _tree(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(source.read_text(encoding="utf-8"))


@cache
def _own(module: str) -> frozenset[str]:
    """Our own modules that it imports, `from dialer import log` included."""
    known = set(MODULES)
    found = set()
    for name in _imports(module):
        if name.startswith("dialer."):
            own = name.removeprefix("dialer.")
            found.add(own if own in known else own.rpartition(".")[0])
    return frozenset(found - {""})


@cache
def _imports(module: str) -> frozenset[str]:
    return frozenset(_walk(module))


def _walk(module: str) -> Iterator[str]:
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
