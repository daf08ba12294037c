"""The options of a multiple-choice question: which of them a short text names, and whether it names another too."""

from __future__ import annotations

import re
from functools import cached_property

__all__ = ["LETTERS", "Options", "Unread"]

LETTERS = "ABCDEFGHIJ"

MAX_TEXT = 2_000
"""Characters that are compared with the text of an option."""

WORDS = 4
"""Characters from which on a text without the option's capitals is that option, where it is no other."""

_DRESS = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|mbox|mathrm|mathbf|mathit|mathsf|bf|rm|boxed|fbox)(?![A-Za-z])"
    r"|\\[,;:! ()\[\]]|\*\*|[{}$~`\s]+"
)
_LEAD = re.compile(
    r"(?:(?:the|my|our)\s+)?(?:(?:correct|right|best|final)\s+)?(?:option|choice|answer|letter)(?:\s+is)?\s*:?\s+",
    re.IGNORECASE,
)
_ALONE = re.compile(r"([(\[]?)\s*([A-Za-z])\s*[)\]]?\s*[.:]?")
_FIRST = re.compile(r"(?:[(\[]\s*([A-Z])\s*[)\]]|([A-Z])\s*[).:;,–—-])\s*[.:,–—-]?\s*(?=\S)(.*)", re.DOTALL)
_REASON = re.compile(r"[(\[]?([A-Z])[)\]]?\s+(?:because|since|as|for|by|which)\b(.*)", re.DOTALL)
_WORDLIKE = re.compile(r"[A-Z](?:\s*[–—-]\s*|\.\s*)[a-z]")
_SPACED = re.compile(r"([A-Z])\s+(.*)", re.DOTALL)
_LAST = re.compile(r"(.*\S)\s*\(([A-Z])\)", re.DOTALL)
_LETTER = re.compile(r"(?<![\w\\'’])([A-J])(?![\w'’])(?!\s*=)")
_REFUSED_OTHERS = re.compile(r"\b(?:not|rather than|instead of|unlike)\s+(?:option\s+)?\(?[A-J]\)?(?![\w'’])")
_MANY = re.compile(r"[A-J]{2,10}|[A-J]\s*(?:-|–|to|through)\s*[A-J]")
# After the answer: a joining word right behind it, or a change of mind anywhere, and then an option.
_JOINED = re.compile(r"[\s$*()\]}.`]*(?:[,;/&|=]|\b(?:or|and|maybe|perhaps|possibly|as well as)\b)", re.IGNORECASE)
_ABOUT = re.compile(
    r"(?:(?:\s*(?:,|and|or|&))*\s*\(?[A-J]\)?(?!\w))*\s+(?:(?:is|are|was|were|has|have|does|do|would|ca)n['’]t\b"
    r"|(?:is|are|was|were|has|have|does|do|would|can|cannot|gives?|fails?)\b"
    r"(?!\s+(?:(?:also|too|equally|just as|the|an?)\s+)*(?:correct|right|possible|true|valid|fine|answers?|better)\b))"
)
"""What a sentence says of other options: that they are wrong, unless it says that they are right."""
_CHANGED = re.compile(
    r"\b(?:wait|actually|correction|scratch that|on second thought|oops|sorry|alternatively|otherwise|instead|no"
    r"|maybe|perhaps|possibly|(?:should|must|could|might|may)(?: (?:also|well|even))? be"
    r"|(?:answer|option|choice)(?: is|:| would be| could be| might be| should be))(?=[\s,.:;…*(\\$])",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"(?:[\s,.:;…*–—$({\[]|\\(?:boxed|fbox|text(?:bf)?)(?![A-Za-z])|<answer>"
    r"|(?:the|my|final|correct|right|real|true|answer|option|choice|letter|it|is|it's|it’s|that|this|should|would|could"
    r"|might|must|may|be|actually|instead|no|not sure|wait|so|to|or|and|maybe|perhaps|possibly|i|mean|meant|think|also"
    r"|even)(?![\w'’]))*",
    re.IGNORECASE,
)
_OPENING = re.compile(r"([A-J])(?![\w'’])")


_QUOTED = re.compile(r"['‘](.*)['’]", re.DOTALL)


class Unread(Exception):
    """A text that names no single option; ``rule`` is one of ``r1gym.verifiers.reasons.RULES``."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule, detail)
        self.rule = rule
        self.detail = detail


def fold(text: str) -> str:
    """``text`` without text commands, dollars, braces, bold marks and a closing point."""
    plain = _DRESS.sub(" ", text).replace(" ,", ",").strip(' ."“”')
    quoted = _QUOTED.fullmatch(plain)
    return quoted.group(1) if quoted is not None else plain


def _squeeze(text: str) -> str:
    return "".join(fold(text).split())


class Options:
    """The texts in the order of their letters; without texts the letters A to J."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.texts = texts
        self.letters = LETTERS[: len(texts)] or LETTERS

    @cached_property
    def _folded(self) -> dict[str, str]:
        return {letter: _squeeze(text) for letter, text in zip(self.letters, self.texts, strict=False)}

    def __reduce__(self) -> tuple[type[Options], tuple[tuple[str, ...]]]:
        return Options, (self.texts,)

    def same_text(self, letter: str) -> str:
        """The letters of all options that read like that of ``letter``, itself among them: they are one answer."""
        return "".join(each for each in self.letters if each == letter or self._is_text_of(each, letter))

    def _is_text_of(self, one: str, other: str) -> bool:
        return bool(self.texts) and self._spelled(one) == self._spelled(other)

    def _spelled(self, letter: str) -> str:
        return " ".join(fold(self.texts[self.letters.index(letter)]).split())

    def letter(self, text: str) -> str:
        """The letter that ``text`` consists of, "" where it is more than a letter."""
        match = _ALONE.fullmatch(fold(text))
        letter = match.group(2).upper() if match else ""
        return letter if letter in self.letters else ""

    def whole_text(self, text: str) -> str:
        """The letter of the option whose whole text ``text`` is, "" for none."""
        squeezed = _squeeze(text)
        found = [letter for letter, option in self._folded.items() if option and option == squeezed]
        if not found and len(squeezed) >= WORDS:
            lowered = squeezed.lower()
            found = [letter for letter, option in self._folded.items() if option.lower() == lowered]
        if len(found) > 1:  # they differ in white space, which then counts
            spelled = " ".join(fold(text).split())
            found = [letter for letter in found if self._spelled(letter) == spelled]
        return found[0] if found else ""

    def read(self, text: str, strict: bool = False) -> str:
        """The letter of the one option that ``text`` names.

        Args:
            text: A final answer: "C", "(C)", "C) its text", "option C", "C because …", or an option's whole text.
            strict: A bare letter must be a capital: "a" at the end of a sentence is an article.

        Raises:
            Unread: It names none, or several.
        """
        plain = " ".join(fold(text).split())
        lead = _LEAD.match(plain)
        if lead is not None and not self.whole_text(plain):
            plain = plain[lead.end() :]
        alone = _ALONE.fullmatch(plain)
        if alone is not None and (alone.group(1) or not strict or alone.group(2).isupper()):
            letter = alone.group(2).upper()
            if letter in self.letters:
                return letter
        whole = self.whole_text(plain)
        if whole:
            return whole
        return self._with_more(plain)

    def _with_more(self, plain: str) -> str:
        for pattern in (_FIRST, _REASON):
            match = pattern.fullmatch(plain)
            letter = next((group for group in match.groups()[:-1] if group), "") if match else ""
            if match and letter in self.letters:
                rest = match.group(match.re.groups)
                if _WORDLIKE.match(plain) and not _squeeze(rest).startswith(self._folded.get(letter) or "\0"):
                    continue  # "E. coli", "A-level", "C-terminus"
                self._check_rest(letter, rest)
                return letter
        spaced, last = _SPACED.fullmatch(plain), _LAST.fullmatch(plain)
        for match, letter, rest in ((spaced, 1, 2), (last, 2, 1)):
            if match and self.texts and self._folded.get(match.group(letter)) == _squeeze(match.group(rest)):
                return match.group(letter)
        others = set(_LETTER.findall(plain)) & set(self.letters)
        if len(others) > 1 or _MANY.fullmatch(plain):
            raise Unread("hedge", f"{plain[:60]!r} names several options where one answer is asked for")
        texts = ", or the whole text of an option" if self.texts else ""
        raise Unread("kind", f"{plain[:60]!r} is no letter from A to {self.letters[-1]}{texts}")

    def _check_rest(self, letter: str, rest: str) -> None:
        """Unread where the words behind ``letter`` name another option, or take it back."""
        if self.whole_text(rest) == letter:
            return
        if _squeeze(rest).startswith(self._folded.get(letter) or "\0"):
            other = self.beside(_REFUSED_OTHERS.sub("", _without_start(rest, self._folded[letter])), letter)
        else:
            other = self._named(_REFUSED_OTHERS.sub("", rest), letter)
        if other:
            raise Unread("hedge", f"{letter} and {other} are both named where one answer is asked for")

    def _named(self, rest: str, letter: str) -> str:
        whole = self._opens_with(rest, letter)
        if whole:
            return whole
        for match in _LETTER.finditer(rest):
            article = match.group() in "AI" and re.match(r"\s+[a-z]", rest[match.end() :])
            article = article or _ABOUT.match(rest, match.end())
            if match.group() in self.letters and match.group() != letter and not article:
                return match.group()
        return ""

    def _opens_with(self, rest: str, letter: str) -> str:
        """The letter of an option other than ``letter`` whose whole text ``rest`` begins with."""
        start = _squeeze(rest[:MAX_TEXT])
        found = [each for each, text in self._folded.items() if text and _begins(start, text)]
        longest = max(found, key=lambda each: len(self._folded[each]), default="")
        return longest if longest and not self._is_text_of(longest, letter) else ""

    def beside(self, tail: str, letter: str) -> str:
        """The letter of another option that the text right after the answer ``letter`` offers, "" for none."""
        starts = [match.end() for match in (_JOINED.match(tail),) if match]
        starts += [match.end() for match in _CHANGED.finditer(tail)]
        for start in starts:
            filler = _FILLER.match(tail, start)
            rest = tail[filler.end() if filler else start :]
            opening = _OPENING.match(rest)
            if opening is not None and opening.group(1) in self.letters:
                article = opening.group(1) in "AI" and re.match(r"\s+[a-z]", rest[1:])
                article = article or _ABOUT.match(rest, opening.end())
                if opening.group(1) != letter and not article:
                    return opening.group(1)
            other = self._opens_with(rest, letter)
            if other:
                return other
        return ""


def _begins(start: str, text: str) -> bool:
    """Whether ``start`` begins with the whole of ``text``, not with a longer number or word."""
    following = start[len(text) : len(text) + 1]
    return start.startswith(text) and not (following.isalnum() and text[-1].isdigit() == following.isdigit())


def _without_start(rest: str, squeezed: str) -> str:
    """``rest`` without its beginning that reads ``squeezed``."""
    for end in range(min(len(rest), 4 * len(squeezed) + 80) + 1):
        if _squeeze(rest[:end]) == squeezed and (end == len(rest) or not rest[end].isalnum()):
            return rest[end:]
    return rest
