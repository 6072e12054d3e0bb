"""What a training step frees is there for the next."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from trainables.heap import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    blocks = [np.ones(5 * 2**17) for _ in range(4)]  # of 5 MiB: 1,280 pages each
    blocks.clear()

if sys.argv[1] == "keep":
    keep_freed_memory()
step()
before = faults()
step()
print(faults() - before)
"""


def faults_of_a_second_step(told: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, told], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_freed_memory_is_used_again_without_asking_the_kernel():
    assert faults_of_a_second_step("keep") < 100
    assert faults_of_a_second_step("as it is") > 2000  # else it were not needed
