"""What became of a target table when imported rows got to their place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Placed:
    """A target table, by the table of the source that its rows are from."""

    source: str
    kept: bool = False
    """Whether what stood there before is kept."""
    merged_rows: int = 0
    """That were added or changed, where the table stayed."""
    deleted_rows: int = 0
