# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How colcon and pip build the package, with setuptools 59 (Humble) to 79.

setuptools 80 ended what colcon's --symlink-install builds on.
"""

import sys
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'lorat_ros'
ROOT = Path(__file__).resolve().parent
BUNDLES = ROOT / PACKAGE / 'models' / 'bundles'


def files_of(folder: str) -> list:
    """The files directly in a folder of the repository, as paths relative to it."""
    paths = (path for path in (ROOT / folder).glob('*') if path.is_file())
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def bundle_files() -> list:
    """All files of the shipped model bundles, relative to the package lorat_ros.models."""
    paths = (path for path in BUNDLES.rglob('*') if path.is_file())
    return sorted(str(path.relative_to(BUNDLES.parent)) for path in paths)


data_files = [
    ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
    (f'share/{PACKAGE}', ['package.xml']),
    (f'share/{PACKAGE}/launch', files_of('launch')),
    (f'share/{PACKAGE}/config', files_of('config')),
]
if 'bdist_wheel' not in sys.argv:
    # A wheel gets bin/lorat from the entry point below; colcon puts that where `ros2 run` looks.
    data_files.append(('bin', ['resource/lorat']))

setup(
    name=PACKAGE,
    version='0.1.0',
    description='Visual single-object tracking for ROS 2, on CPUs and embedded GPUs.',
    maintainer='lorat_ros maintainers',
    maintainer_email='maintainers@lorat-ros.dev',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={f'{PACKAGE}.models': bundle_files(),
                  f'{PACKAGE}.training': ['recipes/*.yaml', 'studies/*.yaml']},
    data_files=data_files,
    # OpenCV has four names on PyPI, and ROS machines bring their own: the extra `opencv` names
    # the one that needs no display. rclpy and the messages come from ROS 2.
    install_requires=['numpy>=1.21.5', 'onnxruntime>=1.15', 'tqdm'],
    extras_require={
        'openvino': ['openvino>=2024.0'],
        # Memory of a GPU where there is no torch; TensorRT comes with JetPack or from NVIDIA.
        'cuda': ['cuda-python>=12.6'],
        'opencv': ['opencv-python-headless>=4.5'],
        'import': ['torch>=2.6', 'onnx>=1.16', 'onnx_ir', 'onnxscript', 'safetensors'],
        'train': ['torch>=2.6', 'onnx>=1.16', 'onnx_ir', 'onnxscript', 'matplotlib',
                  'pyyaml', 'rosbags>=0.11'],
        'vot': ['vot-trax>=4.0'],
        # LGPL-3: loaded at run time, and only by mavlink_camera_node.
        'mavlink': ['pymavlink>=2.4.40', 'pyserial>=3.5'],
        'docs': ['sphinx>=8', 'myst-parser>=4'],
        'test': ['pytest>=7,<8.4', 'pytest-timeout', 'hypothesis', 'got10k', 'six'],
    },
    zip_safe=False,
    entry_points={
        'console_scripts': [
            f'follow_node = {PACKAGE}.ros.follow_node:main',
            f'lorat = {PACKAGE}.tools.cli:main',
            f'mavlink_camera_node = {PACKAGE}.ros.mavlink_camera_node:main',
            f'recorder = {PACKAGE}.ros.recorder:main',
            f'tracker_node = {PACKAGE}.ros.tracker_node:main',
            f'video_publisher = {PACKAGE}.ros.video_publisher:main',
        ],
    },
)
