"""From a sweep file's ``teacher`` section to a teacher."""

import re
from pathlib import Path

from spaces.errors import Fault, InputError
from spaces.sections import Teacher as TeacherConfig
from trainables.teachers.base import Encoder, NotATeacherError, Teacher
from trainables.teachers.conformer import load_conformer
from trainables.teachers.head import Head
from trainables.teachers.platform import load_platform
from trainables.teachers.wav2vec2 import load_wav2vec2

SHIPPED = Path(__file__).parent / "shipped"
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def load_teacher(config: TeacherConfig, with_heads: bool = True) -> Teacher:
    """The teacher that the section names; the one that ships with distune where it names none.

    Args:
        with_heads: false loads the encoders alone, for fitting heads anew.

    Returns:
        A teacher whose ``fitted`` says whether it came with its heads.

    Raises:
        InputError: every model that cannot be loaded, under its key.
    """
    wanted = {
        "wav2vec2": {"model": "wav2vec2"},
        "conformer": {"model": "conformer"},
        "dual": {"model": "wav2vec2", "secondary_model": "conformer"},
    }[config.architecture]
    members: dict[str, Encoder] = {}
    heads: dict[str, Head] = {}
    faults = []
    for key, name in wanted.items():
        model = getattr(config, key) or str(SHIPPED)
        try:
            encoder, head = _load_member(name, model, with_heads)
        except NotATeacherError as error:
            faults.append(Fault(model, f"teacher.{key}", None, str(error)))
            continue
        members[name] = encoder.requires_grad_(False)
        if head is not None and with_heads:
            heads[name] = head
    if faults:
        raise InputError(faults)
    return Teacher(members, heads, config.mixing)


def _load_member(name: str, model: str, with_head: bool) -> tuple[Encoder, Head | None]:
    path = Path(model).expanduser()
    if name == "conformer":
        return load_conformer(str(path))
    if path.is_file():
        return load_platform(path)
    if not path.exists() and not HUB_ID.fullmatch(model):
        raise NotATeacherError("does not exist, and is not a hub id; name a folder, the platform's .pt or a hub id")
    return load_wav2vec2(str(path) if path.exists() else model, with_head)
