"""Makes docs/demo.jpg: frames of the demo film, grey above and colored below.

vidcolor demo -o demo.mp4 && python docs/demo_picture.py demo-grey.mp4 demo.mp4 docs/demo.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
from PIL import Image

SECONDS = (0.5, 2.0, 3.0, 4.5)
WIDTH = 480


def frames(film: Path) -> list[Image.Image]:
    """The frames at SECONDS, WIDTH wide."""
    with av.open(film) as reader:
        pictures = [frame.to_image() for frame in reader.decode(video=0) if frame.time in SECONDS]
    return [picture.resize((WIDTH, WIDTH * picture.height // picture.width)) for picture in pictures]


def main() -> None:
    rows = [frames(Path(name)) for name in sys.argv[1:3]]
    height = rows[0][0].height
    sheet = Image.new("RGB", (WIDTH * len(SECONDS), height * len(rows)))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            sheet.paste(picture, (x * WIDTH, y * height))
    sheet.save(sys.argv[3], quality=88)


if __name__ == "__main__":
    main()
