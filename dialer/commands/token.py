"""`token`: a fresh operator's token, shown once, and the line that lets it in."""

from __future__ import annotations

from dialer.commands.output import data, print_json, talk
from dialer.web.token import fresh_token, hash_of


def token(*, json: bool) -> None:
    fresh = fresh_token()
    line = f"DIALER_TOKEN_HASH={hash_of(fresh)}"
    if json:
        print_json({"token": fresh, "dot_env": line})
        return
    data.print(fresh)
    data.print(line)
    talk.print(
        "\nThe first line is the token: hand it to whoever reads /metrics; it is shown this once."
        "\nThe second belongs into .env of every node, in place of the one before; then start them again."
    )
