"""How the decoding kernels cut their matrices, by number of slots: the fastest of sweeps (benchmarks/decode_sweep.py).

A tile changes no result: every sum runs in one order along its axis, whatever the tile (a test and
benchmarks/decode_step.py compare completions to the bit).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch

__all__ = [
    "FEW", "HEAD_NORM_QKV", "MANY", "PLAIN", "PLAIN_MANY", "SOME", "Tile", "Tiles", "dependent_launch", "tiles_for",
]  # fmt: skip

PIECE, LEAST_PIECE = 256, 64
"""Most and least columns of one load. The most are also the step of the norms' sums of squares, in which a thread adds
eight numbers of a row (``kernels._inverse_rms``). The compiler lays out alike what belongs together: beside fewer
columns than the least, or beside a narrower piece that is not outnumbered, the steps are cut for other threads.
"""


@dataclass(frozen=True, slots=True)
class Tile:
    """One kernel's share of a product."""

    rows: int
    outputs: int
    """Of qkv and gate-up: pairs of outputs (the two numbers that a rotation turns; gate and up)."""
    sums: int
    """Step of the loop along the sum axis."""
    warps: int
    stages: int
    held: int = 0
    """Columns of the weights, from the first on, that are read into registers before the kernel before has ended."""

    def options(self, columns: int) -> dict[str, object]:
        """What a kernel is compiled and launched with, for a sum over ``columns``.

        Held are all columns or whole steps of the norms' sums, so that those run in one order, held or not.
        """
        rest = columns % PIECE
        narrow = rest & (rest - 1) == 0 and rest % LEAST_PIECE == 0 and not PIECE < columns < 2 * PIECE
        whole = columns <= self.held and (rest == 0 or narrow)
        held = columns if whole else min(self.held, columns) // PIECE * PIECE
        pieces = (PIECE,) * (held // PIECE) + ((held % PIECE,) if held % PIECE else ())
        return {
            "BM": self.rows, "BN": self.outputs, "BK": self.sums, "PIECES": pieces, "HELD": held,
            "num_warps": self.warps, "num_stages": self.stages,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tiles:
    """Those of the four products of a layer."""

    qkv: Tile
    out: Tile
    gate_up: Tile
    down: Tile


FEW, SOME, MANY = (
    # With dependent launch: up to 32 slots latency decides, up to 128 that and the cache, beyond it the cache alone.
    Tiles(
        qkv=Tile(16, 16, 64, 4, 3, held=640),
        out=Tile(16, 32, 64, 4, 3, held=640),
        gate_up=Tile(16, 16, 64, 4, 3, held=640),
        down=Tile(16, 16, 256, 4, 3, held=512),
    ),
    Tiles(
        qkv=Tile(16, 32, 64, 4, 3, held=640),
        out=Tile(16, 32, 64, 4, 3, held=640),
        gate_up=Tile(64, 32, 64, 8, 3, held=640),
        down=Tile(64, 16, 128, 4, 4),
    ),
    Tiles(
        qkv=Tile(64, 32, 64, 8, 3, held=640),
        out=Tile(64, 32, 64, 4, 4),
        gate_up=Tile(32, 128, 64, 8, 3),
        down=Tile(64, 64, 128, 4, 4),
    ),
)
PLAIN, PLAIN_MANY = (
    # Without, and in float32: nothing is held, and no tile needs more than 99 KiB of shared memory.
    Tiles(Tile(16, 32, 128, 2, 3), Tile(16, 32, 64, 2, 5), Tile(16, 32, 128, 2, 3), Tile(16, 16, 128, 2, 5)),
    Tiles(Tile(16, 32, 128, 2, 3), Tile(64, 64, 64, 4, 4), Tile(32, 64, 64, 4, 3), Tile(64, 64, 64, 4, 4)),
)
WIDE_QKV = Tile(16, 16, 64, 4, 3, 512)
"""For models wider than the 640 columns that registers hold."""
HEAD_NORM_QKV = Tile(16, 64, 64, 4, 3)
"""Where a norm needs a whole head in one program."""


def tiles_for(slots: int, channels: int, dtype: torch.dtype, dependent: bool) -> Tiles:
    """The tiles for this many slots of a model ``channels`` wide."""
    if dtype.itemsize > 2:
        return PLAIN
    if not dependent:
        return PLAIN if slots <= 128 else PLAIN_MANY
    found = FEW if slots <= 32 else SOME if slots <= 128 else MANY
    return found if channels <= 640 else replace(found, qkv=WIDE_QKV)


@lru_cache
def dependent_launch(device: torch.device) -> bool:
    """A kernel may start before the one before has ended (programmatic dependent launch, compute capability 9.0)."""
    # ROCm counts its own devices with such numbers, and knows no dependent launch.
    return device.type == "cuda" and not torch.version.hip and torch.cuda.get_device_capability(device) >= (9, 0)
