"""What was said on trial → what a marketer should look at: nothing in it is wrong, and it is hardly meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dialer.campaign.campaign import Campaign
from dialer.campaign.languages import spoken_in
from dialer.campaign.script import OPT_OUT
from dialer.checking.listener import Listener
from dialer.checking.proof import Proof, Remark
from dialer.templates import near


def odd_words(campaign: Campaign, listener: Listener, extends: Sequence[str], proof: Proof) -> Iterator[Remark]:
    own = f"base.{campaign.language}.j2"
    for base in extends:
        language = base.removeprefix("base.").removesuffix(".j2")
        # where the name tells it, too, the campaign is told
        if base == own or base != f"base.{language}.j2" or spoken_in(campaign.template) == language:
            continue
        if (campaign.template, language) in proof.spoken:
            # to others it is right
            why = f"'{campaign.template}' extends {base}; write  language: {language}, or name another"
            yield Remark(why, path=proof.path)
        elif re.fullmatch("[a-z]{2}", language) is not None:
            why = f'the words are {campaign.language}, but extend {base}; write {{% extends "{own}" %}}'
            yield Remark(why, campaign.template, *listener.place_of_base(base))
    for block, text in listener.said.items():
        if block not in listener.own_blocks:
            continue
        if re.search(_BRACE, text) is not None:
            why = f"the block '{block}' says a brace aloud; a value is written {{{{ between two of them }}}}"
            yield Remark(why, campaign.template, *listener.place_within(block, _BRACE))
        markup = re.search(_MARKUP, text) if block != "call_subject" else None
        if markup is not None:
            why = f"the block '{block}' says {markup[0][:20]} aloud: words are plain text; remove it"
            yield Remark(why, campaign.template, *listener.place_within(block, _MARKUP))


def doubts(campaign: Campaign, listener: Listener, words_at: tuple[str | int, ...]) -> Iterator[Remark]:
    known = {*BLOCKS, *listener.said, *listener.called, *(f"after_{one.answer}" for one in campaign.keys.values())}
    for block in sorted(listener.own_blocks, key=listener.own_blocks.__getitem__):
        if block not in known:
            why = f"the block '{block}' is never said{near(block, known)}"
            yield Remark(why, campaign.template, *listener.place_of(block))
    menu = f"{listener.said.get('greeting', '')} {listener.said.get('menu', '')}"
    told = listener.said.get("menu") and listener.failed.isdisjoint(("greeting", "menu"))
    for answer, key in campaign.key_of.items() if told else ():
        if answer not in listener.named and not names_key(menu, key):
            whose = "the words" if words_at == ("template",) else f"the words of {campaign.template}"
            why = f"{whose} do not name the key {key} ({answer}); write {{{{ keys.{answer} }}}}"
            yield Remark(why, path=("script",))
    if not any(choice.answer == OPT_OUT for choice in campaign.keys.values()):
        yield Remark("has no key to opt out with; the law of many countries asks for one", path=("script",))
    if campaign.purpose == "service":
        spoken = " ".join(listener.said.values()).casefold()
        for word in OFFERS:
            if word in spoken:
                why = f"service, but the words offer something ('{word}…'): that makes the call advertising"
                yield Remark(why, path=("purpose",))


def names_key(menu: str, key: str) -> bool:
    """As a person hears it: behind a word like press, and not as a number of years or days."""
    pressed = _PRESS.search(menu)
    if pressed is None:
        return False
    sign = _SIGNS.get(key) or rf"(?<![\d.,]){key}(?!\d|[.,]\d|\s*{_UNITS})"
    return re.search(sign, menu[pressed.start() :], re.IGNORECASE) is not None


BLOCKS = (
    "recording_notice", "greeting", "menu", "not_understood", "silent", "after_answer", "nobody_free", "voicemail",
    "apology", "call_subject", "call_text", "timeline", "task_title", "task_text", "notification", "item_title",
    "contradiction",
)  # fmt: skip

_PRESS = re.compile(
    r"нажм|нажат|набер|клавиш|кнопк|цифр|press|dial|key|digit|button|pulse|pulsa|marque|marca|oprim|presion|tecla|dígito",
    re.IGNORECASE,
)

_UNITS = (
    r"(год|лет|мес|недел|день|дня|дней|час|минут|руб|процент|%|year|month|week|day|hour|minute|percent|año|mes|semana|día"
    r"|hora|minuto|por ciento)"
)

_SIGNS = {
    "*": r"\*|звёздочк|звездочк|\bstar\b|asteris",
    "#": r"#|решётк|решетк|диез|\bhash|\bpound|almohadilla|numeral",
}

_BRACE = "[{}]"

_MARKUP = r"</?[a-zA-Z?!][^<>]*>|&(?:[a-z]{2,8}|#[0-9]{1,6});"

OFFERS = ("скидк", "акци", "выгодн", "спецпредложен", "discount", "special offer", "upgrade", "descuento", "oferta")
