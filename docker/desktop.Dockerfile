# Copyright 2026 The lorat_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# A desktop (x86-64) with an NVIDIA GPU, Ubuntu 24.04 in the image, TensorRT 10.11, ROS 2 Jazzy. In the repository:
#   build: docker build -f docker/desktop.Dockerfile -t lorat_ros:desktop .
#   run:   docker run -it --rm --gpus all --network host --ipc host -v lorat-cache:/cache lorat_ros:desktop
FROM nvcr.io/nvidia/tensorrt:25.06-py3

ENV ROS_DISTRO=jazzy DEBIAN_FRONTEND=noninteractive XDG_CACHE_HOME=/cache PIP_BREAK_SYSTEM_PACKAGES=1
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

RUN apt-get update && apt-get install -y --no-install-recommends \
      ca-certificates curl python3-pip && \
    curl -fsSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key \
      -o /usr/share/keyrings/ros-archive-keyring.gpg && \
    echo "deb [signed-by=/usr/share/keyrings/ros-archive-keyring.gpg] http://packages.ros.org/ros2/ubuntu noble main" \
      > /etc/apt/sources.list.d/ros2.list && \
    rm -rf /var/lib/apt/lists/*

# Without cv_bridge: it is asked only for rare encodings, and drags a second OpenCV in.
RUN apt-get update && apt-get install -y --no-install-recommends \
      ros-jazzy-ros-base ros-jazzy-vision-msgs python3-colcon-common-extensions && \
    rm -rf /var/lib/apt/lists/*

# NumPy below 2, as Jazzy's message packages were built with; OpenCV 4.12 and later ask for 2.
# The image's own list of pinned packages is about what NVIDIA ships in it, not about these.
RUN PIP_CONSTRAINT= python3 -m pip install --no-cache-dir \
      'numpy>=1.26,<2' 'opencv-python-headless>=4.5,<4.12' 'onnxruntime>=1.15' 'onnx>=1.16' \
      'tqdm' 'cuda-python>=12.6,<13'

WORKDIR /ws
COPY setup.py setup.cfg package.xml src/lorat_ros/
COPY resource src/lorat_ros/resource
COPY config src/lorat_ros/config
COPY launch src/lorat_ros/launch
COPY lorat_ros src/lorat_ros/lorat_ros
RUN source /opt/ros/jazzy/setup.bash && colcon build --packages-select lorat_ros && rm -rf build log
COPY docker/entrypoint.sh /usr/local/bin/lorat-entrypoint

VOLUME /cache
ENTRYPOINT ["/bin/bash", "/usr/local/bin/lorat-entrypoint"]
CMD ["ros2", "launch", "lorat_ros", "tracker.launch.py"]
