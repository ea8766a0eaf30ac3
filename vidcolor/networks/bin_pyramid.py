"""The default generator: a coarse-to-fine decoder that predicts a distribution of colors for each pixel.

A thing whose color is uncertain has several likely colors. Their mean, which squared error asks for, is a dull color
that none of them is; a distribution keeps them apart (Zhang et al. 2016), and how to decide between them is chosen
after the training: see :class:`BinPyramid`. Each finer level corrects the distribution and not the decision, so that
edges lie where the decision changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidcolor.networks.color_bins import annealed_mean, bins, class_weights
from vidcolor.networks.network import Prediction
from vidcolor.networks.pyramid import PyramidDecoder, add_levels


class BinPyramid(PyramidDecoder):
    """Coarse-to-fine generator: ImageNet encoder, attention, a distribution over ab bins as a Laplacian pyramid, hints.

    The logits of all levels add up to those of the distribution p(q) of the bins of
    :mod:`vidcolor.networks.color_bins`. The prediction is the annealed mean of p(q) w(q), where the weights w are those
    of :func:`vidcolor.networks.color_bins.class_weights`: rare colors count more.

    Args:
        encoder: a name in :data:`vidcolor.networks.encoders.ENCODERS`.
        width: channels of the attention layers at stride 32.
        attention_layers: how many of them at strides 32 and 16.
        decoder_channels: channels at strides 16, 8 and 4.
        detail_channels: channels of the detail path at strides 2, 4, 8, 16 and 32.
        finest: see :attr:`ColorNetwork.finest`.
        lambda_: λ of the weights w, 0 to 1; 1 gives equal weights, smaller values larger weights for rare colors.
        temperature: of the annealed mean; 1 gives the mean of the distribution, near 0 its mode.
    """

    strides = (16, 8, 4)
    bins: Tensor
    prior: Tensor

    def __init__(
        self,
        *,
        encoder: str = "efficientnet_lite2",
        width: int = 320,
        attention_layers: Sequence[int] = (4, 2),
        decoder_channels: Sequence[int] = (192, 128, 64),
        detail_channels: Sequence[int] = (24, 32, 48, 64, 96),
        finest: int = 4,
        lambda_: float = 0.9,
        temperature: float = 0.5,
    ) -> None:
        config = {
            "encoder": encoder,
            "width": width,
            "attention_layers": list(attention_layers),
            "decoder_channels": list(decoder_channels),
            "detail_channels": list(detail_channels),
            "lambda_": lambda_,
            "temperature": temperature,
        }
        super().__init__(config, finest)
        centers = bins()
        self.register_buffer("bins", centers.clone())
        self.register_buffer("prior", torch.full((len(centers),), 1 / len(centers)))
        coarse, *finer = decoder_channels
        layers = [nn.Conv2d(coarse, len(centers), 3, padding=1), *(nn.Conv2d(c, len(centers), 1) for c in finer)]
        for layer in layers:
            nn.init.zeros_(layer.weight)  # so that training starts from the prior, and no level disturbs another
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        self.to_logits = nn.ModuleList(layers)

    def set_prior(self, prior: Tensor) -> None:
        """Start from the frequencies of colors: float (Q,), adding up to 1; only before training."""
        with torch.no_grad():
            self.prior.copy_(prior)
            bias = self.to_logits.get_parameter("0.bias")
            bias.copy_(prior.clamp_min(1e-6).log())

    def predict(
        self, grey: Tensor, hints: Tensor | None = None, features: Sequence[Tensor] | None = None
    ) -> Prediction:
        """Predict logits and ab at the stride :attr:`finest`; see :meth:`ColorNetwork.predict`."""
        levels = (layer(x) for x, layer in zip(self.decode(grey, hints, features), self.to_logits, strict=False))
        logits = add_levels(levels)
        weights = class_weights(self.prior.float(), self.config["lambda_"])
        ab = annealed_mean(logits + weights.log().to(logits)[:, None, None], self.config["temperature"], self.bins)
        return Prediction(ab, logits=logits)
