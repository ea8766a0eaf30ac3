"""Contact sheets: rows of grey | ours | truth, to be looked at."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from vidcolor.colorizer import Predictor
from vidcolor.training.evaluator import StillPicture, join
from vidcolor.training.metrics import Rgb

GAP = 4
TILE = 160


def triple(picture: StillPicture, colorizer: Predictor) -> list[Rgb]:
    """Grey, ours and truth of one picture."""
    grey = np.repeat(picture.grey[..., None], 3, axis=2).astype(np.float64)
    return [grey, join(picture.grey, colorizer.predict(picture.grey[None])[0]), picture.true]


def contact_sheet(pictures: Iterable[StillPicture], colorizer: Predictor, path: Path, *, columns: int = 3) -> None:
    """Write one triple of every picture, ``columns`` triples a row, as a PNG or JPEG by ``path``'s suffix."""
    triples = [triple(picture, colorizer) for picture in pictures]
    rows = -(-len(triples) // columns)
    width = columns * 3 * TILE + (columns - 1) * 3 * GAP
    sheet = Image.new("RGB", (width, rows * (TILE + GAP) - GAP), "white")
    for index, tiles in enumerate(triples):
        row, column = divmod(index, columns)
        for offset, tile in enumerate(tiles):
            image = Image.fromarray((tile * 255).round().astype(np.uint8)).resize(
                (TILE, TILE), Image.Resampling.LANCZOS
            )
            sheet.paste(image, (column * (3 * TILE + 3 * GAP) + offset * TILE, row * (TILE + GAP)))
    sheet.save(path)


def spread(pictures: Iterable[StillPicture], count: int, total: int) -> list[StillPicture]:
    """``count`` pictures at equal distances among ``total``: a fair sample without choosing."""
    return list(islice((p for i, p in enumerate(pictures) if i % max(total // count, 1) == 0), count))
