"""register_task_env: any file or function of questions and answers as an environment id, like those of the catalog."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1gym.envs.catalog import CATALOG
from r1gym.errors import ConfigError, DataNotFoundError, UnknownNameError, unknown_name
from r1gym.tasks.own import described, is_function

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec

__all__ = ["explained", "register_task_env", "registered_spec", "splits_of"]

Tasks = str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]


def register_task_env(
    id: str,
    tasks: Tasks,
    verifier: str = "math",
    *,
    prompt: str | None = None,
    rewards: Mapping[str, float] | str | None = None,
    fields: Mapping[str, str] | None = None,
    extraction: str = "lenient",
) -> None:
    """Register an environment over tasks of your own.

    ```python
    r1gym.register_task_env(
        "my/Physics-v0", tasks="rows.jsonl", verifier="math", fields={"question": "problem", "reference": "answer"}
    )
    ```

    The rows are read, and every reference tried on its verifier, when the environment is made. Registering an id again
    replaces it. Everything goes into the spec as JSON values, so that another process can build it from the spec alone.

    Args:
        id: "namespace/Name-v0"; the namespace "r1" is taken.
        tasks: A JSON-lines file (``.gz`` too), or "package.module:function" that gives dicts or Tasks; or one of these
            for each split, ``{"train": …, "test": …}``. One alone is the split "train". A relative path is looked for
            in the working directory, then beside the file that registers.
        verifier: The domain that judges: math, choice, …
        prompt: A template's name, or a text with the place ``{question}``; left out "boxed", for code "program".
        rewards: Weight by term; ``{"accuracy": 1.0}`` if left out.
        fields: For "question", "reference", "id" (not needed) and, for choice, "options": what a row calls it.
        extraction: As for every environment.

    Raises:
        UnknownNameError: A verifier, template, term or field name that does not exist; the near miss is named.
        ConfigError: An id or a value that cannot work.
        DataNotFoundError: No such file.
    """
    from r1gym.prompts import template_named
    from r1gym.rewards import check_weights
    from r1gym.verifiers.domains import DOMAINS

    if verifier not in DOMAINS:
        raise unknown_name("verifier", verifier, DOMAINS)
    if prompt is None:
        prompt = "program" if verifier == "code" else "boxed"
    template_named(prompt)
    check_weights(rewards)
    if fields is not None and not isinstance(fields, Mapping):
        raise ConfigError(f"fields must be a dict such as {{'question': 'problem'}}, got {fields!r:.60}")
    folder = Path(str(sys._getframe(1).f_globals.get("__file__", ""))).parent
    splits = dict(tasks) if isinstance(tasks, Mapping) else {"train": tasks}
    places = {split: _place(place, folder) for split, place in splits.items()}
    kwargs: dict[str, Any] = {
        "source": described(id, places, verifier, dict(fields or {})),
        "split": "train" if "train" in places else next(iter(places)),
        "template": prompt,
        "extraction": extraction,
        **({} if rewards is None else {"rewards": rewards if isinstance(rewards, str) else dict(rewards)}),
    }
    _register(id, kwargs)


def _place(place: object, folder: Path) -> str:
    """The absolute path of a file; a function's name as it is."""
    if not isinstance(place, (str, os.PathLike)):
        raise ConfigError(f"tasks must be a path or 'module:function', got {type(place).__name__} {place!r:.60}")
    name = os.fspath(place)
    if is_function(name) and not Path(name).exists():
        return name
    candidates = [Path(name).expanduser().absolute(), (folder / name).absolute()]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        looked = ", ".join(dict.fromkeys(map(str, candidates)))
        raise DataNotFoundError(f"tasks={name!r}: there is no such file; looked for {looked}")
    return str(found)


def _register(env_id: str, kwargs: dict[str, Any]) -> None:
    import gymnasium as gym
    from gymnasium.envs.registration import parse_env_id

    try:
        namespace, _, version = parse_env_id(env_id)
    except (gym.error.Error, TypeError) as error:
        raise ConfigError(f"an id has the form 'namespace/Name-v0', got {env_id!r:.60}") from error
    if namespace == "r1":
        raise ConfigError(f"the namespace 'r1' holds r1gym's own environments: call {env_id!r} otherwise")
    if version is None:
        raise ConfigError(f"an id is a promise and needs a version, got {env_id!r}: say {env_id}-v0")
    gym.registry.pop(env_id, None)  # again, in a notebook: the new one counts, without a warning
    gym.register(
        id=env_id,
        entry_point="r1gym.envs.reasoning:ReasoningEnv",
        vector_entry_point="r1gym.envs.vector:GroupedVectorEnv",
        kwargs=kwargs,
    )


def registered_spec(name: str) -> EnvSpec | None:
    """The spec of ``name``, which may be "module:id" (the module is imported, as by ``gym.make``); None for none."""
    import gymnasium as gym

    module, _, env_id = name.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        return gym.spec(env_id)
    except (gym.error.Error, ModuleNotFoundError):
        return None


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Around ``gym.make(name, …)``: what Gymnasium says of an id or its options is raised as one of our errors.

    Raises:
        UnknownNameError: No such id.
        ConfigError: No such module, or an environment that does not take the options.
    """
    import gymnasium as gym

    try:
        yield
    except gym.error.UnregisteredEnv as error:
        known = [each for each, spec in gym.registry.items() if str(spec.entry_point).startswith("r1gym.")]
        hint = "One of your own is given as module:id, where importing the module registers it"
        raise UnknownNameError(f"{unknown_name('environment', name, known)}. {hint}") from error
    except (gym.error.Error, ModuleNotFoundError, TypeError) as error:
        # TypeError is what gym.make raises for an option that a third party's environment does not take.
        raise ConfigError(f"cannot make the environment {name!r}: {error}") from error


def splits_of(name: str) -> tuple[str, ...]:
    """The splits of an environment of ours, or of one that ``register_task_env`` made; () for any other."""
    spec = registered_spec(name)
    source = spec.kwargs.get("source") if spec else None
    if isinstance(source, Mapping):
        return tuple(source.get("tasks", ()))
    return next((entry.splits for entry in CATALOG if spec and entry.id == spec.id), ())
