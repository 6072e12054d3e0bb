"""Whether the teacher can be had: the one that ships, a folder, or a model hub's; and the voices for synthesis."""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from search.doctor.finding import Finding, Subject, advice, fine, mend
from trainables.teachers.load import HUB_ID, SHIPPED

HUB = "https://huggingface.co"
HUB_SECONDS = 10
CONFIGS = ("config.json",)
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


def check_teacher(subject: Subject) -> Iterator[Finding]:
    """Each model that the sweep's teacher is made of."""
    named = [subject.teacher.model, subject.teacher.secondary_model]
    if subject.teacher.model is None:
        yield _shipped()
    for model in filter(None, named):
        yield _local(Path(model).expanduser()) if Path(model).expanduser().exists() else _on_hub(model)


def check_voices() -> Iterator[Finding]:
    """espeak-ng, which `distune data synth` and `make demo` speak with."""
    from trainables.audio.espeak import Espeak

    try:
        n_voices = len(Espeak().voices())
    except (OSError, RuntimeError) as error:
        remedy = "pip install --force-reinstall espeakng-loader; only `distune data synth` needs it"
        yield advice("voices", f"espeak-ng does not load: {error}", remedy)
        return
    yield fine("voices", f"espeak-ng, {n_voices} voices for `distune data synth`")


def _shipped() -> Finding:
    weights = SHIPPED / "model.safetensors"
    if weights.is_file():
        return fine("teacher", f"the one that ships with distune, {weights.stat().st_size / 1e6:.0f} MB")
    return mend(
        "teacher", f"the one that ships is missing in {SHIPPED}", "install distune again, or name teacher.model"
    )


def _local(path: Path) -> Finding:
    if path.is_file() or (path / "config.json").is_file():
        return fine("teacher", str(path))
    remedy = "name a folder that transformers wrote, the platform's .pt, or a hub id"
    return mend("teacher", f"{path} holds no config.json", remedy)


def _on_hub(model: str) -> Finding:
    """A hub id: downloaded already, or within reach."""
    if not HUB_ID.fullmatch(model):
        return mend(
            "teacher", f"{model} does not exist, and is no hub id", "name a folder, a file or a hub id as teacher.model"
        )
    if _downloaded(model):
        return fine("teacher", f"{model}, downloaded already")
    elsewhere = "or download it where there is a network, and name its folder as teacher.model"
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        told = f"{model} is not downloaded, and HF_HUB_OFFLINE forbids it"
        return mend("teacher", told, f"unset HF_HUB_OFFLINE, {elsewhere}")
    hub = os.environ.get("HF_ENDPOINT") or HUB
    try:
        _ask(f"{hub.rstrip('/')}/api/models/{model}")
    except urllib.error.HTTPError as error:
        if error.code in (401, 403, 404):
            remedy = "check its spelling; a private one wants `hf auth login`"
            return mend("teacher", f"{hub} has no {model} for this user (status {error.code})", remedy)
        return mend("teacher", f"{hub} answers with status {error.code}", f"try again later, {elsewhere}")
    except OSError as error:
        reason = getattr(error, "reason", error)
        told = f"{model} is not downloaded, and {hub} cannot be reached ({reason})"
        return mend("teacher", told, f"mend the network or set HTTPS_PROXY or HF_ENDPOINT, {elsewhere}")
    return fine("teacher", f"{model} is on {hub}, to be downloaded by the first sweep")


def _downloaded(model: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return all(
        any(isinstance(try_to_load_from_cache(model, name), str) for name in names) for names in (CONFIGS, WEIGHTS)
    )


def _ask(address: str) -> None:
    from huggingface_hub import get_token

    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # An opener of its own: urlopen keeps the proxies that were set when it was first called.
    opener = urllib.request.build_opener()
    with opener.open(urllib.request.Request(address, headers=headers), timeout=HUB_SECONDS):
        return
