"""The language domain: shares and spans computed by hand, refusals, and texts made to be paid for nothing."""

from __future__ import annotations

import codecs
import pickle
import random
import time

import pytest

from r1gym.errors import ConfigError, UnknownNameError
from r1gym.types import Outcome, Task, Verdict
from r1gym.verifiers import prepare, verify
from r1gym.verifiers.language.languages import LANGUAGES, target_named
from r1gym.verifiers.reasons import RULES

FRENCH = (
    "D'abord, nous calculons le nombre total de pommes que Marie a achetées au marché. Ensuite, nous retirons celles "
    "qu'elle a données à son frère, et nous partageons le reste entre ses trois amis."
)
ENGLISH = (
    "First we compute how many apples Mary bought at the market this morning. Then we subtract the ones that she gave "
    "to her brother, and we share what is left among her three friends."
)
CHINESE = "首先我们计算玛丽在市场上一共买了多少个苹果，然后减去她送给弟弟的苹果，最后把剩下的苹果平均分给三个朋友。"
RUSSIAN = (
    "Сначала посчитаем, сколько яблок Мария купила утром на рынке, а потом вычтем те, что она отдала своему брату."
)


def judge(text: str, target: str = "fr", **options: object) -> Verdict:
    return verify(text, domain="language", target=target, **options)


@pytest.mark.parametrize(
    ("text", "target"), [(FRENCH, "fr"), (ENGLISH, "en"), (CHINESE, "zh"), (RUSSIAN, "ru"), (FRENCH, "fr-CA")]
)
def test_pure_text_is_correct_with_nothing_marked(text: str, target: str) -> None:
    for form in (text, f"<think>{text}</think>\n<answer>7</answer>", f"{text}\n$$\\boxed{{7}}$$"):
        verdict = judge(form, target)
        assert (verdict.outcome, verdict.score, verdict.spans) == (Outcome.CORRECT, 1.0, ())
        assert verdict.reason.startswith("share: 1.000 of ") and {"share", "no_language", "not_text"} <= set(RULES)


@pytest.mark.parametrize(("text", "target"), [(ENGLISH, "fr"), (FRENCH, "en"), (CHINESE, "fr"), (FRENCH, "zh")])
def test_another_language_is_worth_nothing(text: str, target: str) -> None:
    verdict = judge(text, target)
    assert verdict.outcome is Outcome.WRONG and verdict.score == 0.0
    (span,) = verdict.spans
    assert (span.start, span.end, span.term) == (0, len(text), "language")


def test_the_share_is_that_of_the_characters_and_the_foreign_passage_is_marked() -> None:
    text = f"{FRENCH}\n{ENGLISH}"
    verdict = judge(text)
    assert verdict.score == pytest.approx(len(FRENCH) / (len(FRENCH) + len(ENGLISH)), abs=0.005)
    (span,) = verdict.spans
    assert text[span.start : span.end] == ENGLISH
    assert verdict.outcome is Outcome.WRONG and "foreign passages: 1, the first en 'First we" in verdict.reason


def test_the_share_by_words_makes_scripts_comparable() -> None:
    # 52 Chinese characters at 0.6 of a word, and 35 English words
    han = sum(character not in "，。" for character in CHINESE)
    words = len(ENGLISH.split())
    verdict = judge(f"{CHINESE}\n{ENGLISH}", "zh", unit="words")
    assert verdict.score == pytest.approx(0.6 * han / (0.6 * han + words), abs=1e-9)


def test_options_move_threshold_and_floor() -> None:
    text = f"{FRENCH} {FRENCH.replace('pommes', 'poires').replace('Marie', 'Paul')}\n{ENGLISH[:72]}"
    share = judge(text).score
    assert 0.7 < share < 0.9
    assert judge(text, threshold=0.7).outcome is Outcome.CORRECT
    assert judge(text, floor=0.5).score == pytest.approx((share - 0.5) / 0.5)
    assert judge(f"{ENGLISH} {ENGLISH[:80]} {FRENCH}", floor=0.5).score == 0.0


@pytest.mark.parametrize(
    ("target", "near"),
    [
        ("fra", "fr"),
        ("xh-zz-1", "xh"),
        ("zhh", "zh"),
        ("hi-Latn", "hi"),
        ("tlh", "tl"),
        ("", None),
        ("french", "fr"),
        ("German", "de"),
        ("es-Latn", "es"),
    ],
)
def test_an_unsupported_target_is_refused_before_any_text_is_seen(target: str, near: str | None) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{near}'" if near else "unknown target language"):
        prepare(Task("t", "language", "", target))


def test_bad_options_are_refused() -> None:
    for options in ({"threshold": 1.5}, {"threshold": True}, {"floor": 1.0}, {"floor": float("nan")}, {"strict": 1}):
        with pytest.raises(ConfigError):
            judge(FRENCH, **options)
    with pytest.raises(UnknownNameError, match="Did you mean 'target'"):
        verify(FRENCH, domain="language", traget="fr")
    with pytest.raises(UnknownNameError, match="Did you mean 'words'"):
        judge(FRENCH, unit="word")
    with pytest.raises(ConfigError, match="target='fr'"):
        verify(FRENCH, domain="language")
    with pytest.raises(ConfigError, match="language code"):
        verify(FRENCH, 7, domain="language")
    assert verify(FRENCH, "fr", domain="language").score == 1.0


def test_the_table_of_languages_is_that_of_the_identifier() -> None:
    from r1gym.verifiers.language.model import model

    assert {*LANGUAGES, "zxx"} == set(model().labels) and len(LANGUAGES) >= 60
    for code in LANGUAGES:
        target = target_named(code)
        assert target.members[0] == code and set(target.rivals) <= {*LANGUAGES, "zxx"} - set(target.members)


def test_codes_have_aliases_and_regions() -> None:
    for alias, code in {"nb": "no", "pt-BR": "pt", "zh-Hant": "zh", "zh_CN": "zh", "EN": "en", "iw": "he"}.items():
        assert target_named(alias).code == code
    assert target_named("sr").scripts == ("Cyrillic", "Latin") and target_named("sr-Latn").scripts == ("Latin",)


# Nothing to go by is worth nothing, and is no evidence against either.
EMPTY = {
    "nothing": "",
    "white space": " \n\t ",
    "an empty thought": f"<think></think>{FRENCH}",
    "numbers": "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    "formulas": "$x^2 + y^2 = z^2$ \\[ \\frac{a}{b} = \\sqrt{c} \\] $$\\int_0^1 f(x) dx$$",
    "emoji": "🙂🙃😀😃😄😁 👍👍👍",
    "one word": "Oui.",
    "one filler phrase": "Je réfléchis. " * 150,
    "code": "```python\nprint(1)\nfor i in range(3):\n    total += i\n```",
    "target text in code": f"```\n{FRENCH}\n```",
    "target text in a formula": f"$\\text{{{FRENCH}}}$",
    "target text in inline code": f"`{FRENCH}`",
    "names": "ABC DEF GHI snake_case camelCase f(x) g(y) https://exemple.fr/une/page/en/francais",
    "target text after the thought": f"<think>7</think>{FRENCH}<answer>{FRENCH}</answer>",
    "target text in the answer": f"<answer>{FRENCH}</answer>",
    "target text in a quotation": f"« {FRENCH[:100]} »",
    "stop words": "de la les de la les " * 60,
}


@pytest.mark.parametrize("text", EMPTY.values(), ids=EMPTY.keys())
def test_what_says_nothing_in_the_language_is_not_paid(text: str) -> None:
    verdict = judge(text)
    assert verdict.score <= 0.05 and verdict.outcome is not Outcome.CORRECT
    if verdict.outcome is Outcome.NO_ANSWER:
        assert verdict.reason.startswith("no_language: ")


def bits(size: int) -> list[str]:
    """The English thought in pieces of ``size`` words."""
    words = ENGLISH.split()
    return [" ".join(words[place : place + size]) for place in range(0, len(words), size)]


# English thoughts dressed up as something else, with a little French in front: the share must stay low.
LITTLE = "Nous allons maintenant résoudre ce problème étape par étape."
HIDDEN = {
    "plain": ENGLISH,
    "in a fence": f"```\n{ENGLISH}\n```",
    "as comments": "```python\n" + "\n".join(f"# {part}" for part in ENGLISH.split(". ")) + "\n```",
    "as indented comments": "\n".join(f"    # {part.strip()}" for part in ENGLISH.replace(",", ".").split(".") if part),
    "in an open fence": f"```text\n{ENGLISH}",
    "in inline code": f"`{ENGLISH}`",
    "in bits of inline code": " ".join(f"`{bit}`" for bit in bits(4)),
    "in one formula": f"$\\text{{{ENGLISH}}}$",
    "in many formulas": " ".join(f"$\\text{{{bit}}}$" for bit in bits(4)),
    "in a bare formula": f"\\[ {ENGLISH} \\]",
    "in an environment": f"\\begin{{align*}}\n\\text{{{ENGLISH}}}\n\\end{{align*}}",
    "in a command": f"\\textbf{{{ENGLISH}}}",
    "in a box": f"\\boxed{{\\text{{{ENGLISH}}}}}",
    "in a quotation": f"“{ENGLISH}”",
    "in short quotations": " ".join(f'"{bit}"' for bit in bits(5)),
    "in a tag": f"<note>{ENGLISH}</note>",
    "in tags": " ".join(f"<{bit}>" for bit in bits(5)),
    "shouted": ENGLISH.upper(),
    "as acronyms": " ".join(word for word in ENGLISH.upper().split() if len(word) <= 5),
    "as one identifier": ENGLISH.replace(" ", "_").replace(".", "").replace(",", ""),
    "as identifiers": " ".join(bit.replace(" ", "_") for bit in bits(3)),
    "in camel case": "".join(word.capitalize() for word in ENGLISH.split()).replace(".", " ").replace(",", " "),
    "capitalised": ENGLISH.title(),
    "with Cyrillic letters": ENGLISH.replace("a", "а").replace("e", "е").replace("o", "о"),
    "with Greek letters": ENGLISH.replace("o", "ο").replace("a", "α").replace("i", "ι"),
    "with hidden characters": "\u200b".join(ENGLISH),
    "with soft hyphens": "\u00ad".join(ENGLISH),
    "with joiners": "\u200d".join(ENGLISH),
    "struck through": "".join(c + "\u0336" if c.isalpha() else c for c in ENGLISH),
    "in full width": "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in ENGLISH),
    "in mathematical letters": "".join(
        chr(0x1D5BA + ord(c) - 97) if c.islower() else chr(0x1D5A0 + ord(c) - 65) if c.isupper() else c for c in ENGLISH
    ),
    "in a second thought": f"</think><think>{ENGLISH}",
    "in Chinese": CHINESE + "每个朋友得到的苹果数量是一样的，所以我们只需要做一次除法就可以了。",
    "in Russian": RUSSIAN,
    "in German": "Zuerst rechnen wir aus, wie viele Äpfel Maria heute Morgen auf dem Markt gekauft hat, und ziehen "
    "dann diejenigen ab, die sie ihrem Bruder gegeben hat.",
    "in romanised Russian": "Snachala poschitaem, skolko yablok Mariya kupila utrom na rynke, a potom vychtem te, chto "
    "ona otdala svoemu bratu segodnya vecherom.",
    "in romanised Chinese": "Shouxian women jisuan Mali zai shichang shang yigong mai le duoshao ge pingguo, ranhou "
    "jianqu ta song gei didi de pingguo, zuihou pingjun fen gei san ge pengyou.",
    "in turns with French": " ".join(f"{a} {b}" for a, b in zip(ENGLISH.split(), FRENCH.split(), strict=False)),
    "in a table": " | ".join(bits(3)),
    "in an address": "https://example.com/" + ENGLISH.replace(" ", "/"),
    "word for word in code": " ".join(f"`{word}`" for word in ENGLISH.split()),
    "word for word in formulas": " ".join(f"${word}$" for word in ENGLISH.split()),
    "word for word in upright letters": " ".join(f"$\\mathrm{{{word}}}$" for word in ENGLISH.split()),
    "word for word in quotation marks": " ".join(f"«{word}»" for word in ENGLISH.split()),
    "in flags": "".join(chr(0x1F1E6 + ord(c) - 97) if c.isalpha() else c for c in ENGLISH.lower()),
    "as tags": " ".join(f"#{word}" for word in ENGLISH.split()),
    "in a comment of a page": f"<!-- {ENGLISH} -->",
    "spelled out": " ".join(ENGLISH),
    "spelled with hyphens": "-".join(ENGLISH),
    "in leet": ENGLISH.replace("e", "3").replace("o", "0").replace("a", "4").replace("i", "1"),
    "in another alphabet": "".join(chr(0x13A0 + ord(c.lower()) - 97) if c.isalpha() else c for c in ENGLISH),
    "in calls": " ".join(f"so({bit})" for bit in bits(4)),
    "rotated": codecs.encode(ENGLISH, "rot13"),
    "backwards": ENGLISH[::-1],
    "behind repeated French": f"{LITTLE} " * 12 + ENGLISH,
    "behind French in code": f"```\n{FRENCH}\n```\n{ENGLISH}",
    "behind French in formulas": f"$\\text{{{FRENCH}}}$ {ENGLISH}",
    "between digits": "1234567890 " * 40 + ENGLISH,
}


@pytest.mark.parametrize(("name", "text"), HIDDEN.items(), ids=HIDDEN.keys())
def test_a_foreign_thought_in_disguise_is_seen(name: str, text: str) -> None:
    verdict = judge(f"<think>{LITTLE}\n{text}</think><answer>7</answer>")
    assert verdict.outcome is not Outcome.CORRECT and verdict.score <= (0.65 if "turns" in name else 0.5), (
        verdict.reason
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_spray_of_stop_words_is_not_paid(seed: int) -> None:
    words = ["le", "la", "les", "de", "des", "un", "une", "et", "est", "que", "qui"]
    text = " ".join(random.Random(seed).choice(words) for _ in range(300))
    assert judge(text).score <= 0.3


def test_a_filler_before_the_real_thought_counts_twice_at_most() -> None:
    # 2 × 60 characters of French at most against 187 of English, and the repetition is paid less again
    assert judge(f"{LITTLE} " * 30 + ENGLISH).score < 2 * len(LITTLE) / (2 * len(LITTLE) + len(ENGLISH))


@pytest.mark.parametrize("target", ["fr", "en", "de", "pl", "vi", "sw", "fi", "tr"])
def test_made_up_words_are_no_language(target: str) -> None:
    chance = random.Random(7)
    text = " ".join(
        "".join(chance.choice("bcdfghjklmnpqrstvwxzaeiou") for _ in range(chance.randint(3, 9))) for _ in range(60)
    )
    assert judge(text, target).score <= 0.1


# What an honest thought in the target language looks like: formulas, names, code, units.
HONEST = {
    "formulas": (
        "fr",
        "Comme $x^2 + 3x = 10$, on a $(x-2)(x+5) = 0$, donc $x = 2$ ou $x = -5$. La somme vaut $\\boxed{-3}$.",
    ),
    "names": ("fr", "Kevin Johnson et Tyler Smith habitent à Seattle. Kevin a trois chats de plus que Tyler."),
    "code": (
        "de",
        "Wir schreiben eine Funktion `count_words(text)`, die alle Wörter zählt:\n```python\ndef count_words(text):\n"
        "    return len(text.split())\n```\nDanach prüfen wir das Ergebnis mit einem kleinen Beispiel.",
    ),
    "a short quotation": (
        "es",
        "El problema dice “find the sum of all digits” y por eso sumamos todas las cifras del número.",
    ),
    "units": (
        "it",
        "La velocità media è di 80 km/h, quindi in 3 ore l'auto percorre 240 km e consuma 12 L di benzina.",
    ),
    "names in another script": (
        "zh",
        "约翰买了三台 iPhone 手机和两台 MacBook 电脑，一共花了四千八百美元，每台手机多少钱？",
    ),
    "Japanese": ("ja", "ローブを作るには、青い繊維を二巻分、白い繊維をその半分使います。合計で三巻必要です。"),
    "Korean": ("ko", "철수는 사과를 열두 개 사서 동생에게 다섯 개를 주었으므로 남은 사과는 일곱 개입니다."),
    "Thai": ("th", "แม่ซื้อแอปเปิลมาสิบสองลูก แล้วแบ่งให้น้องห้าลูก ดังนั้นจะเหลือแอปเปิลเจ็ดลูก"),
    "Hindi": ("hi", "राम ने बाज़ार से बारह सेब खरीदे और पाँच सेब अपने भाई को दे दिए, इसलिए उसके पास सात सेब बचे हैं।"),
    "Arabic": ("ar", "اشترت مريم اثنتي عشرة تفاحة من السوق وأعطت أخاها خمس تفاحات، لذلك بقي معها سبع تفاحات."),
    "decomposed letters": ("vi", "Mẹ mua mười hai quả táo ở chợ, rồi cho em năm quả, nên còn lại bảy quả táo."),
    "steps": (
        "fr",
        "Étape 1 : 12 + 5 = 17 pommes.\nÉtape 2 : 17 - 4 = 13 pommes.\nÉtape 3 : 13 × 2 = 26 pommes au total.",
    ),
}


@pytest.mark.parametrize(("target", "text"), HONEST.values(), ids=HONEST.keys())
def test_an_honest_thought_is_paid_in_full(target: str, text: str) -> None:
    import unicodedata

    for form in (text, unicodedata.normalize("NFD", text)):
        verdict = judge(f"<think>{form}</think><answer>7</answer>", target)
        assert verdict.outcome is Outcome.CORRECT and verdict.score >= 0.97, verdict.reason


def test_a_copy_of_the_question_is_no_thought() -> None:
    for language, question in (("fr", FRENCH), ("zh", CHINESE)):
        grader = prepare(Task("t", "language", question, language))
        assert grader.grade(f"<think>{question}</think>").outcome is Outcome.NO_ANSWER
        assert grader.grade(f"<think>{question} {ENGLISH}</think>").score == 0.0
    verdict = prepare(Task("t", "language", FRENCH, "fr")).grade(f"{FRENCH} {LITTLE}")
    assert verdict.outcome is Outcome.CORRECT and verdict.score == 1.0


def test_confusable_tongues_count_as_one_unless_told_apart() -> None:
    malay = "Ibu membeli dua belas biji epal di pasar lalu memberikan lima biji kepada adik saya pagi tadi."
    assert judge(malay, "id").score == 1.0 and judge(malay, "ms").score == 1.0
    croatian = "Mama je kupila dvanaest jabuka na tržnici i dala pet jabuka mojem bratu danas ujutro."
    assert judge(croatian, "bs").score == 1.0
    assert judge(RUSSIAN, "uk").score < 0.3 and judge(FRENCH, "es").score < 0.1


def test_spans_are_places_of_the_completion_as_it_was_written() -> None:
    hidden = "\u200b".join(ENGLISH)
    text = f"<think>ﬁn du problème : nous additionnons les deux nombres donnés.\n{hidden}</think>"
    (span,) = judge(text).spans
    assert text[span.start : span.end].replace("\u200b", "") == ENGLISH


@pytest.mark.parametrize("text", [None, b"Oui", 7, ["Oui"]])
def test_what_is_not_text_is_no_answer(text: object) -> None:
    verdict = verify(text, domain="language", target="fr")  # type: ignore[arg-type]
    assert verdict.outcome is Outcome.NO_ANSWER and verdict.reason.startswith("not_text: ")


FLOODS = [
    "\x00",
    "\ud800",
    "<think>",
    "</think>",
    "```",
    "$",
    "$$ a ",
    "\\[",
    "\\begin{a}",
    "\\a{{",
    "((",
    "a_",
    "a-",
    "a.",
    "`a ",
    '" a',
    "a/a/",
    "a@",
    "\u0301",
    "一",
    "a",
    " ",
    "\n",
    "<a ",
    "A",
    "ab ",
    "é\u200d",
    "= (",
]


@pytest.mark.parametrize("piece", FLOODS, ids=ascii)
def test_a_flood_is_judged_fast(piece: str) -> None:
    judge(FRENCH)
    start = time.process_time()
    judge(piece * (1_000_000 // len(piece)))
    assert time.process_time() - start < 5  # seconds; the slowest takes under 2 on the machine it was written on


def test_a_grader_pickles_and_judges_alike() -> None:
    grader = prepare(Task("t", "language", "", "fr"), threshold=0.5)
    twin = pickle.loads(pickle.dumps(grader))
    assert twin == grader and twin.grade(f"{FRENCH}\n{ENGLISH}") == grader.grade(f"{FRENCH}\n{ENGLISH}")


def test_the_identifier_loads_with_the_first_text_not_before() -> None:
    import subprocess
    import sys

    program = (
        "import sys, r1gym\nfrom r1gym.verifiers import prepare\nfrom r1gym.types import Task\n"
        "prepare(Task('t', 'language', '', 'fr'))\nprint('py3langid' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
