"""Make docs/demo.jpg: frames of the demo film, grey above and colored below.

vidcolor demo -o demo.mp4 && python -m tools.demo_picture demo-grey.mp4 demo.mp4 docs/demo.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
from PIL import Image

SECONDS = (0.5, 2.0, 3.0, 4.5)
"""Times of the frames that are shown, one column each."""
WIDTH = 480
"""Of a column, in pixels."""


def frames(film: Path) -> list[Image.Image]:
    """Return the frames of a film at :data:`SECONDS`, :data:`WIDTH` pixels wide."""
    with av.open(film) as reader:
        shown = [frame for frame in reader.decode(video=0) if frame.time in SECONDS]
        pictures = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in shown]
    return [picture.resize((WIDTH, WIDTH * picture.height // picture.width)) for picture in pictures]


def main() -> None:
    """Write the sheet: one row for each film named, one column for each time."""
    rows = [frames(Path(name)) for name in sys.argv[1:3]]
    height = rows[0][0].height
    sheet = Image.new("RGB", (WIDTH * len(SECONDS), height * len(rows)))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            sheet.paste(picture, (x * WIDTH, y * height))
    sheet.save(sys.argv[3], quality=88)


if __name__ == "__main__":
    main()
