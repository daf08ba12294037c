"""The languages that can be asked for: codes, scripts, which ones count as one, and whom each is told from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from r1gym.errors import ConfigError, UnknownNameError, unknown_name

__all__ = ["LANGUAGES", "Target", "scripts_of", "target_named"]

_OTHER_SCRIPTS = {
    "am": "Ethiopic", "ar": "Arabic", "ary": "Arabic", "arz": "Arabic", "as": "Bengali", "ba": "Cyrillic",
    "be": "Cyrillic", "bg": "Cyrillic", "bn": "Bengali", "dz": "Tibetan", "el": "Greek", "fa": "Arabic",
    "gom": "Devanagari", "grc": "Greek", "gu": "Gujarati", "hbo": "Hebrew", "he": "Hebrew", "hi": "Devanagari",
    "hy": "Armenian", "ja": "Han Kana", "ka": "Georgian", "kk": "Cyrillic Latin", "km": "Khmer", "kn": "Kannada",
    "ko": "Hangul", "ky": "Cyrillic", "lo": "Lao", "mk": "Cyrillic", "ml": "Malayalam", "mn": "Cyrillic",
    "mr": "Devanagari", "my": "Myanmar", "ne": "Devanagari", "or": "Oriya", "pa": "Gurmukhi", "ps": "Arabic",
    "ru": "Cyrillic", "sa": "Devanagari", "sdh": "Arabic", "si": "Sinhala", "sr": "Cyrillic Latin", "ta": "Tamil",
    "te": "Telugu", "tg": "Cyrillic", "th": "Thai", "tt": "Cyrillic", "ug": "Arabic", "uk": "Cyrillic", "ur": "Arabic",
    "uz": "Latin Cyrillic", "uzs": "Arabic", "wuu": "Han", "yue": "Han", "zh": "Han",
}  # fmt: skip

_LATIN = (
    "ace", "af", "an", "az", "bcl", "br", "bs", "ca", "crh", "cs", "cy", "da", "de", "en", "eo", "es", "et", "eu",
    "ext", "fi", "fo", "fr", "fuv", "fy", "ga", "gcf", "gcr", "gd", "gl", "gug", "guw", "ha", "hr", "ht", "hu", "id",
    "ig", "is", "it", "jv", "kab", "kik", "ku", "la", "lb", "lg", "lij", "ln", "lt", "ltg", "lv", "mg", "ms", "mt",
    "nl", "nn", "no", "nso", "oc", "om", "pcm", "pl", "pt", "qu", "ro", "rw", "se", "sk", "sl", "sn", "so", "sq",
    "st", "sv", "sw", "tk", "tl", "tr", "vec", "vi", "vo", "wa", "xh", "yo", "zu",
)  # fmt: skip

LANGUAGES: tuple[str, ...] = tuple(sorted({*_OTHER_SCRIPTS, *_LATIN}))
"""Codes as py3langid writes them; a test keeps the table equal to its labels."""

_ALIASES = {
    "cmn": "zh", "cmn-hans": "zh", "cmn-hant": "zh", "fil": "tl", "in": "id", "iw": "he", "jw": "jv", "nb": "no",
    "nob": "no", "nno": "nn", "pes": "fa", "zh-hans": "zh", "zh-hant": "zh", "sr-cyrl": "sr", "sr-latn": "sr",
}  # fmt: skip

_NAMES = {
    "arabic": "ar", "bengali": "bn", "bulgarian": "bg", "chinese": "zh", "croatian": "hr", "czech": "cs",
    "danish": "da",
    "deutsch": "de", "dutch": "nl", "english": "en", "español": "es", "farsi": "fa", "finnish": "fi", "français": "fr",
    "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi", "hungarian": "hu", "indonesian": "id",
    "italian": "it", "italiano": "it", "japanese": "ja", "korean": "ko", "malay": "ms", "mandarin": "zh",
    "norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru",
    "serbian": "sr", "spanish": "es", "swahili": "sw", "swedish": "sv", "tamil": "ta", "telugu": "te", "thai": "th",
    "turkish": "tr", "ukrainian": "uk", "urdu": "ur", "vietnamese": "vi",
}  # fmt: skip

# Tongues that no table tells apart reliably: a member counts as the target.
_SAME = (
    {"hr", "bs", "sr"}, {"id", "ms"}, {"no", "nn"}, {"xh", "zu"}, {"st", "nso"}, {"gl", "pt"}, {"zh", "yue", "wuu"},
    {"ar", "ary", "arz"}, {"el", "grc"}, {"he", "hbo"}, {"uz", "uzs"}, {"en", "pcm"}, {"ht", "gcf", "gcr"},
    {"lv", "ltg"},
)  # fmt: skip

# Tongues that are told apart over whole sentences only: a passage of fewer words counts as the target.
_NEAR: tuple[tuple[set[str], int], ...] = (
    ({"no", "nn", "da"}, 10), ({"cs", "sk"}, 5), ({"hi", "mr", "ne", "sa", "gom"}, 10), ({"af", "nl"}, 5),
    ({"sv", "da", "no", "nn"}, 5), ({"id", "ms", "jv", "ace"}, 6), ({"tt", "ba"}, 10), ({"bn", "as"}, 8),
    ({"kk", "ky"}, 6), ({"fa", "sdh"}, 6), ({"xh", "zu", "st", "nso", "sn", "sw", "lg", "rw"}, 5),
)  # fmt: skip

MAJORS = frozenset(
    ("en", "zh", "es", "fr", "de", "pt", "it", "ru", "ar", "hi", "ja", "ko", "tr", "id", "pl", "nl", "vi")
)
"""What a model most often slips into: told from the target without a margin."""

_MINORS = (
    "sv", "da", "no", "fi", "hu", "ro", "cs", "hr", "sw", "tl", "et", "lt", "az", "uz", "ca", "eu", "sq", "so", "ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """One language made ready to be told from others."""

    code: str
    scripts: tuple[str, ...]
    members: tuple[str, ...]
    """Codes that count as the target, itself first."""
    rivals: tuple[str, ...]
    """Codes in the target's scripts that do not."""
    near: tuple[tuple[str, int], ...]
    """(rival, words): passages of the rival with fewer words count as the target."""


def scripts_of(code: str) -> tuple[str, ...]:
    """The scripts in which the language ``code`` is written, the usual one first."""
    return tuple(_OTHER_SCRIPTS.get(code, "Latin").split())


@lru_cache(maxsize=512)
def target_named(name: str, strict: bool = False) -> Target:
    """The language called ``name``: an ISO 639 code, with a region where wanted (``pt-BR``).

    Args:
        name: The code.
        strict: Tell even tongues apart that the identifier confuses (id and ms, hr and bs: chance).

    Raises:
        UnknownNameError: A language that the identifier does not know; the near miss is named.
    """
    if not isinstance(name, str):
        raise ConfigError(f"target must be a language code such as 'fr', got {name!r:.60}")
    lowered = name.strip().lower().replace("_", "-")
    code = _ALIASES.get(lowered, lowered)
    base, _, rest = code.partition("-")
    if rest and len(rest) in (2, 3):  # a region: the language stays what it is
        code = _ALIASES.get(base, base)
    if code not in LANGUAGES:
        near = _NAMES.get(base) or (base if base in LANGUAGES else "")
        if near:
            raise UnknownNameError(
                f"unknown target language {name!r}. Did you mean {near!r}? Expected an ISO 639 code, with a region if "
                f"wanted; known: {', '.join(LANGUAGES)}"
            )
        raise unknown_name("target language", name, LANGUAGES)
    scripts = {"sr-latn": ("Latin",), "sr-cyrl": ("Cyrillic",)}.get(lowered) or scripts_of(code)
    same = next((group for group in _SAME if code in group), {code})
    members = (code,) if strict else (code, *sorted(same - {code}))
    rivals = tuple(sorted({rival for script in scripts for rival in _rivals(script)} - set(members)))
    soft: dict[str, int] = {}
    for group, words in () if strict else _NEAR:
        if code in group:
            soft.update({rival: max(words, soft.get(rival, 0)) for rival in rivals if rival in group})
    return Target(code, scripts, members, rivals, tuple(soft.items()))


def _rivals(script: str) -> list[str]:
    """Whom a language of ``script`` is told from: for Latin the frequent ones, else everybody who writes it."""
    if script == "Latin":
        return [code for code in (*MAJORS, *_MINORS, "zxx") if script in scripts_of(code)]  # zxx: no language at all
    return [code for code, scripts in _OTHER_SCRIPTS.items() if scripts.split()[0] == script]
