"""Contact sheets: rows of grey | ours | truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vidcolor_training.evaluation.metrics import RgbFloat

GAP = 4
TILE = 160
JPEG_QUALITY = 90


def write_sheet(triples: Sequence[Sequence[RgbFloat]], path: Path, *, columns: int = 3) -> None:
    """Write triples of pictures, ``columns`` triples a row, as a PNG or JPEG by ``path``'s suffix."""
    columns = min(columns, len(triples))
    rows = -(-len(triples) // columns)
    width = columns * 3 * TILE + (columns - 1) * 3 * GAP
    sheet = Image.new("RGB", (width, rows * (TILE + GAP) - GAP), "white")
    for index, tiles in enumerate(triples):
        row, column = divmod(index, columns)
        for offset, tile in enumerate(tiles):
            image = Image.fromarray((tile * 255).round().astype(np.uint8))
            place = (column * (3 * TILE + 3 * GAP) + offset * TILE, row * (TILE + GAP))
            sheet.paste(image.resize((TILE, TILE), Image.Resampling.LANCZOS), place)
    sheet.save(path, quality=JPEG_QUALITY)
