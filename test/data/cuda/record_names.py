# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record the names of the CUDA runtime that an installed cuda-bindings has; see README.md."""
from __future__ import annotations

import json
from pathlib import Path

import cuda.bindings
from cuda.bindings import runtime

ENUMS = ('cudaMemcpyKind', 'cudaStreamCaptureMode')

if __name__ == '__main__':
    version = '.'.join(cuda.bindings.__version__.split('.')[:2])
    found = {'version': cuda.bindings.__version__,
             'enums': {name: {member.name: int(member) for member in getattr(runtime, name)}
                       for name in ENUMS},
             'module': [name for name in dir(runtime) if name.startswith('cuda')]}
    Path(__file__).with_name(f'names-{version}.json').write_text(
        json.dumps(found, indent=1) + '\n')
