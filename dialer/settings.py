"""Everything that comes from the environment, and from `.env` in the working folder."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, field_validator

from dialer.errors import SettingsError


def _seconds(value: Any) -> Any:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|seconds?)?\s*", value)
        if match is None:
            raise ValueError(f"'{value}' is not a number of seconds; write for example 60")
        return timedelta(seconds=float(match[1]))
    return value


def _numbers(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part for part in re.split(r"[,;\s]+", value) if part)
    return value


Seconds = Annotated[timedelta, BeforeValidator(_seconds)]


class Settings(BaseModel):
    """A field `drain` is the variable DIALER_DRAIN; a vendor's own names stay as they are. Durations are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    database_url: str = "sqlite:///dialer.db"
    campaigns: Path = Path("campaigns")
    templates: Path = Path("templates")
    public_url: str | None = None
    listen: str = "127.0.0.1:8080"
    secret: SecretStr | None = None
    secret_previous: SecretStr | None = None
    only_numbers: Annotated[tuple[str, ...], BeforeValidator(_numbers)] = ()
    log_json: bool = False

    bitrix24_webhook_url: SecretStr | None = None
    bitrix24_requests_per_second: float = Field(default=2.0, gt=0, le=50)
    bitrix24_burst: int = Field(default=45, ge=1, le=250)

    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_auth_token_previous: SecretStr | None = None
    twilio_api_url: str | None = None
    twilio_lines: int = Field(default=10, ge=1, le=10_000)
    twilio_calls_per_second: float = Field(default=1.0, gt=0, le=1_000)
    twilio_timeout: Seconds = timedelta(seconds=10)
    twilio_lists_lag: Seconds = timedelta(seconds=75)
    placements: int = Field(default=0, ge=0, le=500)
    """Calls being placed at once by this node; 0 chooses by the calls a second."""

    drain: Seconds = timedelta(seconds=60)
    send_within: Seconds = timedelta(seconds=5)
    """How long after its claim a call, or an entry, may still be sent."""
    silent_after: Seconds = timedelta(seconds=45)
    """How long a live call may be silent before the provider is asked about it."""
    give_up_after: Seconds = timedelta(hours=2)
    """After this long without anybody who can tell, a call is lost, and a person is told."""
    wrap_up: Seconds = timedelta(seconds=20)
    doubt_after: Seconds = timedelta(seconds=65)
    """The portal may still be writing until then."""
    dead_after: Seconds = timedelta(seconds=30)
    """A node that was silent this long is dead: others take over what it was writing and reading."""
    linger: Seconds = timedelta(seconds=2)
    """How long an entry waits for others to share its request."""
    fresh_for: Seconds = timedelta(minutes=30)
    """Nobody is rung whose card was not seen in Bitrix24 within this time."""

    @field_validator("public_url", "twilio_api_url", "bitrix24_webhook_url", mode="after")
    @classmethod
    def _is_safe(cls, value: Any) -> Any:
        if value is None:
            return None
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is not an address; it begins with https://")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError("http:// is accepted for this machine only; use https://")
        return value if isinstance(value, SecretStr) else value.rstrip("/")

    @field_validator("secret", "secret_previous", mode="after")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("is shorter than 16 characters; `dialer init` writes a good one")
        return value

    @field_validator("listen")
    @classmethod
    def _is_host_and_port(cls, value: str) -> str:
        if re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}", value) is None or int(value.rpartition(":")[2]) > 65535:
            raise ValueError(f"'{value}' is not host:port; write for example 127.0.0.1:8080")
        return value

    @property
    def listen_host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        return int(self.listen.rpartition(":")[2])


def read_settings(folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The environment wins over `.env`. `NAME_FILE` names a file that holds the value. Raises SettingsError."""
    values = {**_dot_env((folder or Path()) / ".env"), **(os.environ if environment is None else environment)}
    mistakes = [*_unknown(values)]
    for name in [name for name in values if name.endswith("_FILE") and _variable(name[:-5])]:
        try:
            values.setdefault(name[:-5], Path(values[name]).read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            mistakes.append(f"{name}: cannot read {values[name]}: {error}; give the path of a readable file")
    chosen = {field: values[variable] for variable, field in _VARIABLES.items() if values.get(variable, "") != ""}
    settings = None
    try:
        settings = Settings.model_validate(chosen)
    except ValidationError as error:
        mistakes += [f"{_variable_of(e['loc'])}: {_plain(e['msg'])}" for e in error.errors(include_input=False)]
    if mistakes or settings is None:
        raise SettingsError("\n".join(mistakes))
    return settings


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


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


def _unknown(values: Mapping[str, str]) -> list[str]:
    mistakes = []
    for name in sorted(values):
        if name.startswith("DIALER_") and not _variable(name) and not _variable(name.removesuffix("_FILE")):
            near = difflib.get_close_matches(name, _VARIABLES, n=1)
            mistakes.append(f"{name}: unknown setting" + (f"; did you mean {near[0]}?" if near else "; remove it"))
    return mistakes


def _dot_env(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        found = dotenv_values(path, encoding="utf-8", interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    return {name: value for name, value in found.items() if value is not None}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
