"""TinyConv: a few 3x3 convolutions, for microcontrollers; 60,530 parameters as shipped."""

from itertools import pairwise

from torch import Tensor, nn

from spaces.trial import Model
from trainables.students.base import Student, register_student

N_HALVINGS = 3


@register_student("tiny_conv")
class TinyConv(Student):
    """Blocks of convolution, batch norm, ReLU and Dropout2d, then a global average.

    As the platform builds it: the first three blocks halve both axes, but never the last block,
    and no Dropout2d follows the last.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        channels = (1, *model.tcn_num_channels)
        last = len(channels) - 2
        blocks: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(pairwise(channels)):
            stride = 2 if i < min(N_HALVINGS, last) else 1
            blocks += [nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(n_out)]
            blocks.append(nn.ReLU(inplace=True))
            if i < last:
                blocks.append(nn.Dropout2d(model.dropout))
        self.features = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.embed_dim = channels[-1]
        self.classifier = nn.Sequential(nn.Dropout(model.dropout), nn.Linear(self.embed_dim, model.num_classes))

    def embed(self, mel: Tensor) -> Tensor:
        return self.features(mel)

    def classify(self, embedding: Tensor) -> Tensor:
        return self.classifier(embedding)
