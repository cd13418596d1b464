"""The files that a service is set up with are read as what starts them would; nothing here can start a container."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from dialer.commands.running import CLOSING
from dialer.settings import Settings, read_settings
from dialer.web.server import WebServer

ROOT = Path(__file__).resolve().parent.parent
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LAST_STAGE = CONTAINERFILE[CONTAINERFILE.rindex("\nFROM ") :]
LONGEST_STOP = (Settings().drain + CLOSING).total_seconds()


def compose() -> Any:
    return YAML(typ="safe").load((ROOT / "docs" / "compose.yaml").read_text(encoding="utf-8"))


def instruction(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", LAST_STAGE, re.MULTILINE)


def unit() -> configparser.ConfigParser:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string((ROOT / "docs" / "dialer.service").read_text(encoding="utf-8"))
    return read


# systemd


def test_systemd_waits_as_long_as_a_stop_takes_and_starts_it_again() -> None:
    service = unit()["Service"]
    assert float(service["TimeoutStopSec"]) > LONGEST_STOP
    assert service["Restart"] == "always"
    assert service["ExecStart"].split("/")[-1] == "dialer serve"
    assert service["ReadWritePaths"] == service["WorkingDirectory"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "dialer.service").read_text(encoding="utf-8")
    (tmp_path / "dialer.service").write_text(text.replace("/opt/dialer/bin/dialer", sys.executable), encoding="utf-8")
    ran = subprocess.run(["systemd-analyze", "verify", tmp_path / "dialer.service"], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


# containers


def test_the_container_runs_as_nobody_in_particular_and_holds_no_secret() -> None:
    assert instruction("USER") == ["dialer"]
    assert LAST_STAGE.index("\nUSER ") < LAST_STAGE.index("\nENTRYPOINT ")
    assert json.loads(instruction("ENTRYPOINT")[0]) + json.loads(instruction("CMD")[0]) == ["dialer", "serve"]
    assert not re.search(r"SECRET|TOKEN|WEBHOOK|PASSWORD|ACCOUNT", CONTAINERFILE.replace("\n#", ""))
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE):
        assert set(copied.split()) <= {"pyproject.toml", "README.md", "LICENSE", "dialer", "campaigns", "templates"}


def test_the_containers_settings_are_known_and_its_database_lies_on_the_volume(tmp_path: Path) -> None:
    said = dict(pair.split("=", 1) for line in instruction("ENV") for pair in shlex.split(line))
    settings = read_settings(tmp_path, {name: value for name, value in said.items() if name.startswith("DIALER_")})
    assert settings.database_url.startswith(f"sqlite:///{instruction('VOLUME')[0]}/")
    assert settings.listen_port == int(instruction("EXPOSE")[0])


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_of_the_container_fails_when_the_service_is_not_well(status: int, healthy: bool) -> None:
    (check,) = instruction("HEALTHCHECK")
    python, *words = json.loads(check.partition("CMD ")[2])
    assert python == "python"

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        assert scope["path"] == "/healthz"
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    with WebServer(answer, "127.0.0.1", 0) as server:
        words[1] = words[1].replace(":8080", f":{server.port}")
        ran = subprocess.run([sys.executable, *words], capture_output=True, timeout=20)
    assert (ran.returncode == 0) is healthy


def test_the_nodes_of_the_example_are_equal_and_what_they_name_is_there(tmp_path: Path) -> None:
    said = compose()
    one, two = said["services"]["node-one"], said["services"]["node-two"]
    assert one == two
    assert float(one["stop_grace_period"].removesuffix("s")) > LONGEST_STOP
    assert (ROOT / "docs" / one["build"]["context"] / one["build"]["dockerfile"]).is_file()
    for service in said["services"].values():
        assert set(service.get("secrets", [])) <= set(said["secrets"])
        for volume in service.get("volumes", []):
            place = volume.partition(":")[0]
            assert place in said["volumes"] or place in ("./campaigns", "./templates", "./Caddyfile")
    (tmp_path / "url").write_text("postgresql://dialer:password@database/dialer")
    file = {"DIALER_DATABASE_URL_FILE": str(tmp_path / "url")}
    assert set(one["environment"]) == {"DIALER_DATABASE_URL", *file}
    assert "@database/" in read_settings(tmp_path, {**one["environment"], **file}).database_url


def test_the_proxy_of_the_page_is_that_of_the_example_and_leads_to_its_nodes() -> None:
    caddy = (ROOT / "docs" / "Caddyfile").read_text(encoding="utf-8")
    assert f"```text\n{caddy}```" in (ROOT / "docs" / "running-several-nodes.md").read_text(encoding="utf-8")
    leads_to = re.findall(r"(\S+):8080", caddy)
    assert leads_to == [name for name in compose()["services"] if name.startswith("node-")]
