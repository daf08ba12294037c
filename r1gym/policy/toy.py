"""A tabular softmax policy over a closed list of completions: the trainer's arithmetic can be checked by hand with it.

Axes: P prompts, G completions of one prompt, B rows, T tokens, C candidates.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from r1gym.engine.sampling import draw, uniform
from r1gym.engine.stopping import StopStrings
from r1gym.errors import ConfigError
from r1gym.types import Completion, Message, Prompt, Sampling

__all__ = ["TabularPolicy"]


class TabularPolicy:
    """π(c | prompt) = softmax(θ[prompt])_c: one row of logits a prompt, one column a candidate text.

    A prompt's only token is its row, a completion's only token its candidate; both tables start at zero (uniform).

    Args:
        candidates: The C texts that can be drawn.
        prompts: Most different prompts that will be asked.
    """

    def __init__(self, candidates: Sequence[str], prompts: int = 64) -> None:
        self.candidates = tuple(candidates)
        self.logits_PC = torch.nn.Parameter(torch.zeros(prompts, len(candidates)))
        self._rows: dict[str, int] = {}
        self.version = 0

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The row of this text; a new text takes the next free one.

        Raises:
            ConfigError: More different prompts than rows.
        """
        text = "\n\n".join(message["content"] for message in messages)
        row = self._rows.setdefault(text, len(self._rows))
        if row >= self.logits_PC.shape[0]:
            raise ConfigError(f"the table holds {self.logits_PC.shape[0]} prompts: make it with more (prompts=)")
        return Prompt(tuple(messages), (row,))

    def sample(
        self, prompts: Sequence[Prompt], group_size: int, sampling: Sampling, seeds: Sequence[Sequence[int]]
    ) -> list[list[Completion]]:
        """Draw candidates, [P][G]; a stop string cuts their text as it does any policy's.

        Raises:
            ConfigError: Tokens are to be penalised.
        """
        if sampling.penalised:
            raise ConfigError(
                "a completion of a TabularPolicy is one token, and none before it could be penalised: leave "
                "repetition_penalty at 1, frequency_penalty and presence_penalty at 0"
            )
        texts = self.candidates
        if sampling.stop:
            stops = StopStrings(sampling.stop, self._decode)
            texts = tuple(stops.cut(text, sampling.keep_stop) for text in texts)
        groups = []
        for prompt, row in zip(prompts, seeds, strict=True):
            logits_GC = self.logits_PC[prompt.token_ids[0]].detach().expand(group_size, -1)
            noise_G = uniform(torch.tensor(row), torch.zeros(group_size, dtype=torch.long))
            tokens_G, logprobs_G = draw(
                logits_GC, noise_G, sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p
            )
            groups.append(
                [
                    Completion((token,), (logprob,), texts[token], "stop", self.version)
                    for token, logprob in zip(tokens_G.tolist(), logprobs_G.tolist(), strict=True)
                ]
            )
        return groups

    def _decode(self, token_ids: Sequence[int]) -> str:
        return "".join(self.candidates[token] for token in token_ids)

    def offsets(self, completion: Completion) -> list[tuple[int, int]]:
        """The only token wrote the whole text."""
        return [(0, len(completion.text))]

    def logprobs(self, token_ids_BT: torch.Tensor, mask_BT: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """Log-probabilities [B, T] with gradient; only column 1, the candidate's, is ever wanted."""
        logprobs_BC = torch.log_softmax(self.logits_PC[token_ids_BT[:, 0]] / (temperature or 1.0), dim=-1)
        chosen_B1 = logprobs_BC.gather(1, token_ids_BT[:, 1:2])
        return torch.nn.functional.pad(chosen_B1, (1, token_ids_BT.shape[1] - 2)) * mask_BT

    def parameters(self) -> Iterable[torch.nn.Parameter]:
        """The table of logits."""
        return [self.logits_PC]

    def sync(self) -> int:
        """Count a new version; sampling reads the table itself."""
        self.version += 1
        return self.version

    def frozen(self) -> TabularPolicy:
        """A copy with its own, fixed table."""
        twin = copy.deepcopy(self)
        twin.logits_PC.requires_grad_(False)
        return twin

    def save(self, path: Path) -> None:
        """Write the table."""
        torch.save({"logits": self.logits_PC.detach(), "rows": self._rows}, path / "table.pt")

    def load(self, path: Path) -> None:
        """Read the table into this policy."""
        stored = torch.load(path / "table.pt", weights_only=True)
        self._rows = dict(stored["rows"])
        with torch.no_grad():
            self.logits_PC.copy_(stored["logits"])
