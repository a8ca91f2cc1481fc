# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A machine without a GPU says so, in words and in time: TensorRT would end the process."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lorat_ros.engines.gpu import find_gpu, Gpu

pytestmark = pytest.mark.skipif(isinstance(find_gpu(), Gpu), reason='there is a GPU here')
#: As the real one does where there is no GPU, though that one is killed by a signal.
ENDS_THE_PROCESS = '''
import os
__version__ = '10.3.0'
def __getattr__(name):
    os._exit(9)
'''


def run(code: str, folder: Path) -> str:
    """What a program prints; a module ``tensorrt`` that is deadly to touch is on its path."""
    (folder / 'tensorrt.py').write_text(ENDS_THE_PROCESS)
    code = f'import sys; sys.path.insert(0, {str(folder)!r})\n{code}'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_trap_works(tmp_path):
    (tmp_path / 'tensorrt.py').write_text(ENDS_THE_PROCESS)
    done = subprocess.run([sys.executable, '-c', 'import tensorrt; tensorrt.Runtime'],
                          cwd=tmp_path)
    assert done.returncode == 9


@pytest.mark.parametrize('ask', [
    'tensorrt.open_session(find_bundle(), 1, "fp32", Path("built"))', 'tensorrt.version()',
    'open_session(find_bundle(), "tensorrt")',
    'open_session(find_bundle(), "tensorrt", 1, "fp16")'])
def test_tensorrt_is_unavailable_and_is_not_touched(ask, tmp_path):
    told = run(f'''
from pathlib import Path
from lorat_ros.engines import tensorrt
from lorat_ros.engines.session import EngineError, open_session
from lorat_ros.models.catalog import find_bundle
try:
    {ask}
except EngineError as error:
    print('unavailable:', error)
print([name in sys.modules for name in ('tensorrt', 'torch', 'cuda')])
''', tmp_path)
    assert 'unavailable: TensorRT needs a GPU: ' in told and 'use engine onnx' in told
    assert told.splitlines()[-1] == '[False, False, False]'


def test_a_tracker_that_chooses_by_itself_touches_neither(tmp_path):
    told = run('''
from lorat_ros import load_tracker
print(load_tracker().session.engine)
print([name in sys.modules for name in ('tensorrt', 'torch', 'cuda')])
''', tmp_path)
    assert told.split('\n')[:2] == ['onnx', '[False, False, False]']
