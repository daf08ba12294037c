"""Gold answers of the known sets that their own verifier refuses: left out of sampling, UNGRADABLE when pinned."""

from __future__ import annotations

__all__ = ["REFUSED"]

REFUSED: dict[str, frozenset[str]] = {}
"""Task set → ids of its refused rows. A test keeps the table equal to what the verifiers say of every row at hand."""
