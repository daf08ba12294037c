"""PromptTemplate: the question of any text environment, put in the words of another prompt template."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.spaces import Text
from gymnasium.utils import RecordConstructorArgs

from r1gym.envs.forms import form_grader
from r1gym.envs.reasoning import ReasoningEnv
from r1gym.envs.stacking import Step, layers, weights_of
from r1gym.errors import ConfigError
from r1gym.prompts import template_named

__all__ = ["PromptTemplate"]


class PromptTemplate(gym.Wrapper[str, str, str, str], RecordConstructorArgs):
    """Ask by another template: a name, or a text of your own with ``{question}`` in it.

    One of r1gym's environments gives its bare question to it, whatever template it was made with; of any other the
    whole observation is the question. ``info["template"]`` and ``info["messages"]`` are those of the new prompt, and a
    term "format" that the environment shows is of the new form. It comes inside the wrappers that add terms, as
    they judge the form and the language of what was asked.

    ```python
    env = FormatReward(PromptTemplate(gym.make("r1/MATH500-v0"), "r1-zero"))
    ```
    """

    def __init__(self, env: gym.Env[str, str], template: str) -> None:
        """Check everything at once.

        Raises:
            UnknownNameError: No such template; the near miss is named.
            ConfigError: A wrapper inside that must come after, an environment that accepts or pays for another form, or
                one that does not speak text.
        """
        RecordConstructorArgs.__init__(self, template=template)
        gym.Wrapper.__init__(self, env)
        self.template = template_named(template)
        if not isinstance(env.action_space, Text) or not isinstance(env.observation_space, Text):
            raise ConfigError(f"PromptTemplate needs an environment that speaks text, got {env.observation_space}")
        for layer in layers(env):
            if hasattr(layer, "reward_weights"):
                name = type(layer).__name__
                raise ConfigError(f"{name} judges what was asked: PromptTemplate comes first, then {name} around it")
            if isinstance(layer, PromptTemplate):
                raise ConfigError("there is a PromptTemplate already: use one")
        inner = env.unwrapped
        if isinstance(inner, ReasoningEnv):
            if inner.extraction not in ("lenient", self.template.extraction):
                raise ConfigError(
                    f"the environment accepts only {inner.extraction!r}, the template {self.template.name!r} asks for "
                    f"{self.template.extraction!r}: make it with template={template!r:.40} instead"
                )
            if weights_of(env).get("format") and inner.template.form != self.template.form:
                raise ConfigError(
                    "the environment pays for the form of its own template: leave 'format' out of its rewards and put "
                    "FormatReward around PromptTemplate"
                )
        self._form = form_grader(self.template.form)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Ask the environment's question in the template's words."""
        observation, info = self.env.reset(seed=seed, options=options)
        inner = self.env.unwrapped
        question = inner.tasks[info["index"]].question if isinstance(inner, ReasoningEnv) else observation
        pinned = str(info.get("task_id", "")) if options and seed is None else ""
        template = self.template.drawn(self.np_random, pinned)
        messages = [dict(message) for message in template.messages(question)]
        return template.user_text(question), {**info, "template": template.name, "messages": messages}

    def step(self, action: str) -> Step:
        """Judge the completion; a term "format" looks for the new form."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        terms = dict(info.get("reward_terms", {}))
        if "format" in terms:
            terms["format"] = float(self._form.grade(action).score)
            info = {**info, "reward_terms": terms}
        return observation, float(reward), terminated, truncated, info
