"""What Asterisk refuses a request with."""

from __future__ import annotations


class AriError(Exception):
    """`word` is under which its answer says why."""

    def __init__(self, code: int, text: str, *, word: str = "message") -> None:
        super().__init__(text)
        self.code, self.text, self.word = code, text, word
