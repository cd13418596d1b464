"""Everything that comes from the environment, and from `.env` in the working folder."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from dotenv.parser import Original, parse_stream
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from dialer.errors import SettingsError
from dialer.phone_number import is_e164, read_all, why_not
from dialer.secrecy import basic, hide


def _seconds(value: Any) -> Any:
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|seconds?)?", value)
        if match is None:
            raise ValueError(f"'{value[:40]}' is not a number of seconds; write for example 60")
        if float(match[1]) > A_YEAR.total_seconds():
            raise ValueError(f"'{value[:40]}' seconds are more than a year")
        return timedelta(seconds=float(match[1]))
    return value


def _numbers(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    written = [part.strip() for part in re.split(r"[,;]|\s+(?=\+)", value) if part.strip()]
    if not written:
        # it would be no rehearsal, and everybody would be rung
        raise ValueError("holds no number; write +79161234567, or remove the line")
    return tuple(_number(one) for one in written)


def _number(text: str) -> str:
    """A rehearsal with a number that nobody has would ring nobody, and not say why."""
    plain = re.sub(r"[\s().-]", "", text)
    if not is_e164(plain):
        raise ValueError(f"'{text[:80]}' is no number in international form; write +79161234567")
    phones = read_all(plain, region="RU")
    if [phone.number for phone in phones] != [plain] or why_not(phones[0]) is not None:
        raise ValueError(f"'{text[:80]}' is not a number that can be rung; write +79161234567")
    return plain


def _some(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be more than 0 seconds")
    return value


A_YEAR = timedelta(days=366)
Seconds = Annotated[timedelta, BeforeValidator(_seconds)]
SomeSeconds = Annotated[Seconds, AfterValidator(_some)]


class Settings(BaseModel):
    """A field `drain` is the variable DIALER_DRAIN; a vendor's own names stay as they are. Durations are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)

    database_url: str = Field(default="sqlite:///dialer.db", repr=False)
    campaigns: Path = Path("campaigns")
    templates: Path = Path("templates")
    public_url: str | None = None
    listen: str = "127.0.0.1:8080"
    secret: SecretStr | None = None
    secret_previous: SecretStr | None = None
    token_hash: str | None = Field(default=None, repr=False)
    only_numbers: Annotated[tuple[str, ...], BeforeValidator(_numbers)] = ()
    log_json: bool = False

    bitrix24_webhook_url: SecretStr | None = None
    bitrix24_client_id: str | None = None
    """Of a local application, which does more than a webhook, and is used where both are set."""
    bitrix24_client_secret: SecretStr | None = None
    bitrix24_oauth_url: str = "https://oauth.bitrix24.tech"
    bitrix24_portal: str | None = None
    """Its host, for example your.bitrix24.ru: only to say which address installs the application."""
    bitrix24_requests_per_second: float = Field(default=2.0, gt=0, le=50)
    bitrix24_burst: int = Field(default=45, ge=1, le=250)

    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_auth_token_previous: SecretStr | None = None
    twilio_api_url: str | None = None
    twilio_lines: int = Field(default=10, ge=1, le=10_000)
    twilio_calls_per_second: float = Field(default=1.0, gt=0, le=1_000)
    twilio_timeout: SomeSeconds = timedelta(seconds=10)
    twilio_lists_lag: Seconds = timedelta(seconds=75)

    recordings: Path | None = None
    """The folder of what is recorded."""

    asterisk_url: str | None = None
    asterisk_user: str = "dialer"
    asterisk_password: SecretStr | None = None
    asterisk_dial: str | None = None
    asterisk_lines: int = Field(default=10, ge=1, le=10_000)
    asterisk_calls_per_second: float = Field(default=1.0, gt=0, le=1_000)
    asterisk_timeout: SomeSeconds = timedelta(seconds=10)
    asterisk_amd_context: str = "dialer-amd"
    asterisk_sounds: Path = Path("sounds")
    asterisk_sounds_name: str = "dialer"
    speech_command: str = "espeak-ng -v {lang} -s 150 --stdin -w {file}"
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

    @field_validator(
        "public_url", "twilio_api_url", "asterisk_url", "bitrix24_webhook_url", "bitrix24_oauth_url", mode="after"
    )
    @classmethod
    def _is_safe(cls, value: Any) -> Any:
        if value is None:
            return None
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        parts = _address(text)
        if parts is None:
            raise ValueError("is not an address; one looks like https://calls.example.com")
        if parts.scheme == "http" and not _is_loopback(str(parts.hostname)):
            raise ValueError("http:// is accepted for this machine only; use https://")
        if parts.query or parts.fragment or "?" in text or "#" in text:
            raise ValueError("holds a ? or a #; write the address up to there")
        if isinstance(value, SecretStr):
            return value
        if "@" in parts.netloc:
            raise ValueError("holds a user's name; write the address without")
        return value.rstrip("/")

    @field_validator("bitrix24_webhook_url", mode="after")
    @classmethod
    def _is_a_webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and re.search(r"/rest/[0-9]+/[^/]+/?$", value.get_secret_value()) is None:
            raise ValueError("is not an incoming webhook; one looks like https://your.bitrix24.ru/rest/1/abc123/")
        return value

    @field_validator("asterisk_dial")
    @classmethod
    def _dials_a_number(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(r"[A-Za-z0-9]+/[^{}\s]*\{(number|e164)\}[^{}\s]*", value) is None:
            raise ValueError(f"'{value[:80]}' names no number; write for example PJSIP/{{number}}@trunk")
        return value

    @field_validator("speech_command")
    @classmethod
    def _writes_a_file(cls, value: str) -> str:
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"cannot be read as a command: {error}") from None
        if len(words) < 2 or "{file}" not in value:
            raise ValueError("names no {file} to write; write for example espeak-ng -v {lang} --stdin -w {file}")
        return value

    @field_validator("asterisk_amd_context", "asterisk_sounds_name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", value) is None:
            raise ValueError(f"'{value[:80]}' is no name; write Latin letters, digits, '-' and '_'")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: str) -> str:
        if re.match(r"sqlite(\+pysqlite)?:///[^:]|postgres(ql)?(\+psycopg)?://.", value) is None:
            raise ValueError("is no database; write sqlite:///dialer.db or postgresql://user:password@host/name")
        # the rest of the password would be taken for the host, and shown
        if (match := _PASSWORD.match(value)) is not None and "@" in match["rest"].split("?")[0]:
            raise ValueError("holds an @ in its user or password; write it as %40")
        return value

    @field_validator("secret", "secret_previous", mode="after")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("is shorter than 16 characters; `dialer init` writes a good one")
        return value

    @field_validator("token_hash")
    @classmethod
    def _is_a_hash(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(r"[0-9a-f]{64}", value) is None:
            raise ValueError("is not the hash of a token; `dialer token` prints both")
        return value

    @field_validator("listen")
    @classmethod
    def _is_host_and_port(cls, value: str) -> str:
        if (
            re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):[0-9]{1,5}", value) is None
            or int(value.rpartition(":")[2]) > 65535
        ):
            raise ValueError(f"'{value[:80]}' is not host:port; write for example 127.0.0.1:8080")
        return value

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
    written, mistakes = _dot_env((folder or Path()) / ".env")
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
    yield from _of_the_database(settings.database_url)
    for token in (settings.twilio_auth_token, settings.twilio_auth_token_previous):
        if token is not None:
            yield basic(settings.twilio_account_sid or "", token.get_secret_value())
    if settings.asterisk_password is not None:
        yield basic(settings.asterisk_user, settings.asterisk_password.get_secret_value())


_PASSWORD = re.compile(r"[a-z+]+://(?P<user>[^:/@?]*)(:(?P<password>[^@]*))?@(?P<rest>.*)", re.DOTALL)


def _of_the_database(url: str) -> Iterator[str]:
    match = _PASSWORD.match(url)
    written = [match["password"] or ""] if match is not None else []
    written += [pair.partition("=")[2] for pair in url.partition("?")[2].split("&") if _IS_SECRET.match(pair)]
    for one in written:
        yield from (one, unquote(one), unquote_plus(one))


_IS_SECRET = re.compile(r"(password|sslpassword|passfile|sslkey)=", re.IGNORECASE)


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


def _dot_env(path: Path) -> tuple[dict[str, str], list[str]]:
    """What stands there, and what cannot be read."""
    if not path.is_file():
        return {}, []
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = list(parse_stream(file))
    except UnicodeDecodeError as error:
        return {}, [f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8"]
    except OSError as error:
        return {}, [f"{path}: cannot be read: {error.strerror}"]
    wrong = [line for line in lines if line.error or (line.key is not None and line.value is None)]
    mistakes = [f"{path}:{_place(line.original)}: is not a setting; write NAME=value" for line in wrong]
    return {line.key: line.value for line in lines if line.key is not None and line.value is not None}, mistakes


def _place(original: Original) -> int:
    empty = len(original.string) - len(original.string.lstrip())
    return original.line + original.string[:empty].count("\n")


def _address(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if known and not re.search(r"[\s\x00-\x1f]", text) else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
