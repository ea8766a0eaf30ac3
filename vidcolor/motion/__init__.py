"""Motion: optical flow, shot detection, choice of anchors, duplicate frames, and smoothing of ab along the motion."""
