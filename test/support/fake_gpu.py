# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that believe in a GPU: a driver's library of a few lines, and the fake TensorRT."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.fake_tensorrt import GPU
from support.fake_tensorrt_builder import Wishes

TESTS = Path(__file__).resolve().parents[1]
DRIVER = """
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 0; return 0; }
int cuDeviceGetName(char *name, int size, int device)
{ const char *other = getenv("FAKE_GPU"); strncpy(name, other ? other : "%s", size); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = %dull; return 0; }
int cuDeviceGetAttribute(int *value, int which, int device)
{ *value = which == 75 ? %d : which == 76 ? %d : 0; return 0; }
"""


def environment(folder: Path, wishes: Wishes | None = None, with_tensorrt: bool = True
                ) -> dict[str, str]:
    """
    Variables for a process that finds ``fake_tensorrt.GPU`` and the fake TensorRT.

    The variable FAKE_GPU gives the GPU another name.

    :param folder: gets the driver and the package; may be given again.
    """
    driver = folder / 'libcuda.so.1'
    if not driver.exists():
        source = folder / 'driver.c'
        source.write_text(DRIVER % (GPU.name, GPU.memory, *GPU.capability))
        try:
            subprocess.run(['gcc', '-shared', '-fPIC', '-o', driver, source], check=True)
        except FileNotFoundError:
            pytest.skip('no gcc: the stand-in for the driver cannot be made')
    package = folder / 'packages'
    package.mkdir(exist_ok=True)
    if with_tensorrt:
        (package / 'tensorrt.py').write_text(
            'from support.fake_tensorrt_builder import become_tensorrt\nbecome_tensorrt()\n')
    paths = [str(package), str(TESTS), *filter(None, [os.environ.get('PYTHONPATH')])]
    libraries = [str(folder), *filter(None, [os.environ.get('LD_LIBRARY_PATH')])]
    return {'PYTHONPATH': os.pathsep.join(paths), 'LD_LIBRARY_PATH': os.pathsep.join(libraries),
            **(wishes or Wishes()).as_environment()}
