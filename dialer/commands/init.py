"""`init`: a folder to start from. Nothing that is there already is touched."""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path

from dialer.campaign.schema import FILE, schema_text
from dialer.commands.output import data
from dialer.errors import SettingsError
from dialer.settings import terminal_language

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

# Or an Asterisk of your own, for campaigns that say `trunk: asterisk`: docs/providers.md.
# DIALER_ASTERISK_URL=http://127.0.0.1:8088
# DIALER_ASTERISK_PASSWORD=
# DIALER_ASTERISK_DIAL=PJSIP/{{number}}@trunk
# DIALER_ASTERISK_SOUNDS=/var/lib/asterisk/sounds/dialer

# Rehearsal: with this line in force nobody else is rung. Put your own number there, and take the # away.
# DIALER_ONLY_NUMBERS={example}
"""


def starter() -> Path:
    """The folder with the starter campaigns and templates: in the wheel, or in a checkout."""
    packaged = Path(__file__).resolve().parent.parent / "starter"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parent.parent.parent


NAMES = {"ru": "Russian", "en": "English", "es": "Spanish"}
EXAMPLES = {"ru": "+79161234567", "en": "+447400123456", "es": "+34612345678"}
"""By language, of which each has a starter: a mobile number that exists."""


def init(folder: Path, language: str | None = None) -> None:
    """Without a language the terminal's, as its locale says it; Russian where there is no starter in that."""
    chosen = language or terminal_language(EXAMPLES) or "ru"
    for name, text in _files(chosen).items():
        _write(folder / name, text)
    if language is None:
        others = " or ".join(f"--language {one}" for one in EXAMPLES if one != chosen)
        data.print(f"\nThe words are {NAMES[chosen]}; another folder may speak otherwise: {others}")
    data.print("\nNext:")
    if folder != Path():
        data.print(f"  cd {shlex.quote(str(folder))}")
    data.print("  1. name your field, caller_id and manager in campaigns/renewal.yaml, your company in templates/")
    data.print("  2. dialer check && dialer preview renewal     say what is wrong, and what will be heard")
    data.print(
        "  3. fill in .env; dialer doctor && dialer plan     say what is lacking, and who would be rung, and when"
    )


def _files(language: str) -> dict[Path, str]:
    """Russian is the checkout's own campaign; the others lie beside it."""
    campaigns = starter() / "campaigns"
    campaign = (campaigns if language == "ru" else campaigns / language) / "renewal.yaml"
    words = sorted((starter() / "templates").glob(f"*.{language}.j2"))
    return {
        Path(".env"): DOT_ENV.format(secret=secrets.token_urlsafe(32), example=EXAMPLES[language]),
        Path("campaigns", campaign.name): campaign.read_text(encoding="utf-8"),
        Path("campaigns", FILE): schema_text(),
        **{Path("templates", one.name): one.read_text(encoding="utf-8") for one in words},
    }


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
