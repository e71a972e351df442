"""Which language a message is in, as far as choosing a stemmer needs it."""

import re
from collections.abc import Mapping

#: Words that nearly every sentence has, by the name of Postgres's stemmer.
_SENTENCES: Mapping[str, str] = {
    "english": "the and is of to in that it for you was with on have this be are not we what who",
    "german": "der die das und ist nicht ich wir mit ein eine auf für von zu den im hat wer was auch",
    "french": "le la les et est des une dans pour pas que qui nous vous sur avec du ce il elle",
    "spanish": "el la los las y es de que en un una por con para no se del lo como está",
    "italian": "il lo gli e è di che un una per con non si del della sono nel chi cosa",
    "portuguese": "o os e é de que em um uma para com não se do da dos está quem são",
    "dutch": "de het een en is van dat niet met voor op zijn wij ik wat wie er aan ook",
    "turkish": "ve bir bu da de için ile çok ne mi mı değil var yok ama gibi kim daha",
    "russian": "и в не на я что он с как это по но мы за из кто у к так от",
}
_COMMON = {language: frozenset(words.split()) for language, words in _SENTENCES.items()}

_WORD = re.compile(r"[^\W\d_]+")
_ENOUGH = 400


def language_of(text: str) -> str:
    """The stemmer for this text: the language whose common words it has most of, English where none stands out."""
    words = [word.lower() for word in _WORD.findall(text[: _ENOUGH * 8])[:_ENOUGH]]
    counts = {language: sum(word in common for word in words) for language, common in _COMMON.items()}
    best = max(counts, key=lambda language: (counts[language], language == "english"))
    return best if counts[best] > counts["english"] else "english"
