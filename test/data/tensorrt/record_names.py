# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Record the names that TensorRT's real Python bindings have; see README.md beside this file.

The bindings are loaded with libraries that are empty but for the entry points' names, so that
neither TensorRT's libraries (gigabytes) nor a GPU are needed: what classes, methods and enums
there are is in the bindings themselves.
"""
from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

READ = '''
import enum, importlib, json, sys
sys.path.insert(0, sys.argv[1])
bindings = importlib.import_module('tensorrt_bindings')
found = {'version': bindings.__version__, 'module': [], 'classes': {}, 'enums': {}}
for name in sorted(n for n in dir(bindings) if not n.startswith('__') or n == '__version__'):
    value = getattr(bindings, name)
    found['module'].append(name)
    if not isinstance(value, type) or not value.__module__.startswith('tensorrt_bindings'):
        continue
    found['classes'][name] = sorted(n for n in dir(value) if not n.startswith('_'))
    if hasattr(value, '__members__'):
        found['enums'][name] = {n: int(v) for n, v in value.__members__.items()}
    for inner in found['classes'][name]:
        kind = getattr(value, inner)
        if isinstance(kind, type) and hasattr(kind, '__members__'):
            found['classes'][name + '.' + inner] = sorted(
                n for n in dir(kind) if not n.startswith('_'))
            found['enums'][name + '.' + inner] = {n: int(v) for n, v in kind.__members__.items()}
print(json.dumps(found))
'''
ENTRY = re.compile(r'(create\w+_INTERNAL|get\w*PluginRegistry|getNvOnnxParserVersion|'
                   r'initLibNvInferPlugins|_ZN\w*(uffparser|caffeparser)\w*)$')


def _run(*command: object, **settings: object) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True,
                          text=True, **settings).stdout


def names_of(folder: Path) -> dict:
    """Read what bindings offer that were unpacked into a folder (it holds tensorrt_bindings/)."""
    library = folder / 'tensorrt_bindings' / 'tensorrt.so'
    wanted = re.findall(r'\[(libnv\S+)\]', _run('readelf', '-d', library))
    entries = [name for name in _run('nm', '-D', '--undefined-only', library).split()
               if ENTRY.match(name)]
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / 'empty.c'
        source.write_text(''.join(f'void *{name}(void) {{ return 0; }}\n' for name in entries))
        for name in wanted:
            _run('gcc', '-shared', '-fPIC', f'-Wl,-soname,{name}', '-o', Path(scratch) / name,
                 source)
        return json.loads(_run(sys.executable, '-c', READ, folder,
                               env={'LD_LIBRARY_PATH': scratch}))


def text_of(names: dict) -> str:
    """JSON with a line for each class."""
    parts = [f'"version": {json.dumps(names["version"])}',
             f'"module": {json.dumps(names["module"])}']
    for part in ('classes', 'enums'):
        rows = ',\n'.join(f'  {json.dumps(name)}: {json.dumps(value)}'
                          for name, value in sorted(names[part].items()))
        parts.append(f'"{part}": {{\n{rows}\n}}')
    return '{\n' + ',\n'.join(parts) + '\n}\n'


if __name__ == '__main__':
    for given in sys.argv[1:]:
        read = names_of(Path(given))
        short = '.'.join(read['version'].split('.')[:2])
        Path(__file__).with_name(f'names-{short}.json').write_text(text_of(read))
