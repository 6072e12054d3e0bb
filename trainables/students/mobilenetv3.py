"""MobileNetV3-small on one channel, for phones; 1,519,618 parameters."""

from functools import partial

from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small

from spaces.trial import Model
from trainables.students.base import Student, register_student

HIDDEN = 1024


@register_student("mobilenetv3")
class MobileNetV3(Student):
    """torchvision's features, pooled, then a hidden layer whose output is the embedding."""

    embed_dim = HIDDEN

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        # torchvision's momentum of 0.01 suits ImageNet's 300,000 steps: after the few hundred of a short trial its
        # averages still hold their start, and validation shows chance where the weights are good.
        network = mobilenet_v3_small(norm_layer=partial(nn.BatchNorm2d, eps=0.001, momentum=0.1))
        network.features[0][0] = nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False)
        n_features = network.classifier[0].in_features
        self.features = nn.Sequential(network.features, network.avgpool, nn.Flatten())
        self.hidden = nn.Sequential(nn.Linear(n_features, HIDDEN), nn.Hardswish())
        self.classifier = nn.Sequential(nn.Dropout(model.dropout), nn.Linear(HIDDEN, model.num_classes))

    def embed(self, mel: Tensor) -> Tensor:
        return self.hidden(self.features(mel))

    def classify(self, embedding: Tensor) -> Tensor:
        return self.classifier(embedding)
