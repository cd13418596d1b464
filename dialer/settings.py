"""Everything that comes from the environment, and from `.env` in the working folder."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from dialer.dot_env import read_dot_env
from dialer.errors import SettingsError
from dialer.secrecy import basic, hide
from dialer.setting_values import (
    Address,
    DatabaseUrl,
    DialString,
    HostAndPort,
    LongSecret,
    NameThere,
    Numbers,
    Seconds,
    SomeSeconds,
    SpeechCommand,
    TokenHash,
    Webhook,
    secrets_in,
)


class Settings(BaseModel):
    """A field `drain` is the variable DIALER_DRAIN; a vendor's own names stay as they are. Durations are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    database_url: DatabaseUrl = Field(default="sqlite:///dialer.db", repr=False)
    campaigns: Path = Path("campaigns")
    templates: Path = Path("templates")
    public_url: Address | None = None
    listen: HostAndPort = "127.0.0.1:8080"
    secret: LongSecret | None = None
    secret_previous: LongSecret | None = None
    token_hash: TokenHash | None = Field(default=None, repr=False)
    only_numbers: Numbers = ()
    log_json: bool = False

    bitrix24_webhook_url: Webhook | None = None
    bitrix24_client_id: str | None = None
    """Of a local application, which does more than a webhook, and is used where both are set."""
    bitrix24_client_secret: SecretStr | None = None
    bitrix24_oauth_url: Address = "https://oauth.bitrix24.tech"
    bitrix24_portal: str | None = None
    """Its host, for example your.bitrix24.ru: only to say which address installs the application."""
    bitrix24_requests_per_second: float = Field(default=2.0, gt=0, le=50)
    bitrix24_burst: int = Field(default=45, ge=1, le=250)

    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_auth_token_previous: SecretStr | None = None
    twilio_api_url: Address | None = None
    twilio_lines: int = Field(default=10, ge=1, le=10_000)
    twilio_calls_per_second: float = Field(default=1.0, gt=0, le=1_000)
    twilio_timeout: SomeSeconds = timedelta(seconds=10)
    twilio_lists_lag: Seconds = timedelta(seconds=75)

    recordings: Path | None = None
    """The folder of what is recorded."""

    asterisk_url: Address | None = None
    asterisk_user: str = "dialer"
    asterisk_password: SecretStr | None = None
    asterisk_dial: DialString | None = None
    asterisk_lines: int = Field(default=10, ge=1, le=10_000)
    asterisk_calls_per_second: float = Field(default=1.0, gt=0, le=1_000)
    asterisk_timeout: SomeSeconds = timedelta(seconds=10)
    asterisk_amd_context: NameThere = "dialer-amd"
    asterisk_sounds: Path = Path("sounds")
    asterisk_sounds_name: NameThere = "dialer"
    speech_command: SpeechCommand = "espeak-ng -v {lang} -s 150 --stdin -w {file}"
    speech_voice: str | None = None

    placements: int = Field(default=0, ge=0, le=500)
    """Calls being placed at once by this node; 0 chooses by the calls a second."""

    drain: Seconds = timedelta(seconds=60)
    send_within: SomeSeconds = timedelta(seconds=5)
    """How long after its claim a call, or an entry, may still be sent."""
    silent_after: SomeSeconds = timedelta(seconds=45)
    """How long a live call may be silent before the provider is asked about it."""
    give_up_after: SomeSeconds = timedelta(hours=2)
    """After this long without anybody who can tell, a call is lost, and a person is told."""
    wrap_up: Seconds = timedelta(seconds=20)
    doubt_after: Seconds = timedelta(seconds=65)
    """The portal may still be writing until then."""
    dead_after: SomeSeconds = timedelta(seconds=30)
    """A node that was silent this long is dead: others take over what it was writing and reading."""
    linger: Seconds = timedelta(seconds=2)
    """How long an entry waits for others to share its request."""
    keep_days: Annotated[int, Field(ge=35, le=36_500)] | None = None
    """How long after a contract's end its rows are kept; for ever where it is not set. Caps look 30 days back."""
    fresh_for: SomeSeconds = timedelta(minutes=30)
    """Nobody is rung whose card was not seen in Bitrix24 within this time."""

    @property
    def knows_a_portal(self) -> bool:
        return self.bitrix24_client_id is not None or self.bitrix24_webhook_url is not None

    @property
    def listen_host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        return int(self.listen.rpartition(":")[2])


def read_settings(folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The environment wins over `.env`. `NAME_FILE` names a file that holds the value. Raises SettingsError."""
    written, mistakes = read_dot_env((folder or Path()) / ".env")
    given = os.environ if environment is None else environment
    mistakes += _unknown({**written, **given})
    values = {**_with_files(written, mistakes), **_with_files(given, mistakes)}
    chosen = {field: values[variable] for variable, field in _VARIABLES.items() if values.get(variable, "") != ""}
    settings = None
    try:
        settings = Settings.model_validate(chosen)
    except ValidationError as error:
        mistakes += [f"{_variable_of(e['loc'])}: {_plain(e)}" for e in error.errors(include_input=False)]
    if mistakes or settings is None:
        raise SettingsError("\n".join(dict.fromkeys(mistakes)))
    hide(_secrets(settings))
    return settings


def terminal_language(known: Iterable[str], environment: Mapping[str, str] | None = None) -> str | None:
    """Of those that are known, the one that the locale names; the first variable that is set decides, as everywhere."""
    given = os.environ if environment is None else environment
    locale = next((given[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if given.get(name)), "")
    language = re.split(r"[_.@-]", locale.lower())[0]
    return language if language in known else None


def _secrets(settings: Settings) -> Iterator[str]:
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
            yield from urlsplit(value.get_secret_value()).path.split("/")
    # psycopg and SQLAlchemy say addresses as they stand there
    yield from secrets_in(settings.database_url)
    for token in (settings.twilio_auth_token, settings.twilio_auth_token_previous):
        if token is not None:
            yield basic(settings.twilio_account_sid or "", token.get_secret_value())
    if settings.asterisk_password is not None:
        yield basic(settings.asterisk_user, settings.asterisk_password.get_secret_value())


def need(value: Any, variable: str, what_for: str) -> Any:
    """Returns the value of a setting, a secret as text. Raises SettingsError where it is missing."""
    if value is None:
        raise SettingsError(f"{variable} is not set: {what_for}; put it into .env or the environment")
    return value.get_secret_value() if isinstance(value, SecretStr) else value


_VENDORS_OWN = {"twilio_account_sid", "twilio_auth_token", "twilio_auth_token_previous"}
_VARIABLES = {(name if name in _VENDORS_OWN else f"dialer_{name}").upper(): name for name in Settings.model_fields}


def _variable(name: str) -> bool:
    return name in _VARIABLES


def _variable_of(loc: tuple[int | str, ...]) -> str:
    name = str(loc[0]) if loc else ""
    return next((variable for variable, field in _VARIABLES.items() if name == field), name)


_PLAIN = {
    "bool_parsing": "is neither yes nor no",
    "int_parsing": "is not a whole number",
    "float_parsing": "is not a number",
    "finite_number": "is not a number",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
}


def _plain(error: Any) -> str:
    said = _PLAIN.get(error["type"])
    return str(error["msg"]).removeprefix("Value error, ") if said is None else said.format(**error.get("ctx", {}))


def _unknown(values: Mapping[str, str]) -> list[str]:
    mistakes = []
    for name in sorted(values):
        plain, file = name.removesuffix("_FILE"), "_FILE" if name.endswith("_FILE") else ""
        if name.startswith("DIALER_") and not _variable(name) and not _variable(plain):
            known = {one.removeprefix("DIALER_"): one for one in _VARIABLES}
            near = difflib.get_close_matches(plain.removeprefix("DIALER_"), known, n=1)
            hint = f"did you mean {known[near[0]]}{file}?" if near else "remove it"
            mistakes.append(f"{name}: unknown setting; {hint}")
        elif name.upper().startswith("DIALER_") and name != name.upper():
            mistakes.append(f"{name}: unknown setting; names are written in capitals: {name.upper()}")
    return mistakes


def _with_files(values: Mapping[str, str], mistakes: list[str]) -> dict[str, str]:
    """With what stands in the files that are named, and without blanks around it."""
    found = {name: value.strip().replace("\0", "") for name, value in values.items()}
    for name, path in list(found.items()):
        plain = name.removesuffix("_FILE")
        if plain == name or plain not in _VARIABLES or not path:
            continue
        # `init` leaves empty lines for what may come from a file
        if found.get(plain):
            mistakes.append(f"{name}: {plain} is set, too; remove one of them")
            continue
        try:
            found[plain] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or "it is no text"
            mistakes.append(f"{name}: cannot read {path}: {why}; give the path of a readable file")
        else:
            if not found[plain]:
                mistakes.append(f"{name}: {path} is empty; write the value into it")
    return found
