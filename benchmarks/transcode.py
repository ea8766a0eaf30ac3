"""Decode every picture, encode it again and copy the sound: the minimum that other times are compared with.

python -m benchmarks.transcode SOURCE DEST CODEC PRESET CRF [X264-PARAMS]
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream


def transcode(source: Path, dest: Path, codec: str, preset: str, crf: str, parameters: str = "") -> None:
    """Transcode with plain PyAV; ``preset`` and ``crf`` are for x264 and x265 only, ``parameters`` for x264."""
    with av.open(source) as reader, av.open(dest, "w") as writer:
        video = reader.streams.video[0]
        video.thread_type = "AUTO"
        options = {"preset": preset, "crf": crf} if codec.startswith("libx26") else {}
        if parameters:
            options["x264-params"] = parameters
        out = writer.add_stream(codec, rate=video.guessed_rate, options=options)
        assert isinstance(out, VideoStream)
        out.width, out.height, out.pix_fmt = video.width, video.height, video.pix_fmt
        if video.time_base is not None:
            out.codec_context.time_base = video.time_base
        out.codec_context.thread_type = "AUTO"  # PyAV asks for slice threads only, vidcolor does not
        sound = reader.streams.audio
        copies = {stream.index: writer.add_stream_from_template(stream) for stream in sound}
        for packet in reader.demux(video, *sound):
            if packet.stream is video:
                for frame in packet.decode():
                    assert isinstance(frame, VideoFrame)
                    frame.pict_type = PictureType.NONE
                    writer.mux(out.encode(frame))
            elif packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                writer.mux(packet)
        writer.mux(out.encode())


if __name__ == "__main__":
    transcode(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
