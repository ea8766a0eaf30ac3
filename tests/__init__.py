"""The tests, in folders of the same names as the rooms."""

import os

# Idle threads of PyTorch sleep instead of spinning, which on a busy machine makes small networks ten times as slow.
# It must be set before PyTorch is loaded; processes that tests start inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
