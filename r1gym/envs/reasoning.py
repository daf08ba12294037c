"""ReasoningEnv: one question, one completion, one rule-based verdict, as a Gymnasium environment."""

from __future__ import annotations

import dataclasses
import logging
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
from gymnasium.error import ResetNeeded

from r1gym import rewards as reward_terms
from r1gym.envs.catalog import entry_of_source
from r1gym.envs.forms import form_grader, language_grader
from r1gym.envs.infos import step_info
from r1gym.envs.refused import REFUSED, drawn
from r1gym.envs.spaces import AnyText
from r1gym.errors import ActionError, ConfigError, DataError, ReferenceRefusedError, SandboxError, unknown_name
from r1gym.prompts import template_named
from r1gym.tasks import loading
from r1gym.tasks.multiple_choice import check_seed
from r1gym.tasks.procedural import SIZES, ProceduralSource
from r1gym.tasks.registry import source_named
from r1gym.tasks.taskset import TaskSet
from r1gym.types import Reward, Task, Verdict
from r1gym.verifiers import Grader, prepare
from r1gym.verifiers.code import OPTIONS as CODE_OPTIONS
from r1gym.verifiers.code import CodeGrader, check_options
from r1gym.verifiers.domains import modes_of

__all__ = ["ReasoningEnv"]

logger = logging.getLogger(__name__)

MAX_CHARACTERS = 2**22
"""Bound of both spaces; verifiers look at no more of a completion than this."""
MAX_GRADERS = 1024
"""Prepared golds an environment keeps, so that the completions of a group share one."""
MAX_DRAWS = 1000
"""Draws without a usable reference before a task set counts as broken."""
OPTIONS = ("index", "task_id")

_accepted: weakref.WeakSet[TaskSet] = weakref.WeakSet()
"""Files of users whose golds have all been accepted by their verifier."""


_told: set[tuple[str, str]] = set()
"""(task set, id) of the refused references that the log has named."""


class ReasoningEnv(gym.Env[str, str]):
    """Answer one question with one completion.

    ## Description
    `reset` asks a question; `step` takes the whole completion as text, judges it by rules, pays, and ends the episode.

    ## Action Space
    Any text: `AnyText`. Garbage is judged like everything else and never raises; anything but a `str` is an
    `ActionError`.

    ## Observation Space
    Any text: after `reset` the user's text, template applied, no chat markup; after `step` the empty string.

    ## Rewards
    The sum of weight × term over the terms of `rewards`, each term in [0, 1]. By default 1.0 where the final answer is
    right (a program: where it passes every test) and 0.0 otherwise; `r1/LanguageConsistency-v0` also pays half the
    share of the thought that is in the question's language. All terms are computed and stand in
    `info["reward_terms"]`, weighted or not.

    ## Starting State
    A task drawn from `np_random`, or the one that `reset(options={"index": i})` or `{"task_id": ...}` pins; `index` is
    the row number in file order, from 0. Tasks whose reference the verifier refuses are not drawn.

    ## Episode End
    Every step terminates; no step truncates.

    ## Information
    After `reset`: `task_id`, `index`, `template`, `messages` (the chat), `group_id` (0: an environment alone has one
    group). After `step`: `verdict` (CORRECT, WRONG, NO_ANSWER or UNGRADABLE), `score`, `reward_terms`, `extracted`
    ("" for none), `reason` ("rule: text"), `task_id`, `spans` (tuples of start, end, term, value; in characters; term
    "answer", and "language" for passages in a language that was not asked for).
    Of programs also `tests`: the ruling of each test that ran, in order ("AC", "WA", "TLE", "MLE", "RE", "OLE", "IE").
    UNGRADABLE means that we could not judge: leave that sample out of the loss. Where no program can run at all, the
    step raises `SandboxUnavailableError`.

    ## Arguments
    - `split`: "train", "test" or "sample" (about ten problems of our own); those that the set has.
    - `data`: a JSON-lines file (`.gz` too) with the set's own fields, used instead of the set.
    - `template`: a name of `r1gym.prompts.TEMPLATES`, its paraphrase such as "boxed/3", one drawn at each reset
      ("boxed/*"; `info["template"]` names it), or a text with `{question}` in it.
    - `extraction`: "lenient", "strict:boxed", "strict:answer", "strict:####" (programs: "lenient", "strict:answer",
      "strict:code"), or "template": the strict mode of the answer form that the template declares.
    - `rewards`: weight by term name, for example `{"accuracy": 1.0, "format": 0.1}`, or a preset: "r1". A warning says
      where the side terms can outweigh being right.
    - `render_mode`: "ansi" (render returns the text) or "human" (it is printed).
    - programs also take `score` ("all" or "fraction" of the tests), `sandbox` ("auto", "docker", "local"),
      `time_factor`, and `include_unverifiable` (ask tasks by which no program can be judged; they are UNGRADABLE).
    - generated sets also take `task_seed` and their dials, for example `digits`, `operations`, `depth`, `style`.
    - multiple choice also takes `option_seed`: the order of each task's options is a function of it and the task's id.

    ```python
    import gymnasium as gym, r1gym
    env = gym.make("r1/Arithmetic-v0", digits=2)
    ```

    The constructor reads no known set and never touches the network; the first `reset` does. Files of your own
    (`data`, `register_task_env`) are read and checked by the constructor.

    ## Version History
    * v0: initial version (r1gym 0.1.0)
    """

    metadata = {"render_modes": ["ansi", "human"], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        source: str | Mapping[str, Any],
        *,
        split: str | None = None,
        data: str | None = None,
        template: str | None = None,
        extraction: str = "lenient",
        rewards: Mapping[str, float] | str | None = None,
        render_mode: str | None = None,
        task_seed: int = 0,
        **dials: Any,
    ) -> None:
        """Check every option, and every row of a user's own tasks.

        ``source`` is a task set of ``r1gym.tasks.registry``, or the description of one (``r1gym.tasks.own``).

        Raises:
            UnknownNameError: An option, or the value of one, that is not in its table.
            ConfigError: A value that cannot work.
            DataError: A row of the user's own tasks that cannot be used; file, line and field are named.
        """
        entry = entry_of_source(source) if isinstance(source, str) else None
        self.source = source_named(source)
        self.split = split or (entry.split if entry else "train")
        self.template = template_named(template or (entry.template if entry else "boxed"))
        modes = modes_of(self.source.domain)
        self.extraction = self.template.extraction if extraction == "template" else extraction
        if self.extraction not in modes:
            raise unknown_name(f"extraction of {self.source.title}", self.extraction, (*modes, "template"))
        weights = (
            dict(entry.weights) if entry else dict.fromkeys(reward_terms.USUAL, 0.0) | reward_terms.DEFAULT_WEIGHTS
        )
        self.terms = tuple(weights)
        default = {name: weight for name, weight in weights.items() if weight}
        self.weights = reward_terms.check_weights(rewards, self.terms, default)
        if rewards is not None and not isinstance(rewards, str):
            reward_terms.warn_if_outweighed(self.weights)
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise unknown_name("render_mode", render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        self.data = None if data is None else str(data)
        self._configure(task_seed, dials)
        self.observation_space = AnyText(MAX_CHARACTERS)
        self.action_space = AnyText(MAX_CHARACTERS)
        self._form = form_grader(self.template.form)
        self._tasks: TaskSet | None = None
        self._gradable: Sequence[int] = ()
        self._graders: dict[str, Grader | str] = {}
        self._task: Task | None = None
        self._over = False
        self._shown = ""
        if self._own():
            self._tasks, self._gradable = self._load()

    def _configure(self, task_seed: int, dials: dict[str, Any]) -> None:
        self.task_seed = task_seed
        self.config: Any = None
        self.include_unverifiable = False
        self.options: dict[str, Any] = {}
        common = ("data", "extraction", "render_mode", "rewards", "split", "template")
        if isinstance(self.source, ProceduralSource):
            known = (*common, "task_seed", *self.source.dials())
            for name in dials:
                if name not in known:
                    raise unknown_name(f"option of {self.source.title}", name, known)
            self.config = self.source.configure(dials)
            if self.data is not None:
                raise ConfigError(f"{self.source.title} is generated and reads no file: leave data= out")
            if self.split not in SIZES:
                raise unknown_name(f"split of {self.source.title}", self.split, SIZES)
            self.source.tasks(self.config, self.split, task_seed)  # cheap: checks the seed
            return
        code = self.source.domain == "code"
        own = ("option_seed",) if self.source.arrange else ("include_unverifiable", *CODE_OPTIONS) if code else ()
        for name in dials:
            if name not in own:
                raise unknown_name(f"option of {self.source.title}", name, (*common, *own))
        self.option_seed = check_seed(dials.get("option_seed", 0))
        if code:
            self.include_unverifiable = dials.get("include_unverifiable", False)
            if not isinstance(self.include_unverifiable, bool):
                raise ConfigError(f"include_unverifiable must be True or False, got {self.include_unverifiable!r}")
            self.options = {name: value for name, value in dials.items() if name in CODE_OPTIONS}
            check_options(**self.options)
        loading.check_split(self.source, self.split)

    @property
    def tasks(self) -> TaskSet:
        """The task set, read when first asked for; ``tasks[i]`` is what ``reset(options={"index": i})`` pins."""
        if self._tasks is None:
            self._tasks, self._gradable = self._load()
        return self._tasks

    @property
    def gradable(self) -> Sequence[int]:
        """Indices of the tasks whose reference is not known to be refused: what sampling draws from."""
        if self._tasks is None:
            self._tasks, self._gradable = self._load()
        return self._gradable

    def _load(self) -> tuple[TaskSet, Sequence[int]]:
        if isinstance(self.source, ProceduralSource):
            tasks = self.source.tasks(self.config, self.split, self.task_seed)
            return tasks, range(len(tasks))
        tasks = loading.load(self.source, self.split, self.data)
        if self._own():
            self._accept(tasks)
        gradable = drawn(tasks, self._refused, self.include_unverifiable)
        if self.source.arrange:
            tasks = self.source.arrange(tasks, self.option_seed)
        return tasks, gradable

    @property
    def _refused(self) -> frozenset[str]:
        """Ids of a known set's references that their own verifier refuses; a user's rows have none."""
        return frozenset() if self._own() else REFUSED.get(self.source.name, frozenset())

    def _own(self) -> bool:
        """Whether the rows are a user's own: a file in the place of a known set, or a registered task set."""
        if isinstance(self.source, ProceduralSource):
            return False
        return self.data is not None or self.source.sample is None

    def _accept(self, tasks: TaskSet) -> None:
        """ReferenceRefusedError, with file and line, for the first gold of a user's file that its verifier refuses."""
        if tasks in _accepted:
            return
        for index, task in enumerate(tasks):
            if "unverifiable" in task.meta:
                continue
            try:
                prepare(task, extraction=self.extraction, **self.options)
            except (ReferenceRefusedError, ConfigError) as error:
                raise ReferenceRefusedError(f"{tasks.origin}, line {tasks.line_of(index)}: {error}") from error
        _accepted.add(tasks)

    def _grader(self, task: Task) -> Grader | str:
        """The prepared gold of a task, or why it was refused."""
        grader = self._graders.get(task.id)
        if grader is None:
            if len(self._graders) >= MAX_GRADERS:
                self._graders.clear()
            try:
                if task.id in self._refused:
                    raise ReferenceRefusedError("listed as refused by its own verifier")
                grader = prepare(task, extraction=self.extraction, **self.options)
            except ReferenceRefusedError as error:
                grader = str(error)
                if (self.source.name, task.id) not in _told and "unverifiable" not in task.meta:
                    _told.add((self.source.name, task.id))
                    logger.warning("%s: the reference of task %s is refused: %s", self.tasks, task.id, error)
            self._graders[task.id] = grader
        return grader

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Ask a question.

        Raises:
            DataNotFoundError: The task set is nowhere at hand; the message names the command that fetches it.
            ConfigError: ``options`` pins no task of this set.
        """
        super().reset(seed=seed)
        index = self._choose(options or {})
        self._task = task = self.tasks.at(index)
        self._over = False
        template = self.template.drawn(self.np_random, task.id if options and seed is None else "")
        text = template.user_text(task.question)
        self._shown = text if self.render_mode is not None else ""
        if self.render_mode == "human":
            print(text)
        return text, {
            "task_id": task.id,
            "index": int(index),
            "template": template.name,
            "messages": [dict(message) for message in template.messages(task.question)],
            "group_id": 0,
        }

    def _choose(self, options: Mapping[str, Any]) -> int:
        if not isinstance(options, Mapping):
            raise ConfigError(f"options of reset must be a dict, got {type(options).__name__} {options!r:.60}")
        for name in options:
            if name not in OPTIONS:
                raise unknown_name("option of reset", name, OPTIONS)
        if len(options) > 1:
            raise ConfigError(f"reset takes index or task_id, got both: {dict(options)!r:.200}")
        if "index" in options:
            index: int = options["index"]  # the task set refuses what is no row number
            return index
        if "task_id" in options:
            return self.tasks.index_of(options["task_id"])
        gradable = self.gradable
        if isinstance(self.source, ProceduralSource):  # the reference is right by construction
            return int(self.np_random.integers(len(gradable)))
        for _ in range(MAX_DRAWS if gradable else 0):
            index = gradable[int(self.np_random.integers(len(gradable)))]
            task = self.tasks.at(index)
            if "unverifiable" in task.meta or not isinstance(self._grader(task), str):
                return index
        raise DataError(f"the verifier refuses every reference of {self.tasks}")

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Judge one completion; the episode ends.

        Raises:
            ActionError: ``action`` is not text.
            ResetNeeded: There is no question to answer.
        """
        if not isinstance(action, str):
            raise ActionError(f"an action is the whole completion as str, got {type(action).__name__} {action!r:.60}")
        if self._task is None or self._over:
            state = "the episode is over" if self._over else "no question has been asked"
            raise ResetNeeded(f"{state}: call env.reset() before env.step()")
        self._over = True
        verdict, reward = self.judge(action)
        if self.render_mode is not None:
            told = f"\n\n{action}\n\n{verdict.outcome.name}  reward {reward.total:g}  {verdict.reason}"
            self._shown += told
            if self.render_mode == "human":
                print(told)
        return "", reward.total, True, False, step_info(self._task.id, self._task.domain, verdict, reward)

    @property
    def judging_seconds(self) -> float:
        """How long a completion of the present task may rightly take to judge: a program's wall limit, else 0.0."""
        grader = self._grader(self._task) if self._task is not None else ""
        return grader.seconds if isinstance(grader, CodeGrader) else 0.0

    @property
    def asked(self) -> Task:
        """The task of the present episode, its reference with it.

        Raises:
            ResetNeeded: No question has been asked.
        """
        if self._task is None:
            raise ResetNeeded("no question has been asked: call env.reset() first")
        return self._task

    def judge(self, completion: str, task: Task | None = None) -> tuple[Verdict, Reward]:
        """The verdict and the reward of one completion of ``task`` (the present one); the episode is left as it is.

        Raises:
            ResetNeeded: No question has been asked.
        """
        verdict, verdicts = self.verdicts(completion, task)
        return verdict, reward_terms.combine(verdicts, self.weights)

    def verdicts(self, completion: str, task: Task | None = None) -> tuple[Verdict, dict[str, Verdict]]:
        """The verdict of one completion, with all its spans, and the verdict behind each reward term."""
        task = task or self._task or self.asked
        grader = self._graders.get(task.id) or self._grader(task)
        if isinstance(grader, str):
            verdict = Verdict.ungradable(f"reference_refused: {grader}")
        else:
            verdict = _grade(grader, completion, task.id)
        verdicts = {"accuracy": verdict, "format": _grade(self._form, completion, task.id)}
        if "language" in self.terms:
            verdicts["language"] = language = _grade(language_grader(task), completion, task.id)
            verdict = dataclasses.replace(verdict, spans=verdict.spans + language.spans)
        return verdict, verdicts

    def render(self) -> str | None:
        """The episode so far as text in mode "ansi"; in mode "human" it has been printed already."""
        return self._shown if self.render_mode == "ansi" else None

    def __getstate__(self) -> dict[str, Any]:
        # What can be had again stays behind: worker processes read the shared rows themselves.
        return {**self.__dict__, "_tasks": None, "_gradable": (), "_graders": {}}


def _grade(grader: Grader, completion: str, task_id: str) -> Verdict:
    """The grader's verdict. Graders promise never to raise; one that does is our fault and must not pay zero."""
    try:
        return grader.grade(completion)
    except SandboxError:  # nothing can run here at all: a run must stop, not learn from it
        raise
    except Exception as error:
        logger.exception("the grader of task %s crashed on a completion of %d characters", task_id, len(completion))
        return Verdict.ungradable(f"grader_crashed: {type(error).__name__}")
