"""What somebody meant who wrote a word a little otherwise: in another script, case or language, or with a slip."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Cyrillic letters that look like Latin ones.
_ALIKE = str.maketrans("асеорхукмнтвіАСЕОРХУКМНТВІ", "aceopxykmhtbiACEOPXYKMHTBI")


def nearest(word: str, known: Iterable[str], *, meant: dict[str, str] | None = None) -> str | None:
    """`meant`: words of other languages, and what they are called here."""
    choices = list(known)
    plain = plainly(word)
    by_plain = {plainly(one): one for one in choices}
    other = (meant or {}).get(plain.replace("_", " "))
    if other in choices:
        return other
    if plain in by_plain:
        return by_plain[plain]
    near = difflib.get_close_matches(plain[:60], by_plain, n=1)
    return by_plain[near[0]] if near else None


def alike(word: str, other: str) -> float:
    """1 for what is the same."""
    return difflib.SequenceMatcher(None, plainly(word), plainly(other)).ratio()


def plainly(word: str) -> str:
    """Without what a person takes for no difference."""
    one = "_".join(word.replace("\u00a0", " ").strip().casefold().replace("-", " ").replace("_", " ").split())
    latin = one.translate(_ALIKE)
    return latin if latin.isascii() else one


def holds_cyrillic(word: str) -> bool:
    """Letters that look like Latin ones among Latin ones."""
    return not word.isascii() and word.translate(_ALIKE).isascii() and word.translate(_ALIKE) != word
