"""Films in and out: files, pipes and image sequences; packets, timestamps, encoders and muxers."""
