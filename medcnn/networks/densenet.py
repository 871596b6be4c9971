"""Densely connected networks, over MONAI's."""

from collections import OrderedDict

from monai.networks.layers.factories import Conv
from monai.networks.nets import DenseNet121
from torch import nn

from medcnn.networks.classifier import Classifier
from medcnn.networks.resnet import check_stem

__all__ = ["densenet121"]


def densenet121(
    *,
    dims: int,
    in_channels: int,
    labels: int,
    dropout: float = 0.0,
    stem: str = "usual",
) -> Classifier:
    """Build DenseNet-121.

    Args:
        dims: 2 or 3.
        in_channels: 1 for grey, 3 for colour.
        labels: Number of logits.
        dropout: Share of features set to 0 in training.
        stem: "usual", or "small" for inputs of up to 64 pixels: see `ResNetDesign`.

    References:
        [1] Huang et al., Densely connected convolutional networks, CVPR 2017.
    """
    check_stem(stem, ("usual", "small"))
    net = DenseNet121(spatial_dims=dims, in_channels=in_channels, out_channels=1)
    stages: OrderedDict[str, nn.Module] = OrderedDict(net.features.named_children())
    if stem == "small":
        width = net.features.conv0.out_channels
        stages["conv0"] = Conv[Conv.CONV, dims](
            in_channels, width, kernel_size=3, padding=1, bias=False
        )
        del stages["pool0"]
    stages["activation"] = nn.ReLU(inplace=True)
    features = net.class_layers.out.in_features
    return Classifier(
        stages, features=features, labels=labels, dims=dims, dropout=dropout
    )
