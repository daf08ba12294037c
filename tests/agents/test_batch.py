"""From judged episodes to rows: ids unchanged, masks, order, parts."""

from __future__ import annotations

import pytest
import torch

from r1gym.agents.batch import Batch, rewards
from r1gym.errors import ModelError
from r1gym.types import Completion, Episode, Prompt, Reward, Task, Turn, Verdict


def episode(prompt: tuple[int, ...], drawn: tuple[int, ...], verdict: Verdict, total: float = 0.0) -> Episode:
    logprobs = tuple(-0.1 * (place + 1) for place in range(len(drawn)))
    turn = Turn(Prompt((), prompt), Completion(drawn, logprobs, "", "stop"), "", total)
    return Episode(Task("t", "", "", None), 0, 0, (turn,), verdict, Reward(total, {}), False)


RIGHT, WRONG = Verdict.correct("1", "rule: right"), Verdict.wrong("2", "rule: wrong")
BROKEN = Verdict.ungradable("crash: the sandbox died")
GROUPS = [
    [episode((7, 0, 8), (0, 5, 3), RIGHT, 1.0), episode((7, 0, 8), (4,), WRONG)],
    [episode((9,), (0, 0), WRONG), episode((9,), (6, 0, 0, 0), BROKEN)],
]
ADVANTAGES = torch.tensor([[1.0, -1.0], [0.5, 0.0]])


def test_rewards_and_which_of_them_count() -> None:
    totals, valid = rewards(GROUPS)
    assert totals.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert valid.tolist() == [[True, True], [True, False]]


def test_rows_carry_the_sampled_ids_unchanged() -> None:
    # Token 0 is also what pads: the mask, not the id, says what is a token.
    batch = Batch.build(GROUPS, ADVANTAGES, torch.tensor([[True, True], [True, False]]))
    assert batch.token_ids_BT.tolist() == [[7, 0, 8, 0, 5, 3], [7, 0, 8, 4, 0, 0], [9, 0, 0, 0, 0, 0]]
    assert batch.mask_BT.int().tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 0, 0], [0, 1, 1, 0, 0, 0]]
    assert batch.logprobs_BT[0].tolist() == pytest.approx([0, 0, 0, -0.1, -0.2, -0.3])
    assert batch.logprobs_BT[1].tolist() == pytest.approx([0, 0, 0, -0.1, 0, 0])
    assert batch.advantages_B.tolist() == [1.0, -1.0, 0.5]
    assert (batch.rows, batch.tokens) == (3, 6)


def test_a_completion_without_tokens_has_no_row() -> None:
    batch = Batch.build([[episode((1,), (), WRONG)]], torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool))
    assert batch.rows == 0
    assert list(batch.micro_batches(100)) == []


def test_missing_logprobs_are_an_error() -> None:
    turn = Turn(Prompt((), (1,)), Completion((4, 5), (), "", "stop"), "", 0.0)
    bare = Episode(Task("t", "", "", None), 0, 0, (turn,), WRONG, Reward(0.0, {}), False)
    with pytest.raises(ModelError, match="got 0 for 2 tokens"):
        Batch.build([[bare]], torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool))


def everything() -> Batch:
    return Batch.build(GROUPS, ADVANTAGES, torch.ones(2, 2, dtype=torch.bool))


def test_parts_keep_every_token_of_their_rows() -> None:
    # The last two rows end in drawn zeros, which a cut by id would lose: [9, 0, 0] and [9, 6, 0, 0, 0].
    part = everything().take(torch.tensor([2, 3]))
    assert part.token_ids_BT.tolist() == [[9, 0, 0, 0, 0], [9, 6, 0, 0, 0]]
    assert part.mask_BT.sum(dim=1).tolist() == [2, 4]


def test_minibatches_deal_every_row_once_in_a_seeded_order() -> None:
    batch = everything()
    sizes = [part.rows for part in batch.minibatches(3, 1)]
    assert sizes == [2, 1, 1]
    first = [part.advantages_B.tolist() for part in batch.minibatches(3, 1)]
    assert sorted(value for part in first for value in part) == sorted(batch.advantages_B.tolist())
    assert first == [part.advantages_B.tolist() for part in batch.minibatches(3, 1)]
    assert any(first != [part.advantages_B.tolist() for part in batch.minibatches(3, seed)] for seed in range(2, 6))
    assert [part.rows for part in batch.minibatches(6, 1)] == [1, 1, 1, 1, 0, 0]


def test_micro_batches_stay_within_the_token_budget() -> None:
    # Rows of 6, 4, 3 and 5 tokens; by length 6, 5, 4, 3. A budget of 10: [6], [5, 4] (2 × 5), [3].
    parts = list(everything().micro_batches(10))
    assert [tuple(part.token_ids_BT.shape) for part in parts] == [(1, 6), (2, 5), (1, 3)]
    # A row longer than the budget is taken whole.
    assert [part.rows for part in everything().micro_batches(1)] == [1, 1, 1, 1]


def test_a_process_without_rows_has_no_micro_batch() -> None:
    nothing = Batch.build(GROUPS, ADVANTAGES, torch.zeros(2, 2, dtype=torch.bool))
    assert list(nothing.micro_batches(10)) == []
    assert [part.rows for part in nothing.minibatches(2, 0)] == [0, 0]
