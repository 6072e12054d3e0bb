"""cluster.yaml and its kin: that Ray's launcher takes them, what each promises, and that they agree on versions."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

REPOSITORY = Path(__file__).parents[1]
AWS, LOCAL, KUBERNETES = (REPOSITORY / name for name in ("cluster.yaml", "docs/cluster-local.yaml", "docs/rayjob.yaml"))
GCP = "# --- GCP"
LAUNCHED = ("aws", "gcp", "local")


def launched(kind: str) -> dict[str, Any]:
    """What `ray up` is given: a file as written, or cluster.yaml with its lines for GCP in their place."""
    if kind == "local":
        return yaml.safe_load(LOCAL.read_text())
    text = AWS.read_text()
    _, gcp = text[text.index(GCP) :].split("\n", 1)
    other = yaml.safe_load("\n".join(line.removeprefix("# ").removeprefix("#") for line in gcp.splitlines()))
    return yaml.safe_load(text) | (other if kind == "gcp" else {})


def commands(config: dict[str, Any]) -> list[str]:
    return [command for key, listed in config.items() if key.endswith("_commands") for command in listed]


@pytest.mark.parametrize("kind", LAUNCHED)
def test_rays_launcher_takes_it(kind):
    prepared = prepare_config(launched(kind))
    validate_config(prepared)
    assert prepared["provider"]["type"] == kind


@pytest.mark.parametrize("kind", LAUNCHED)
def test_every_command_is_one_that_bash_reads(kind):
    for command in commands(launched(kind)):
        done = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"


@pytest.mark.parametrize("kind", LAUNCHED)
def test_every_file_that_is_sent_is_in_the_checkout_or_the_token(kind):
    for there, here in launched(kind)["file_mounts"].items():
        if here == "~/.ray/auth_token":
            assert there == here
        else:
            assert (REPOSITORY / here).exists() and there == f"~/distune/{here}"


@pytest.mark.parametrize("kind", LAUNCHED)
def test_every_process_of_ray_asks_for_the_token_and_only_the_nodes_reach_it(kind):
    starts = [command for command in commands(launched(kind)) if "ray start" in command or "ray job" in command]
    assert len(starts) == 3 and all("RAY_AUTH_MODE=token" in command for command in starts)
    assert [command for command in starts if "--dashboard-host=127.0.0.1" in command] == starts[:1]
    assert "chmod 600 ~/.ray/auth_token" in launched(kind)["setup_commands"]


@pytest.mark.parametrize("kind", ("aws", "gcp"))
def test_workers_come_from_nothing_on_the_spot_market_first(kind):
    types = launched(kind)["available_node_types"]
    spot, fallback = types["gpu_spot"], types["gpu_on_demand"]
    assert spot["min_workers"] == fallback["min_workers"] == 0
    assert spot["resources"] == fallback["resources"], "else the autoscaler would choose by what fits, not by price"
    assert spot["priority"] > fallback["priority"]
    market = {"InstanceMarketOptions": {"MarketType": "spot"}, "provisioningModel": "SPOT"}
    assert [any(key in str(each["node_config"]) for key in market) for each in (spot, fallback)] == [True, False]


def test_the_image_has_the_ray_and_the_python_that_distune_is_tested_with():
    (pinned,) = re.findall(r"^ray==(.+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    images = [image for key, image in launched("aws")["docker"].items() if key.endswith("image")]
    images += re.findall(r"image: (rayproject/\S+)", KUBERNETES.read_text())
    assert len(images) == 4 and all(image.startswith(f"rayproject/ray:{pinned}-py311-") for image in images)


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(KUBERNETES.read_text()))


def test_the_manifest_is_as_the_published_definition_of_a_rayjob_wants_it(manifests):
    """Kubernetes' own definition of a RayJob is no part of this repository: KUBERAY_CRD names a copy of it."""
    if "KUBERAY_CRD" not in os.environ:
        pytest.skip("KUBERAY_CRD names no ray.io_rayjobs.yaml of KubeRay's ray-operator/config/crd/bases")
    definition = yaml.safe_load(Path(os.environ["KUBERAY_CRD"]).read_text())
    (schema,) = [each["schema"]["openAPIV3Schema"] for each in definition["spec"]["versions"] if each["name"] == "v1"]
    (job,) = [each for each in manifests if each["kind"] == "RayJob"]
    jsonschema.validate(job, closed(schema))


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """With no key allowed beyond those that are named: Kubernetes drops such a key, and what it was to say."""
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema["additionalProperties"] = False
        inner = schema["properties"].values()
    else:
        inner = [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    for each in inner:
        # A quantity: `4` as well as `4Gi`.
        if each.pop("x-kubernetes-int-or-string", False):
            each.pop("pattern", None)
        closed(each)
    return schema


def test_the_manifest_starts_with_no_gpu_asks_for_the_token_and_ends_with_the_sweep(manifests):
    (job,) = [each for each in manifests if each["kind"] == "RayJob"]
    cluster = job["spec"]["rayClusterSpec"]
    assert job["spec"]["shutdownAfterJobFinishes"] and cluster["enableInTreeAutoscaling"]
    assert cluster["authOptions"] == {"mode": "token"}
    (group,) = cluster["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"]) == (0, 0)
    assert shlex.split(job["spec"]["entrypoint"])[:2] == ["distune", "sweep"]
