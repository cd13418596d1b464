"""The text of one setting → its value, or what is wrong with it in words of whoever wrote it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from dialer.phone_number import is_e164, read_all, why_not

A_YEAR = timedelta(days=366)


def _seconds(value: Any) -> Any:
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|seconds?)?", value)
        if match is None:
            raise ValueError(f"'{value[:40]}' is not a number of seconds; write for example 60")
        if float(match[1]) > A_YEAR.total_seconds():
            raise ValueError(f"'{value[:40]}' seconds are more than a year")
        return timedelta(seconds=float(match[1]))
    return value


def _some(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be more than 0 seconds")
    return value


Seconds = Annotated[timedelta, BeforeValidator(_seconds)]
SomeSeconds = Annotated[Seconds, AfterValidator(_some)]


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


Numbers = Annotated[tuple[str, ...], BeforeValidator(_numbers)]


def _address(text: str) -> str:
    if "@" in _safe(text).netloc:
        raise ValueError("holds a user's name; write the address without")
    return text.rstrip("/")


def _webhook(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    _safe(text)
    if re.search(r"/rest/[0-9]+/[^/]+/[a-z.]+/?$", text) is not None:
        raise ValueError("ends in a method; write the address without it, up to the last / before it")
    if re.search(r"/rest/[0-9]+/[^/]+/?$", text) is None:
        raise ValueError("is not an incoming webhook; one looks like https://your.bitrix24.ru/rest/1/abc123/")
    return value


def _safe(text: str) -> SplitResult:
    parts = _split(text)
    if parts is None:
        raise ValueError("is not an address; one begins with https:// and a name: https://calls.example.com")
    if parts.scheme == "http" and not _is_loopback(str(parts.hostname)):
        raise ValueError("http:// is accepted for this machine only; use https://")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("holds a ? or a #; write the address up to there")
    return parts


def _split(text: str) -> SplitResult | None:
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


Address = Annotated[str, AfterValidator(_address)]
Webhook = Annotated[SecretStr, AfterValidator(_webhook)]


def _host_and_port(value: str) -> str:
    if re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):[0-9]{1,5}", value) is None or int(value.rpartition(":")[2]) > 65535:
        raise ValueError(f"'{value[:80]}' is not host:port; write for example 127.0.0.1:8080")
    return value


def _database_url(value: str) -> str:
    if re.match(r"sqlite(\+pysqlite)?:///[^:]|postgres(ql)?(\+psycopg)?://.", value) is None:
        raise ValueError("is no database; write sqlite:///dialer.db or postgresql://user:password@host/name")
    # the rest of the password would be taken for the host, and shown
    if (match := _PASSWORD.match(value)) is not None and "@" in match["rest"].split("?")[0]:
        raise ValueError("holds an @ in its user or password; write it as %40")
    return value


_PASSWORD = re.compile(r"[a-z+]+://(?P<user>[^:/@?]*)(:(?P<password>[^@]*))?@(?P<rest>.*)", re.DOTALL)
_IS_SECRET = re.compile(r"(password|sslpassword|passfile|sslkey)=", re.IGNORECASE)


def secrets_in(database_url: str) -> Iterator[str]:
    """As they are written there, and as they are read."""
    match = _PASSWORD.match(database_url)
    written = [match["password"] or ""] if match is not None else []
    parameters = database_url.partition("?")[2].split("&")
    written += [pair.partition("=")[2] for pair in parameters if _IS_SECRET.match(pair)]
    for one in written:
        yield from (one, unquote(one), unquote_plus(one))


HostAndPort = Annotated[str, AfterValidator(_host_and_port)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]


def _long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16:
        raise ValueError("is shorter than 16 characters; `dialer init` writes a good one")
    return value


def _hash(value: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", value) is None:
        raise ValueError("is not the hash of a token; `dialer token` prints both")
    return value


LongSecret = Annotated[SecretStr, AfterValidator(_long)]
TokenHash = Annotated[str, AfterValidator(_hash)]


def _dial_string(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9]+/[^{}\s]*\{(number|e164)\}[^{}\s]*", value) is None:
        raise ValueError(f"'{value[:80]}' names no number; write for example PJSIP/{{number}}@trunk")
    return value


def _command(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise ValueError(f"cannot be read as a command: {error}") from None
    if len(words) < 2 or "{file}" not in value:
        raise ValueError("names no {file} to write; write for example espeak-ng -v {lang} --stdin -w {file}")
    return value


def _name(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", value) is None:
        raise ValueError(f"'{value[:80]}' is no name; write Latin letters, digits, '-' and '_'")
    return value


DialString = Annotated[str, AfterValidator(_dial_string)]
"""Where a telephone system of one's own dials, with `{number}` or `{e164}` in it."""
SpeechCommand = Annotated[str, AfterValidator(_command)]
NameThere = Annotated[str, AfterValidator(_name)]
"""Of something on that telephone system."""
