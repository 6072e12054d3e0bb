"""How exactly a teacher computes: what the user wants, settled for the device it runs on."""

from spaces.errors import Fault, InputError
from spaces.sections import Teacher as TeacherConfig
from trainables.teachers.base import Precision


def settle(config: TeacherConfig, native: Precision) -> Precision:
    """``teacher.precision``, with ``auto`` as the device's own.

    Half precisions are refused on a CPU rather than taken for float32: most CPUs compute in them more slowly, so who
    asks for one meant a GPU. Where workers of a cluster run the teacher, it is their GPUs that count.

    Args:
        native: see `native_precision`, of the device that will run the teacher.

    Raises:
        InputError: a half precision without a GPU.
    """
    if config.precision == "auto":
        return native
    if config.precision != "float32" and native == "float32":
        remedy = "is for GPUs, and the teacher would run on a CPU; leave it at auto, or name a cluster that has GPUs"
        raise InputError(Fault("sweep", "teacher.precision", config.precision, remedy))
    return config.precision


def native_precision(on_gpu: bool) -> Precision:
    """What a device computes fastest in without harm.

    On a GPU float16: measured, its states are off by .02 to .06 % of their RMS, bfloat16's by .2 to .5 %. What
    float16 cannot hold is found as the corpus is written.
    """
    return "float16" if on_gpu else "float32"
