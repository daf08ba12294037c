"""No tile and no early start of a kernel changes a result: logits, keys and values in bfloat16, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from r1gym.engine import decoding
from r1gym.engine.cache import PAGE
from r1gym.engine.decoding import KernelForward
from r1gym.engine.pages import PagePool
from r1gym.engine.tiles import FEW, MANY, PLAIN, PLAIN_MANY, SOME, Tiles, dependent_launch

COMMON: dict[str, Any] = {
    "vocab_size": 512,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": 3,
    "pad_token_id": 0,
}
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    # Widths held in one piece (64), in three (576), and in part (384, 896, and the MLPs of 1,536 and 4,864).
    "64": (
        "Llama",
        {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 32},
    ),
    "384": (
        "Llama",
        {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 3, "num_attention_heads": 6,
         "num_key_value_heads": 2},
    ),
    "576": (
        "Llama",
        {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 3, "num_attention_heads": 9,
         "num_key_value_heads": 3},
    ),
    "896": (
        "Qwen2",
        {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 2, "num_attention_heads": 14,
         "num_key_value_heads": 2},
    ),
}  # fmt: skip
SETS = {"few": FEW, "some": SOME, "many": MANY, "plain": PLAIN, "plain many": PLAIN_MANY}
POSITIONS = (0, 1300, 63, 64, 127, 128, 700, 1023, 1024, 1087, 1088, 5, 300, 511, 512, 1200)
SLOTS = (1, 8, 33, 160)
REPEATS = 50


@pytest.fixture(scope="module")
def wide_model(device: torch.device) -> Callable[[str], Any]:
    """A model of one of ``SHAPES`` with random weights, biases and norms; each is built once."""
    import transformers

    made: dict[str, Any] = {}

    def build(shape: str) -> Any:
        if shape not in made:
            family, fields = SHAPES[shape]
            config = getattr(transformers, f"{family}Config")(**COMMON, **fields)
            with torch.random.fork_rng():
                torch.manual_seed(7)
                model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
                with torch.no_grad():
                    for parameter in model.parameters():
                        noise = torch.randn_like(parameter)
                        parameter.add_(noise, alpha=0.2 if parameter.dim() == 1 else parameter.shape[1] ** -0.5)
            made[shape] = model.to(device=device, dtype=torch.bfloat16)
        return made[shape]

    return build


@pytest.fixture
def forward_of(
    wide_model: Callable[[str], Any], device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., KernelForward]:
    """``forward_of(shape, cut, early)``: early means programmatic dependent launch; only the last one made may run."""

    def make(shape: str, cut: Tiles, early: bool) -> KernelForward:
        if early and not dependent_launch(device):
            pytest.skip("dependent launch needs compute capability 9.0")
        monkeypatch.setattr(decoding, "dependent_launch", lambda device: early)
        forward = KernelForward(wide_model(shape))
        forward.tiles = lambda slots: cut
        return forward

    return make


class State:
    """One step's input: slot n is the same slot, with pages of its own, however many there are."""

    def __init__(self, forward: KernelForward, slots: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(5)
        each = max(POSITIONS) // PAGE + 1
        self.positions = torch.tensor(POSITIONS)[torch.arange(slots) % len(POSITIONS)].to(device)
        self.tokens = (torch.arange(slots) * 7 % 500 + 4).to(device)
        self.tables = torch.arange(1, slots * each + 1, dtype=torch.int32).view(slots, each).to(device)
        self.pool = PagePool(slots * each + 1, *forward.shape, torch.bfloat16, device)
        # Random numbers for a few pages, dealt out to all.
        pages = torch.randn(17, *self.pool.data.shape[1:], generator=generator).to(device, torch.bfloat16)
        self.before = pages[torch.arange(self.pool.pages, device=device) % 17]

    def decode(self, forward: KernelForward) -> torch.Tensor:
        with torch.no_grad():
            return forward.decode(self.tokens, self.positions, self.tables, self.pool)

    def begin(self) -> None:
        """Forget what was written."""
        self.pool.data.copy_(self.before)

    def results(self, forward: KernelForward) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits, and keys and values after the step."""
        self.begin()
        return self.decode(forward).clone(), self.pool.data.clone()


def equal(label: str, got: torch.Tensor, expected: torch.Tensor) -> None:
    if not torch.equal(got, expected):  # what follows takes several times the memory
        differ = (got != expected).flatten(1).any(dim=1)
        gap = float((got.float() - expected.float()).abs().max())
        pytest.fail(f"{label}: {int(differ.sum())} of {len(differ)} differ, by up to {gap}")


def repeatable(state: State, forward: KernelForward) -> Callable[[], torch.Tensor]:
    """The step from a graph; where there is no GPU, one by one."""
    if state.pool.data.device.type != "cuda":
        return lambda: state.decode(forward)
    state.results(forward)  # compiles
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = state.decode(forward)

    def step() -> torch.Tensor:
        graph.replay()
        return out

    return step


def counts(device: torch.device) -> tuple[int, ...]:
    return SLOTS if device.type == "cuda" else (1, 8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("early", [False, True], ids=["waiting", "early"])
def test_a_tile_changes_no_bit(
    early: bool, name: str, shape: str, forward_of: Callable[..., KernelForward], device: torch.device
) -> None:
    """Against plain tiles that wait for each other; lengths of 1 to 1,301 tokens in every batch of two and more."""
    cut = SETS[name]
    largest = max((tile.rows for tile in (cut.qkv, cut.out, cut.gate_up, cut.down) if tile.held), default=0)
    if largest > 16 and device.type == "cuda" and not dependent_launch(device):
        pytest.skip("64 rows and outputs of 640 held columns take more shared memory than GPUs before Hopper have")
    for slots in counts(device):
        forward = forward_of(shape, PLAIN, False)
        state = State(forward, slots, device)
        logits, written = state.results(forward)
        assert bool(logits.isfinite().all()) and float(logits.std()) > 0.1
        assert not torch.equal(written, state.before)
        got, cells = state.results(forward_of(shape, cut, early))
        label = f"{shape} wide, {name} tiles, {slots} slots"
        equal(f"{label}: logits", got, logits)
        equal(f"{label}: keys and values", cells, written)


@pytest.mark.parametrize("shape", SHAPES)
def test_neighbours_change_no_bit(
    shape: str, forward_of: Callable[..., KernelForward], wide_model: Callable[[str], Any], device: torch.device
) -> None:
    """With the tiles in use: slots of a large batch have the logits that they have in a small one."""
    if device.type != "cuda":
        pytest.skip("sums of torch's own products depend on the number of rows")
    forward = KernelForward(wide_model(shape))
    large = State(forward, SLOTS[-1], device).results(forward)[0]
    for slots in SLOTS[:-1]:
        small = State(forward, slots, device).results(forward)[0]
        equal(f"{shape} wide, {slots} of {len(large)} slots", small, large[:slots])


@pytest.mark.parametrize("slots", [8, 33])
def test_the_width_of_page_tables_changes_no_bit(
    slots: int, wide_model: Callable[[str], Any], device: torch.device
) -> None:
    """Sixteen pages a slot at most: tables of 16 columns launch four runs, wider ones (a long neighbour) eight."""
    forward = KernelForward(wide_model("576"))
    state = State(forward, slots, device)
    state.positions.remainder_(16 * PAGE)
    logits, written = state.results(forward)
    state.tables = state.tables[:, :16].contiguous()
    got, cells = state.results(forward)
    equal(f"{slots} slots: logits", got, logits)
    equal(f"{slots} slots: keys and values", cells, written)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("slots", [8, 160])
def test_steps_of_kernels_that_start_early_are_all_equal(
    slots: int, shape: str, forward_of: Callable[..., KernelForward], device: torch.device
) -> None:
    """A race would show: fifty times the same step in a graph, where kernels follow each other without a gap.

    What is written is overwritten in between, so that a key read too early is another one.
    """
    if device.type != "cuda":
        slots = 2
    waiting = forward_of(shape, PLAIN, False)
    state = State(waiting, slots, device)
    expected = state.results(waiting)
    forward = waiting
    if device.type == "cuda":
        forward = forward_of(shape, FEW if slots <= 32 else MANY, True)
    step = repeatable(state, forward)
    written = state.tables.gather(1, (state.positions // PAGE)[:, None])[:, 0].long()
    drawn = []
    for _ in range(REPEATS if device.type == "cuda" else 2):
        state.begin()
        drawn.append((step().clone(), state.pool.data[written]))
    for number, (logits, pages) in enumerate(drawn):
        label = f"{shape} wide, {slots} slots, time {number}"
        equal(f"{label}: logits", logits, expected[0])
        equal(f"{label}: pages written to", pages, expected[1][written])
    equal(f"{shape} wide, {slots} slots: all pages after the last time", state.pool.data, expected[1])
