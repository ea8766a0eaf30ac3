"""A recipe that trains in seconds."""

from __future__ import annotations

TINY = """
name = "tiny"
seed = 1
[network]
name = "multiscale_unet"
encoder = "efficientnet_lite0"
width = 40
attention_layers = 1
decoder_channels = [32, 16, 16, 8]
detail_channels = [8, 8, 8, 8, 8]
[data]
size = 128
[optimiser]
batch_size = 2
weight_decay = 0.01
gradient_clip = 1.0
ema_decay = 0.9
[discriminator]
channels = 8
learning_rate = 1e-4
[[stages]]
name = "l1"
pictures = 40
share = 0.5
size = 64
learning_rate = 1e-3
frozen_encoder = true
losses = { smooth_l1 = 1.0 }
[[stages]]
name = "gan"
pictures = 4
share = 0.5
size = 128
learning_rate = 1e-4
frozen_encoder = false
losses = { smooth_l1 = 1.0, adversarial = 0.1 }
"""
