"""`init`: a folder to start from. Nothing that is there already is touched."""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path

from dialer.commands.output import data
from dialer.errors import SettingsError

DOT_ENV = """\
# Secrets of this installation. Keep this file to yourself.
DIALER_SECRET={secret}

# An incoming webhook of Bitrix24 with the rights crm and user_brief.
DIALER_BITRIX24_WEBHOOK_URL=

# From the Twilio console.
TWILIO_ACCOUNT_SID=
TWILIO_AUTH_TOKEN=

# The https address under which Twilio reaches DIALER_LISTEN on this machine.
DIALER_PUBLIC_URL=
DIALER_LISTEN=127.0.0.1:8080

# What your Twilio account may do.
DIALER_TWILIO_LINES=10
DIALER_TWILIO_CALLS_PER_SECOND=1

# Rehearsal: with this line in force nobody else is rung. Put your own number there, and take the # away.
# DIALER_ONLY_NUMBERS=+79161234567
"""


def starter() -> Path:
    """The folder with the starter campaigns and templates: in the wheel, or in a checkout."""
    packaged = Path(__file__).resolve().parent.parent / "starter"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parent.parent.parent


def init(folder: Path) -> None:
    files = {Path(".env"): DOT_ENV.format(secret=secrets.token_urlsafe(32))}
    for kind, pattern in (("campaigns", "*.yaml"), ("templates", "*.j2")):
        for source in sorted((starter() / kind).glob(pattern)):
            files[Path(kind) / source.name] = source.read_text(encoding="utf-8")
    for name, text in files.items():
        _write(folder / name, text)
    data.print("\nNext:")
    if folder != Path():
        data.print(f"  cd {shlex.quote(str(folder))}")
    data.print("  fill in .env, and name your field, caller_id and manager in campaigns/renewal.yaml")
    data.print("  dialer check      says what is wrong, and where")
    data.print("  dialer plan       says whom today's reading would ring")
    data.print("  dialer doctor     tries the portal, the account and the webhooks")


def _write(path: Path, text: str) -> None:
    mode = 0o600 if path.name == ".env" else 0o666
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{path.parent}: no folder can be made here: {error.strerror}; name another") from error
    try:
        with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(text)
    except FileExistsError:
        data.print(f"kept   {path}")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}; name another folder") from error
    else:
        data.print(f"wrote  {path}")
