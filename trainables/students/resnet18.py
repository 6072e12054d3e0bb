"""ResNet18 on one channel, for accuracy; 11,171,266 parameters."""

from torch import Tensor, nn
from torchvision.models import resnet18

from spaces.trial import Model
from trainables.students.base import Student, register_student


@register_student("resnet18")
class ResNet18(Student):
    """torchvision's network; the pooled features are the embedding."""

    embed_dim = 512

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.features = resnet18()
        self.features.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        self.features.fc = nn.Identity()
        self.classifier = nn.Sequential(nn.Dropout(model.dropout), nn.Linear(self.embed_dim, model.num_classes))

    def embed(self, mel: Tensor) -> Tensor:
        return self.features(mel)

    def classify(self, embedding: Tensor) -> Tensor:
        return self.classifier(embedding)
