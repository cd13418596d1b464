"""dialer/sandbox/bitrix24_contract.json, from the vendor's machine-readable parameter lists.

git clone --bare https://github.com/bitrix-tools/b24-rest-docs && python -m docs.bitrix24_contract b24-rest-docs.git

`_assets/simulator/spec/methods` holds one list a method, parsed from its page. What a page says outside the table that
was parsed is added here: the tables of further kinds of cards, the fields of its own examples, and whether it answers
code 100, and whether it works in the context of an application only.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLE = Path(__file__).resolve().parent.parent / "dialer" / "sandbox" / "bitrix24_contract.json"
SPEC = "_assets/simulator/spec/methods"

METHODS = (
    "app.info", "crm.activity.add", "crm.activity.binding.add", "crm.activity.binding.list", "crm.activity.list",
    "crm.activity.update", "crm.category.list", "crm.company.contact.items.get", "crm.company.userfield.add",
    "crm.contact.company.items.get", "crm.contact.userfield.add", "crm.contact.userfield.list",
    "crm.deal.contact.items.get", "crm.deal.userfield.add", "crm.deal.userfield.list", "crm.enum.ownertype",
    "crm.item.add", "crm.item.fields", "crm.item.get", "crm.item.list", "crm.item.update", "crm.lead.userfield.add",
    "crm.lead.userfield.list", "crm.status.list", "crm.timeline.comment.add", "crm.timeline.comment.list",
    "crm.timeline.comment.update", "crm.type.getByEntityTypeId", "crm.type.list", "im.notify.personal.add",
    "im.notify.system.add", "method.get",
    "profile", "scope", "server.time", "tasks.task.add", "tasks.task.list", "telephony.externalCall.attachRecord",
    "telephony.externalCall.finish", "telephony.externalCall.register", "telephony.externalLine.add",
    "telephony.externalLine.get", "telephony.externalLine.update", "user.get", "userfieldconfig.add",
    "userfieldconfig.list", "voximplant.statistic.get",
)  # fmt: skip
WITHOUT_PARAMETERS = {"app.info", "crm.enum.ownertype", "profile", "scope", "server.time", "telephony.externalLine.get"}
FURTHER_SCOPES = {"user.get": ("user", "user_brief", "user_basic"), "userfieldconfig.add": ("userfieldconfig",)}
ONE_OF = {"telephony.externalCall.register": {"USER_ID", "USER_PHONE_INNER"},
          "telephony.externalCall.finish": {"USER_ID", "USER_PHONE_INNER"}}  # fmt: skip
"""Starred both, and one is enough, say their pages: the method itself asks for it."""

FILTERS = {"user.get": ("FILTER", "object")}
"""«string» in its table; its examples send a map."""

NAME = re.compile(r"^ *\|\| *\*\*([A-Za-z][A-Za-z0-9_]*)(\\?\*)?\*\*\s*$\s*\[`([a-z_A-Z]+)`\]", re.MULTILINE)
FOR_APPLICATIONS = re.compile(r"только в контексте \[?приложени", re.IGNORECASE)
BODY = re.compile(r"-d '(\{.*?\})\s*' *\\?$", re.MULTILINE | re.DOTALL)


def main() -> None:
    docs = Path(sys.argv[1])
    commit = _git(docs, "rev-parse", "HEAD").strip()
    lines = [f"{json.dumps(name)}: {json.dumps(_method(docs, name), ensure_ascii=False)}" for name in METHODS]
    about = f"bitrix-tools/b24-rest-docs at {commit}, MIT, Copyright (c) Bitrix; made by docs.bitrix24_contract"
    text = ",\n".join([f'"": {json.dumps(about)}', *lines])
    TABLE.write_text(f"{{\n{text}\n}}\n", encoding="utf-8")


def _method(docs: Path, name: str) -> dict[str, Any]:
    """`needs`: one of these scopes; `parameters`: type and whether it must be there, by name; `inside`: the same of a
    parameter's own fields; `fields`: what may be selected, filtered and ordered by."""
    spec = json.loads(_git(docs, "show", f"HEAD:{SPEC}/{name}.json", default="{}"))
    told: dict[str, Any] = {"needs": list(FURTHER_SCOPES.get(name, ())) or _scope(spec, name)}
    page = _git(docs, "show", f"HEAD:{spec['source']['file']}") if spec else ""
    if FOR_APPLICATIONS.search(page):
        told["application"] = True
    if name in WITHOUT_PARAMETERS:
        return {**told, "parameters": {}}
    if "`100`" in page:
        told["says_100"] = True
    either = ONE_OF.get(name, set())
    told["parameters"] = {
        one["name"]: [one["base"], one["required"] is True and one["name"] not in either] for one in spec["params"]
    }
    if name in FILTERS:
        parameter, kind = FILTERS[name]
        told["parameters"][parameter] = [kind, False]
    inside = {
        one["name"]: _inside(page, one["name"], spec["defs"][one["ref"].rpartition("/")[2]]["fields"])
        for one in spec["params"]
        if "ref" in one and one["name"] != "select"
    }
    if inside:
        told["inside"] = inside
    fields = set(spec.get("entityFields", ()))
    if name == "crm.activity.list":
        example = json.loads(_git(docs, "show", f"HEAD:{SPEC}/crm.activity.fields.json"))
        fields |= set(example["resultExample"]["result"])
    if fields and not name.startswith("crm.item."):  # of those the portal's own crm.item.fields tells
        told["fields"] = sorted(one for one in fields if one.isidentifier())
    return told


def _inside(page: str, parameter: str, listed: list[dict[str, Any]]) -> dict[str, list[Any]]:
    found = {one["name"]: [one["base"], one["required"] is True] for one in listed if one["name"].isidentifier()}
    tables = page.partition(f"### Параметр {parameter}")[2].partition("## Примеры кода")[0]
    for name, _, kind in NAME.findall(tables):
        found.setdefault(name, [_base(kind), False])
    for body in _bodies(page):
        sent = body.get(parameter)
        for name in sent if isinstance(sent, dict) else {}:
            if not name.lower().startswith(("uf_", "ufcrm", "parentid")):
                found.setdefault(name, ["any", False])
    return found


def _bodies(page: str) -> Iterator[dict[str, Any]]:
    for text in BODY.findall(page):
        try:
            body = json.loads(text)
        except ValueError:
            continue
        if isinstance(body, dict):
            yield body


def _base(kind: str) -> str:
    if kind in ("integer", "user", "crm_contact", "crm_company", "crm_category"):
        return "integer"
    return kind if kind in ("string", "boolean", "date", "datetime", "array", "object") else "any"


def _scope(spec: dict[str, Any], name: str) -> list[str]:
    scope = spec.get("scope", "crm" if name.startswith("crm.") else "telephony" if "telephony" in name else "базовый")
    return [] if scope == "базовый" else [scope]


def _git(docs: Path, *arguments: str, default: str | None = None) -> str:
    done = subprocess.run(["git", "-C", str(docs), *arguments], capture_output=True, text=True, check=default is None)
    return done.stdout if done.returncode == 0 else str(default)


if __name__ == "__main__":
    main()
