"""What moves: optical flow, shots, anchors, duplicates, and ab smoothed and carried along the motion."""
