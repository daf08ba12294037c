"""How matrices are cut: legal for every width, and chosen by slots, width, type and device alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from r1gym.engine.tiles import FEW, MANY, PLAIN, PLAIN_MANY, SOME, Tile, Tiles, dependent_launch, tiles_for

SETS = {"few": FEW, "some": SOME, "many": MANY, "plain": PLAIN, "plain many": PLAIN_MANY}


def power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


@pytest.mark.parametrize(
    "columns", [16, 40, 64, 96, 100, 256, 288, 320, 384, 512, 544, 576, 640, 896, 1024, 1536, 2048, 4864, 8960]
)
@pytest.mark.parametrize("held", [0, 64, 100, 512, 640, 1000, 1536])
def test_held_columns_are_all_or_whole_steps_of_256(columns: int, held: int) -> None:
    options = Tile(16, 32, 64, 4, 3, held).options(columns)
    found, pieces = options["HELD"], options["PIECES"]
    assert isinstance(found, int) and isinstance(pieces, tuple)
    assert 0 <= found <= min(held, columns)
    assert found == columns or found % 256 == 0
    assert sum(pieces) == found and all(power_of_two(piece) and 64 <= piece <= 256 for piece in pieces)
    assert all(piece == 256 for piece in pieces[:-1]), "the sums of squares step by 256"
    assert len(pieces) != 2 or pieces[1] == 256, "two pieces are laid out alike"


@pytest.mark.parametrize(
    ("held", "columns", "pieces"),
    [
        (640, 64, (64,)),
        (640, 576, (256, 256, 64)),
        (640, 640, (256, 256, 128)),
        (640, 512, (256, 256)),
        (640, 384, (256,)),  # 128 more, of another layout, would give the 256 theirs
        (640, 320, (256,)),
        (640, 256, (256,)),
        (640, 128, (128,)),
        (640, 448, (256,)),  # 192 more are no power of two
        (640, 288, (256,)),  # 32 more are four numbers a thread: all loads would be laid out another way
        (640, 272, (256,)),
        (640, 544, (256, 256)),
        (640, 32, ()),
        (640, 100, ()),
        (640, 40, ()),
        (640, 8, ()),
        (640, 896, (256, 256)),
        (512, 1536, (256, 256)),
        (1536, 1536, (256,) * 6),
        (1000, 4864, (256,) * 3),
        (255, 512, ()),
        (0, 64, ()),
    ],
)
def test_pieces(held: int, columns: int, pieces: tuple[int, ...]) -> None:
    assert Tile(16, 32, 64, 4, 3, held).options(columns)["PIECES"] == pieces


def test_options_name_what_a_kernel_is_compiled_with() -> None:
    assert Tile(64, 32, 128, 8, 4, 512).options(576) == {
        "BM": 64, "BN": 32, "BK": 128, "PIECES": (256, 256), "HELD": 512, "num_warps": 8, "num_stages": 4,
    }  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_blocks_are_powers_of_two(name: str) -> None:
    """Triton takes no others, and a product takes at least 16 rows, outputs and columns."""
    cut = SETS[name]
    for tile in (cut.qkv, cut.out, cut.gate_up, cut.down):
        assert all(power_of_two(n) and n >= 16 for n in (tile.rows, tile.outputs, tile.sums))
        assert power_of_two(tile.warps)
        assert tile.held == 0 or name in ("few", "some", "many"), "without dependent launch nothing is gained"


@pytest.mark.parametrize(
    ("slots", "found"), [(1, FEW), (32, FEW), (33, SOME), (128, SOME), (129, MANY), (512, MANY), (4096, MANY)]
)
def test_slots_choose_where_kernels_start_early(slots: int, found: Tiles) -> None:
    assert tiles_for(slots, 576, torch.bfloat16, True) == found
    assert tiles_for(slots, 640, torch.float16, True) == found
    wider = tiles_for(slots, 896, torch.bfloat16, True)
    assert wider == replace(found, qkv=wider.qkv)
    assert wider.qkv.options(896)["PIECES"] == (256, 256)


@pytest.mark.parametrize(("slots", "found"), [(1, PLAIN), (128, PLAIN), (129, PLAIN_MANY), (512, PLAIN_MANY)])
@pytest.mark.parametrize("channels", [64, 576, 896])
def test_slots_choose_where_kernels_wait(channels: int, slots: int, found: Tiles) -> None:
    assert tiles_for(slots, channels, torch.bfloat16, False) == found


@pytest.mark.parametrize("dependent", [False, True])
def test_float32_is_cut_one_way(dependent: bool) -> None:
    assert {tiles_for(slots, 576, torch.float32, dependent) for slots in (1, 33, 200)} == {PLAIN}


def test_a_processor_starts_no_kernel_early() -> None:
    assert not dependent_launch(torch.device("cpu"))


@pytest.mark.parametrize(
    ("capability", "hip", "early"), [((8, 9), None, False), ((9, 0), None, True), ((9, 4), "6.4", False)]
)
def test_hopper_starts_kernels_early(
    capability: tuple[int, int], hip: str | None, early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.version, "hip", hip)
    assert dependent_launch.__wrapped__(torch.device("cuda", 0)) == early
