"""Densely connected networks, over MONAI's."""

from collections import OrderedDict

from monai.networks.nets import DenseNet121
from torch import nn

from medcnn.networks.classifier import Classifier

__all__ = ["densenet121"]


def densenet121(
    *, dims: int, in_channels: int, labels: int, dropout: float = 0.0
) -> Classifier:
    """Build DenseNet-121.

    References:
        [1] Huang et al., Densely connected convolutional networks, CVPR 2017.
    """
    net = DenseNet121(spatial_dims=dims, in_channels=in_channels, out_channels=1)
    stages: OrderedDict[str, nn.Module] = OrderedDict(net.features.named_children())
    stages["activation"] = nn.ReLU(inplace=True)
    features = net.class_layers.out.in_features
    return Classifier(
        stages, features=features, labels=labels, dims=dims, dropout=dropout
    )
