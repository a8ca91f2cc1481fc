# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT is touched only where there is a GPU, and asked only for what its version has."""
from __future__ import annotations

import ast
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.fake_tensorrt import FakeTensorRt, GPU, names_of, VERSIONS

from lorat_ros.engines import tensorrt_api
from lorat_ros.engines.session import EngineError
from lorat_ros.engines.tensorrt_api import (explicit_batch, load_tensorrt, logger_for,
                                            precision_flag, strongly_typed, usable_gpu, version_of)


def load(trt):
    return load_tensorrt(lambda: GPU, lambda name: trt)


@pytest.mark.parametrize('version', VERSIONS)
def test_every_supported_version_is_taken(version, caplog):
    trt = FakeTensorRt(version)
    assert load(trt) is trt
    assert '.'.join(map(str, version_of(trt))).startswith(version)
    assert not caplog.records


def test_without_a_gpu_nothing_is_imported():
    def load_nothing(name):
        pytest.fail(f'{name} was imported')
    with pytest.raises(EngineError, match='needs a GPU: no driver; use engine onnx'):
        load_tensorrt(lambda: 'no driver', load_nothing)
    with pytest.raises(EngineError, match='needs a GPU: no driver'):
        usable_gpu(lambda: 'no driver')
    assert usable_gpu(lambda: GPU) == GPU


def test_no_tensorrt():
    def load_none(name):
        raise ImportError(f'No module named {name!r}')
    with pytest.raises(EngineError, match="No module named 'tensorrt'; on a Jetson it comes with"):
        load_tensorrt(lambda: GPU, load_none)


@pytest.mark.parametrize('version', ['8.5.3', '7.1', '8.0.1.6'])
def test_an_old_version_is_refused_by_name(version):
    with pytest.raises(EngineError, match=f'TensorRT {version} is too old, expected 8.6 to 11'):
        load(SimpleNamespace(__version__=version))


def test_a_module_without_what_is_needed_is_refused_by_name():
    with pytest.raises(EngineError, match=r'TensorRT 12\.0 has no ILogger\.log, '):
        load(SimpleNamespace(__version__='12.0'))


def test_a_newer_version_that_has_all_is_taken_with_a_word(caplog):
    trt = FakeTensorRt('11.4')
    trt.__version__ = '12.1.0'
    assert load(trt) is trt
    assert 'TensorRT 12.1.0 is newer than what lorat_ros knows' in caplog.text


@pytest.mark.parametrize(('version', 'batch', 'typed'), [
    ('8.6', 1, None), ('10.3', 1, 3), ('10.16', 1, 3), ('11.4', 0, 1)])
def test_bits_of_a_network(version, batch, typed):
    trt = FakeTensorRt(version)
    assert (explicit_batch(trt), strongly_typed(trt)) == (batch, typed)


@pytest.mark.parametrize(('version', 'there'), [
    ('8.6', {'fp16', 'int8', 'fp8'}), ('10.3', {'fp16', 'bf16', 'int8', 'fp8'}),
    ('10.16', {'fp16', 'bf16', 'int8', 'fp8'}), ('11.4', set())])
def test_flags_of_precision(version, there):
    trt = FakeTensorRt(version)
    found = {name for name in ('fp16', 'bf16', 'int8', 'fp8') if precision_flag(trt, name)}
    assert found == there


@pytest.mark.parametrize('version', VERSIONS)
def test_what_tensorrt_says_goes_to_the_log(version, caplog):
    trt = FakeTensorRt(version)
    with caplog.at_level(1):
        logger = logger_for(trt, logging.getLogger('of.the.test'))
        for name in ('INTERNAL_ERROR', 'ERROR', 'WARNING', 'INFO', 'VERBOSE'):
            logger.log(getattr(trt.ILogger.Severity, name), f'it is {name} with 100%')
    assert [(r.name, r.levelno, r.getMessage().split()[2]) for r in caplog.records] == [
        ('of.the.test', logging.ERROR, 'INTERNAL_ERROR'), ('of.the.test', logging.ERROR, 'ERROR'),
        ('of.the.test', logging.WARNING, 'WARNING'), ('of.the.test', logging.DEBUG, 'INFO'),
        ('of.the.test', logging.DEBUG - 1, 'VERBOSE')]


#: Names under which the sources hold objects of TensorRT.
OBJECTS = {'runtime': 'Runtime', 'engine': 'ICudaEngine', 'context': 'IExecutionContext',
           'builder': 'Builder', 'config': 'IBuilderConfig', 'network': 'INetworkDefinition',
           'parser': 'OnnxParser', 'profile': 'IOptimizationProfile', 'timing': 'ITimingCache'}


def attributes_of(source: str) -> set[str]:
    """
    Dotted names of TensorRT that a source takes without asking first: 'BuilderFlag.TF32'.

    From the module (``trt`` or ``self._trt``), and from objects by the names they go by.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute):
            continue
        first, *rest = ast.unparse(node).removeprefix('self.').split('.')
        first = first.lstrip('_')
        if (rest and all(part.isidentifier() for part in rest)
                and not rest[-1].startswith('__')):
            if first == 'trt':
                found.add('.'.join(rest))
            elif first in OBJECTS:
                found.add('.'.join([OBJECTS[first], *rest]))
    return found


def known(version: str, dotted: str) -> bool:
    """Whether a version has a dotted name, as far as it is one of the module or of a class."""
    names = names_of(version)
    first, *rest = dotted.split('.')
    if first not in names['module']:
        return False
    return not rest or first not in names['classes'] or rest[0] in names['classes'][first]


def test_the_walk_sees_what_is_taken():
    source = ('x = trt.BuilderFlag.TF32\ntrt.Runtime(log)\nself._trt.DataType.FLOAT.itemsize\n'
              'getattr(trt.BuilderFlag, "FP16", None)\nother.trt.No\n'
              'engine.num_bindings\nself._context.execute_async_v3(stream)\n')
    assert attributes_of(source) == {
        'BuilderFlag', 'BuilderFlag.TF32', 'Runtime', 'DataType', 'DataType.FLOAT',
        'DataType.FLOAT.itemsize', 'ICudaEngine.num_bindings',
        'IExecutionContext.execute_async_v3'}
    assert known('8.6', 'ICudaEngine.num_bindings') and not known('10.3',
                                                                  'ICudaEngine.num_bindings')
    assert known('8.6', 'BuilderFlag.FP16') and not known('11.4', 'BuilderFlag.FP16')
    assert not known('8.6', 'Runtimes')


@pytest.mark.parametrize('version', VERSIONS)
def test_every_attribute_that_is_used_is_there(version):
    folder = Path(tensorrt_api.__file__).parent
    taken = {(path.name, name) for path in folder.glob('tensorrt*.py')
             for name in attributes_of(path.read_text())}
    on_gpu = Path(__file__).with_name('test_on_gpu.py')      # runs only where there is a GPU
    taken |= {(on_gpu.name, name) for name in attributes_of(on_gpu.read_text())}
    assert ('tensorrt_api.py', 'ILogger.Severity') in taken
    assert not {(path, name) for path, name in taken if not known(version, name)}
    needed = {f'{kind}.{name}' for kind, names in tensorrt_api.NEEDED.items() for name in names}
    assert all(known(version, name) for name in needed)
