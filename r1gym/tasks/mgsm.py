"""MGSM: grade-school problems in eleven languages (Shi et al., arXiv 2210.03057), asked for in their own language."""

from __future__ import annotations

from functools import cached_property

from r1gym.errors import ConfigError
from r1gym.tasks import loading
from r1gym.tasks.phrases import INSTRUCTIONS
from r1gym.tasks.source import DataFile, Row, Source, Split
from r1gym.tasks.taskset import StoredTaskSet, TaskSet
from r1gym.types import Task

__all__ = ["MGSM", "Selection"]

LANGUAGES = ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")


def parse(row: Row, split: str, index: int) -> Task:
    """A row of ``id, language, question, answer`` as a Task."""
    language = row.text("language")
    if language not in INSTRUCTIONS:
        raise row.error("language", f"expected one of {', '.join(sorted(INSTRUCTIONS))}, got {language!r}")
    return Task(
        id=f"{row.text('id')}/{language}",
        domain="math",
        question=f"{row.text('question')}\n\n{INSTRUCTIONS[language]}",
        reference=row.text("answer"),
        meta={"language": language, **row.facts("sample")},
    )


MGSM = Source(
    name="mgsm",
    title="MGSM",
    domain="math",
    splits={"test": Split(files=(DataFile("mgsm.jsonl"),))},
    parse=parse,
    needs="id, language, question, answer (strings; the id is shared by the languages)",
)


class Selection(TaskSet):
    """The rows of MGSM in some languages; read when first asked for."""

    def __init__(self, split: str, languages: tuple[str, ...]) -> None:
        """Choose ``languages``. ConfigError for a split or a language that MGSM does not have."""
        if split not in loading.split_names(MGSM):
            raise ConfigError(f"MGSM is a test set and has no split {split!r}: pass split='test' (or 'sample')")
        for language in languages:
            if split == "test" and language not in LANGUAGES:
                raise ConfigError(f"MGSM has no questions in {language!r}: it has {', '.join(LANGUAGES)}")
        self.source, self.split, self.languages = "mgsm", split, languages

    @cached_property
    def _chosen(self) -> StoredTaskSet:
        tasks = loading.load(MGSM, self.split)
        self.origin = tasks.origin
        chosen = [task for task in tasks if not self.languages or task.meta["language"] in self.languages]
        if not chosen:
            raise ConfigError(f"{tasks.origin} has no question in {', '.join(self.languages)}")
        return StoredTaskSet("mgsm", self.split, chosen, tasks.origin)

    def __len__(self) -> int:
        return len(self._chosen)

    def _task(self, index: int) -> Task:
        return self._chosen[index]

    def index_of(self, task_id: str) -> int:
        """The row number among the chosen rows; UnknownNameError names the near miss."""
        return self._chosen.index_of(task_id)
